//! Refusals of connections for which there is no place, in the words of what they speak.

use super::begins::Begins;
use std::{io::Write, sync::LazyLock, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const MESSAGE: &str = "The server has no place for another connection; try again in a second, over a connection that is \
     kept. /metrics tells why (pinyon_connections_refused_total).";

/// Most bytes of a refused client that are thrown away, and most time for them: a connection that is closed with bytes
/// unread is reset, and a reset may overtake the answer.
const DRAINED_BYTES_MAX: u64 = 64 << 10;
const DRAIN_TIME_MAX: Duration = Duration::from_millis(200);

/// SETTINGS without any, which a server has to begin with, and GOAWAY of stream 0 with ENHANCE_YOUR_CALM (RFC 9113, 6.5,
/// 6.8, 7).
const GOAWAY: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];

/// Answer over HTTP/1. Its envelope is all of ours in one: nobody knows which API was meant.
static UNAVAILABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let body = serde_json::json!({
        "status": 503, "error": {"code": "UNAVAILABLE", "message": MESSAGE}, "detail": MESSAGE,
        "code": 14, "message": MESSAGE, "details": [],
    });
    let body = body.to_string();
    let head = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
});

/// Answers and closes. Who said nothing yet is taken for HTTP/1; who wants TLS cannot be told anything.
pub(super) async fn refuse(mut stream: TcpStream, begins: Option<Begins>) {
    let said = async {
        match begins {
            Some(Begins::Tls) => return Ok(()),
            Some(Begins::Http2) => stream.write_all(GOAWAY).await?,
            Some(Begins::Http1 | Begins::Probe) | None => stream.write_all(&UNAVAILABLE).await?,
        }
        stream.shutdown().await?;
        let mut rest = stream.take(DRAINED_BYTES_MAX);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map(drop)
    };
    // Whoever is gone needs no answer.
    let _ = timeout(DRAIN_TIME_MAX, said).await;
}

/// Answers and closes at once, on the thread that accepts: nothing is waited for.
pub(super) fn refuse_at_once(stream: TcpStream) {
    // A new connection has room for so little; whoever is gone needs no answer.
    let _ = stream.into_std().and_then(|mut stream| stream.write_all(&UNAVAILABLE));
}

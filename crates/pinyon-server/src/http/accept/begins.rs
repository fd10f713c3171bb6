//! A connection's first bytes, looked at without taking them.

use super::frames::Frames;
use std::{task::Poll, time::Duration};
use tokio::{io::ReadBuf, net::TcpStream};

/// First bytes of HTTP/2 without negotiation (RFC 9113, 3.4). All of them are waited for: hyper waits for the rest of a
/// preface without a timer.
pub(super) const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// First byte of a ClientHello: the record type of handshakes (RFC 8446, 5.1). No request of HTTP begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// Paths whose plain requests have places of their own.
const PROBES: [&[u8]; 4] = [b"GET /livez", b"GET /readyz", b"GET /health", b"GET /metrics"];

/// First and longest pause before another look at a part of a preface: doubled from look to look, so that a thousand clients
/// that never finish theirs cost little.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// What a connection's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    Tls,
    Http2,
    Http1,
    /// A plain request for health or metrics.
    Probe,
}

impl Begins {
    /// Reads the beginning of a stream; `None` if more of it is needed. Half a probe's request line is HTTP/1 and no probe.
    fn of(first: &[u8], speaks_tls: bool) -> Option<Self> {
        if speaks_tls && first.first() == Some(&TLS_HANDSHAKE) {
            return Some(Self::Tls);
        }
        if H2_PREFACE.starts_with(first) {
            return (first.len() == H2_PREFACE.len()).then_some(Self::Http2);
        }
        let is_probe = |line: &&[u8]| first.strip_prefix(*line).is_some_and(ends_path);
        Some(if PROBES.iter().any(is_probe) { Self::Probe } else { Self::Http1 })
    }
}

fn ends_path(rest: &[u8]) -> bool {
    matches!(rest.first(), Some(b' ' | b'?'))
}

/// Looks at the first bytes without taking them; `None` when the connection ends before there are any.
pub(super) async fn first_bytes(stream: &TcpStream, speaks_tls: bool) -> Option<Begins> {
    let mut first = [0; H2_PREFACE.len()];
    let mut pause = PAUSE_MIN;
    loop {
        let seen = stream.peek(&mut first).await.ok().filter(|seen| *seen > 0)?;
        if let Some(begins) = Begins::of(first.get(..seen)?, speaks_tls) {
            return Some(begins);
        }
        // Some of the preface is there: wait for the rest without spinning on what was seen already.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Bytes behind a preface that are looked at for a flood.
const LOOKED_AT_BYTES: usize = 8 << 10;

/// Whether what a client of HTTP/2 has sent already is more than the budget of a new connection's frames allows: then nobody has to
/// be woken to tell it so. Whoever floods later is met by his connection's own budget.
pub(super) async fn is_flood(stream: &TcpStream) -> bool {
    std::future::poll_fn(|context| {
        // Within the closure, so that it is no part of every connection's task.
        let mut looked_at = [0; LOOKED_AT_BYTES];
        let mut seen = ReadBuf::new(&mut looked_at);
        let peeked = stream.poll_peek(context, &mut seen);
        Poll::Ready(matches!(peeked, Poll::Ready(Ok(_))) && !Frames::new().read(seen.filled()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_protocols_and_probes_apart() {
        for (first, expected) in [
            (b"P".as_slice(), None),
            (&H2_PREFACE[..23], None),
            (H2_PREFACE, Some(Begins::Http2)),
            (b"POST / HTTP/1.1", Some(Begins::Http1)),
            (b"\x16\x03\x01", Some(Begins::Tls)),
            (b"GET /livez HTTP/1.1\r\n", Some(Begins::Probe)),
            (b"GET /metrics?x=1 HTTP/1.", Some(Begins::Probe)),
            (b"GET /readyz HTTP/1.1\r\n\r\n", Some(Begins::Probe)),
            (b"GET /health HTTP/1.0", Some(Begins::Probe)),
            (b"GET /healthy HTTP/1.1", Some(Begins::Http1)),
            (b"GET /livez", Some(Begins::Http1)),
            (b"POST /metrics HTTP/1.1", Some(Begins::Http1)),
        ] {
            assert_eq!(Begins::of(first, true), expected, "{}", String::from_utf8_lossy(first));
        }
        assert_eq!(Begins::of(b"\x16\x03\x01", false), Some(Begins::Http1));
    }
}

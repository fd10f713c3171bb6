//! Bodies for the refusals that hyper writes itself, which have none: a request whose head it cannot read never reaches a
//! handler. They are told from our own answers by having no body; ours always have one.
//!
//! The rest of what such a client sends is taken and thrown away for a while: a connection that is closed with bytes unread is
//! reset, and a reset may overtake the answer.

use super::patience::Patient;
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// Most bytes that are thrown away: a thousand ids of 512 bytes, each byte of them escaped, are 1.6 MB.
const DRAINED_BYTES_MAX: usize = 4 << 20;
/// Longest time for that.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

const TOO_LONG: &str = "The URL and the headers of the request are too long: at most 65534 bytes of URL and 96 KiB together are \
     read. Ask for fewer ids in one request, or use a request with a body (fetch by metadata, gRPC).";
const UNREADABLE: &str =
    "The request is not HTTP that this server can read: look at its first line and its headers.";

/// A connection whose empty refusals get a body.
#[derive(Debug)]
pub(super) struct Explained<T> {
    inner: Patient<T>,
    refusal: Option<Refusal>,
}

/// What is written in place of an empty refusal.
#[derive(Debug)]
struct Refusal {
    bytes: Vec<u8>,
    written: usize,
    /// Length of what it stands for, which the writer is told was written.
    replaced: usize,
    /// Whether the client was told that nothing more comes.
    has_ended: bool,
    drained: usize,
    until: Pin<Box<Sleep>>,
}

impl<T> Explained<T> {
    pub(super) const fn new(inner: T) -> Self {
        Self { inner: Patient::new(inner), refusal: None }
    }
}

/// The answer in place of hyper's own, if this is one. Its envelope is all of ours in one: nobody knows which API was meant.
fn explained(written: &[u8]) -> Option<Vec<u8>> {
    let status = written.strip_prefix(b"HTTP/1.1 ")?.get(..4)?;
    let (status, message) = match status {
        b"400 " => (400, UNREADABLE),
        b"414 " => (414, TOO_LONG),
        b"431 " => (431, TOO_LONG),
        _ => return None,
    };
    let head = std::str::from_utf8(written).ok()?.strip_suffix("\r\n\r\n")?;
    if !head.lines().any(|line| line == "content-length: 0") {
        return None;
    }
    let body = serde_json::json!({
        "status": status, "error": {"code": "INVALID_ARGUMENT", "message": message}, "detail": message,
        "code": 3, "message": message, "details": [],
    });
    let body = body.to_string();
    let length = format!("\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
    Some(format!("{}\r\n\r\n{body}", head.replacen("\r\ncontent-length: 0", &length, 1)).into_bytes())
}

impl Refusal {
    fn in_place_of(written: &[u8]) -> Option<Self> {
        let bytes = explained(written)?;
        let until = Box::pin(sleep(DRAIN_TIME_MAX));
        Some(Self { bytes, written: 0, replaced: written.len(), has_ended: false, drained: 0, until })
    }

    fn poll_write<T: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut T,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut *stream).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        Poll::Ready(Ok(self.replaced))
    }

    /// Reads until the client has heard the end and ends too.
    fn poll_drain<T: AsyncRead + Unpin>(&mut self, stream: &mut T, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 8 << 10];
        while self.drained < DRAINED_BYTES_MAX && self.until.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            if ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer)).is_err() {
                break;
            }
            match buffer.filled().len() {
                0 => break,
                read => self.drained += read,
            }
        }
        Poll::Ready(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Explained<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Explained<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.refusal.is_none() {
            this.refusal = Refusal::in_place_of(bytes);
        }
        match &mut this.refusal {
            Some(refusal) => refusal.poll_write(&mut this.inner, context),
            None => Pin::new(&mut this.inner).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match parts {
            [whole] => self.poll_write(context, whole),
            _ => Pin::new(&mut self.inner).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(refusal) = &mut this.refusal {
            if !refusal.has_ended {
                ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
                refusal.has_ended = true;
            }
            ready!(refusal.poll_drain(&mut this.inner, context));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::explained;

    #[test]
    fn only_empty_refusals_get_a_body() {
        let empty =
            "HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let text = String::from_utf8(explained(empty.as_bytes()).unwrap()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 414 URI Too Long\r\nconnection: close\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert!(body["message"].as_str().unwrap().contains("fewer ids"), "{body}");
        assert_eq!((&body["message"], &body["status"]), (&body["error"]["message"], &414.into()));
        for ours in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 20\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 4",
            "",
        ] {
            assert_eq!(explained(ours.as_bytes()), None, "{ours}");
        }
    }
}

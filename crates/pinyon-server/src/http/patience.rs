//! HTTP/1.1 connections whose requests are refused. After a refusal for want of room (429) nothing is read for a while, which
//! doubles with each until a request succeeds: a client that comes back at once is held by its own connection and costs
//! nothing. After any refusal (4xx) that ends the connection what the client still sends is read and thrown away for a moment:
//! a connection that is closed with bytes unread is reset, and a reset may overtake the answer.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

const PAUSE_MIN: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// Most bytes that are thrown away at the end, and the longest time for it.
const DRAINED_BYTES_MAX: usize = 256 << 10;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// A connection that is patient with its client.
#[derive(Debug)]
pub(super) struct Patient<T> {
    inner: T,
    /// How long it was not read after the last refusal; zero after a success.
    pause: Duration,
    /// Runs while it is not read.
    paused: Option<Pin<Box<Sleep>>>,
    /// Whether the last answer was a refusal.
    has_refused: bool,
    /// Bytes thrown away at the end, and the time until when they are.
    drain: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<T> Patient<T> {
    pub(super) const fn new(inner: T) -> Self {
        Self { inner, pause: Duration::ZERO, paused: None, has_refused: false, drain: None }
    }

    /// Looks at what is written: an answer begins with its status.
    fn note(&mut self, written: &[u8]) {
        let Some([class, rest @ ..]) = written.strip_prefix(b"HTTP/1.1 ") else { return };
        self.has_refused = *class == b'4';
        if *class == b'2' {
            self.pause = Duration::ZERO;
        } else if self.has_refused && rest.starts_with(b"29 ") {
            self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            self.paused = Some(Box::pin(sleep(self.pause)));
        }
    }
}

impl<T: AsyncRead + Unpin> Patient<T> {
    /// Reads until the client ends too, or for long enough.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (drained, until) = self.drain.get_or_insert_with(|| (0, Box::pin(sleep(DRAIN_TIME_MAX))));
        let mut bytes = [0; 8 << 10];
        while *drained < DRAINED_BYTES_MAX && until.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.inner).poll_read(context, &mut buffer));
            match buffer.filled().len() {
                0 => break,
                _ if read.is_err() => break,
                count => *drained += count,
            }
        }
        Poll::Ready(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(paused) = &mut self.paused {
            ready!(paused.as_mut().poll(context));
            self.paused = None;
        }
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, bytes));
        self.note(bytes);
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(context, parts));
        self.note(parts.first().map_or(&[], |first| first));
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.drain.is_none() {
            ready!(Pin::new(&mut self.inner).poll_shutdown(context))?;
        }
        if self.has_refused {
            ready!(self.poll_drain(context));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    const REFUSAL: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\n\r\n";

    /// Whether a byte that is there is read within this time.
    async fn is_read(stream: &mut Patient<impl AsyncRead + Unpin>, millis: u64) -> bool {
        timeout(Duration::from_millis(millis), stream.read_u8()).await.is_ok()
    }

    /// As long as a busy machine may take to wake a task.
    const LATE: u64 = 2_000;

    #[tokio::test]
    async fn pauses_double_up_to_the_longest_and_end_with_a_success() {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let mut server = Patient::new(server);
        client.write_all(&[7; 64]).await.unwrap();
        assert!(is_read(&mut server, LATE).await);
        for pause in [25, 50, 100, 200, 400, 400] {
            server.write_all(REFUSAL).await.unwrap();
            assert!(
                !is_read(&mut server, pause * 3 / 4).await && is_read(&mut server, LATE).await,
                "{pause}"
            );
        }
        server.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        assert!(is_read(&mut server, LATE).await && server.pause.is_zero());
        server.write_all(REFUSAL).await.unwrap();
        assert_eq!((server.pause, is_read(&mut server, LATE).await), (PAUSE_MIN, true));
        // Other refusals are no want of room, and bodies are no heads.
        for other in [b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), b"429 Too Many", b""] {
            server.write_all(other).await.unwrap();
            assert!(server.paused.is_none() && is_read(&mut server, LATE).await);
        }
    }

    /// Whether a server that has answered with this goes on reading when it ends the connection.
    async fn drains(head: &[u8]) -> bool {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let mut server = Patient::new(server);
        server.write_all(head).await.unwrap();
        client.write_all(&[7; 1 << 15]).await.unwrap();
        let is_at_once = timeout(DRAIN_TIME_MAX / 4, server.shutdown()).await.is_ok();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, head);
        let is_in_the_end = timeout(DRAIN_TIME_MAX * 4, server.shutdown()).await.is_ok();
        assert!(is_in_the_end);
        !is_at_once
    }

    #[tokio::test]
    async fn behind_a_refusal_the_client_may_finish_for_a_moment() {
        assert!(drains(REFUSAL).await && drains(b"HTTP/1.1 413 Payload Too Large\r\n\r\n").await);
        assert!(!drains(b"HTTP/1.1 200 OK\r\n\r\n").await);
        let (client, server) = tokio::io::duplex(1 << 16);
        let mut server = Patient::new(server);
        server.write_all(REFUSAL).await.unwrap();
        drop(client);
        timeout(DRAIN_TIME_MAX / 4, server.shutdown()).await.unwrap().unwrap();
    }
}

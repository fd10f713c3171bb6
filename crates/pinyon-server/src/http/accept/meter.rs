//! A connection's bytes on their way between TLS and hyper: counted against the budget of frames, and watched for a client
//! that does not take what it is sent. Nothing is copied, held back or changed.

use super::{
    frames::Frames,
    held::{Ending, Held},
};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose bytes are watched.
#[derive(Debug)]
pub(super) struct Meter<T> {
    inner: T,
    held: Arc<Held>,
    /// Only HTTP/2 has frames.
    frames: Option<Frames>,
    is_stuck: bool,
}

impl<T> Meter<T> {
    pub(super) const fn http1(inner: T, held: Arc<Held>) -> Self {
        Self { inner, held, frames: None, is_stuck: false }
    }

    /// Of a stream that begins with the client's preface.
    pub(super) fn http2(inner: T, held: Arc<Held>) -> Self {
        Self { inner, held, frames: Some(Frames::new()), is_stuck: false }
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if self.is_stuck != written.is_pending() {
            self.is_stuck = written.is_pending();
            self.held.takes_bytes(!self.is_stuck);
        }
        if let (Some(frames), Poll::Ready(Ok(bytes))) = (&mut self.frames, &written) {
            frames.sent(*bytes);
        }
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Meter<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.held.is_ending() {
            // Whoever ends the connection polls it as long as there is something to send.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        if let Some(frames) = &mut this.frames
            && !frames.read(buffer.filled().get(before..).unwrap_or_default())
        {
            // Whoever polls this looks for the end next; nothing more is read before that.
            this.held.end(Ending::Frames);
            buffer.set_filled(before);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Meter<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

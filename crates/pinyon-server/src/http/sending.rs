//! Long answers on their way to the client: handed over in pieces, and paid for until the last piece was taken. What an
//! answer was made from is given back as soon as it is known how long it is; the rest when it is sent, given up or not read
//! for too long. Short answers are not looked at.

use super::gate::Ticket;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{task::AbortHandle, time::sleep};

/// Bytes that are handed over at once. Connections take the next piece when this one has nearly gone, so no more than two
/// are ahead of the client.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// Looks at whether a client takes anything within the time that it may take nothing for.
const LOOKS: u32 = 4;

/// Ticket that an answer is paid with, on its way to whoever sends it.
#[derive(Debug, Clone)]
pub(super) struct Unpaid(pub(super) Arc<Ticket>);

/// Pays for an answer's body until it was taken, for at most `time_max` without progress.
pub(super) fn paid(body: Body, Unpaid(ticket): Unpaid, time_max: Duration) -> Body {
    // Whoever takes long to read keeps no request out but by the bytes.
    ticket.leave_place();
    if let Some(bytes) = body.size_hint().exact() {
        ticket.settle(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    let size = body.size_hint();
    let taken = Arc::new(Mutex::new(Some(Taking { body, rest: Bytes::new(), ticket, has_moved: true })));
    let watch = tokio::spawn(cut(Arc::clone(&taken), time_max)).abort_handle();
    Body::new(Paid { taking: taken, watch, size })
}

/// What is left of an answer.
#[derive(Debug)]
struct Taking {
    body: Body,
    /// Of a piece of the body that is too long.
    rest: Bytes,
    ticket: Arc<Ticket>,
    /// Whether the client took a piece since somebody looked.
    has_moved: bool,
}

type Shared = Arc<Mutex<Option<Taking>>>;

/// Nothing that is done under the lock panics.
fn lock(taking: &Shared) -> MutexGuard<'_, Option<Taking>> {
    taking.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Drops what is left when no piece was taken for too long. A body is not asked while its client takes nothing, so this
/// needs somebody beside it.
async fn cut(taking: Shared, time_max: Duration) {
    let mut looks_without = 0;
    while looks_without < LOOKS {
        sleep(time_max / LOOKS).await;
        let Some(has_moved) = lock(&taking).as_mut().map(|taking| std::mem::take(&mut taking.has_moved))
        else {
            return;
        };
        looks_without = if has_moved { 0 } else { looks_without + 1 };
    }
    tracing::debug!("an answer was cut because its client did not read it");
    *lock(&taking) = None;
}

/// Body of an answer that is paid for.
#[derive(Debug)]
struct Paid {
    taking: Shared,
    watch: AbortHandle,
    size: SizeHint,
}

impl Taking {
    /// The next piece, copied where it is part of something longer: whoever sends it would keep the whole of that.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                ended => return Poll::Ready(ended),
            };
            match frame.into_data() {
                Ok(data) => self.begin(data),
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        self.has_moved = true;
        if self.rest.len() <= PIECE_BYTES {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))));
        }
        let piece = Bytes::copy_from_slice(&self.rest.split_to(PIECE_BYTES));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    /// Takes in what the body gave. One that did not say how long it is (gRPC's) gives all at once.
    fn begin(&mut self, data: Bytes) {
        if self.body.size_hint().exact().is_none() {
            self.ticket.settle(data.len());
        }
        self.rest = data;
    }
}

impl HttpBody for Paid {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut guard = lock(&self.taking);
        let Some(taking) = guard.as_mut() else {
            let problem = "the answer was not read for too long";
            return Poll::Ready(Some(Err(axum::Error::new(io::Error::new(
                io::ErrorKind::TimedOut,
                problem,
            )))));
        };
        taking.poll_piece(context)
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

impl Drop for Paid {
    fn drop(&mut self) {
        self.watch.abort();
        *lock(&self.taking) = None;
    }
}

#[cfg(test)]
mod tests;

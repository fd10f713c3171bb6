//! Bodies while they arrive: every byte is charged to the request's ticket before it is kept, and a body that is slow to come
//! gives its place up until it is there.

use super::gate::{Refused, Ticket};
use crate::ApiError;
use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep, timeout};
use tonic::Status;

/// Time after which a body that is not there yet gives up its place. Long for what is sent at once, short for who is silent.
const PLACE_TIME_MAX: Duration = Duration::from_secs(1);

/// Most bytes that are allocated for a body because they are announced; from there on memory grows with what arrives.
const FIRST_BYTES_MAX: usize = 1 << 20;

/// Bytes that a byte of a compressed gRPC message is taken to stand for; REST's are charged as they are decompressed.
const COMPRESSED_WEIGHT: usize = 8;

/// Takes a whole body in. One that comes in a single piece is not copied.
///
/// # Errors
/// More than `bytes_max` bytes, no room for them, no end of them within `time_max`, a connection that broke.
pub(super) async fn whole(body: Body, bytes_max: usize, time_max: Duration) -> Result<Bytes, ApiError> {
    let ticket = Ticket::current();
    let mut collecting = std::pin::pin!(collect(body, bytes_max, ticket.as_deref()));
    let patience = time_max.min(PLACE_TIME_MAX);
    if let Ok(collected) = timeout(patience, &mut collecting).await {
        return collected;
    }
    if let Some(ticket) = &ticket {
        ticket.leave_place();
    }
    let Ok(collected) = timeout(time_max - patience, collecting).await else {
        let message = format!("the body did not arrive within {} s", time_max.as_secs());
        return Err(ApiError::new(408, "REQUEST_TIMEOUT", message));
    };
    if let Some(ticket) = &ticket {
        ticket.take_place()?;
    }
    collected
}

async fn collect(mut body: Body, bytes_max: usize, ticket: Option<&Ticket>) -> Result<Bytes, ApiError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Err(ApiError::too_large(bytes_max));
    }
    let mut next = async |so_far: usize| {
        let Some(piece) = piece(&mut body).await? else { return Ok(None) };
        if so_far + piece.len() > bytes_max {
            return Err(ApiError::too_large(bytes_max));
        }
        if let Some(ticket) = ticket {
            ticket.charge(piece.len())?;
        }
        Ok(Some((piece, body.is_end_stream())))
    };
    let mut all = match next(0).await? {
        None => return Ok(Bytes::new()),
        Some((whole, true)) => return Ok(whole),
        Some((first, false)) => {
            let mut all = Vec::with_capacity(announced.min(FIRST_BYTES_MAX).max(first.len()));
            all.extend_from_slice(&first);
            all
        }
    };
    let most = if announced == 0 { bytes_max } else { announced };
    while let Some((piece, _)) = next(all.len()).await? {
        make_room(&mut all, piece.len(), most);
        all.extend_from_slice(&piece);
    }
    Ok(all.into())
}

/// Room for `more` bytes of a body of at most `most`. It grows fourfold and more: pages that nothing was written to take no
/// memory, and the shorter buffers that were copied out of, which the allocator may hold for a while, are a third of `most`.
pub(super) fn make_room(all: &mut Vec<u8>, more: usize, most: usize) {
    let needed = all.len() + more;
    if needed > all.capacity() {
        let wanted = needed.saturating_mul(4);
        let wanted = if wanted > most / 4 { most.max(needed) } else { wanted };
        all.reserve_exact(wanted - all.len());
    }
}

/// The next bytes; nothing at the end.
async fn piece(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            ApiError::new(400, "INVALID_ARGUMENT", format!("the body did not arrive whole: {error}"))
        })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// A gRPC body, for tonic to read.
#[derive(Debug)]
pub(crate) struct Charged {
    body: Body,
    time_max: Duration,
    /// That of the request, once the body is asked for.
    ticket: Option<Arc<Ticket>>,
    weight: usize,
    is_begun: bool,
    /// Runs while bytes are waited for: until the place is given up, then until the body is.
    patience: Option<Pin<Box<Sleep>>>,
    has_left: bool,
}

impl Charged {
    /// A body that must be there within `time_max`.
    pub(crate) fn new(body: Body, time_max: Duration) -> Self {
        let (ticket, patience) = (None, None);
        Self { body, time_max, ticket, weight: 1, is_begun: false, patience, has_left: false }
    }

    /// Charges a piece; the first one tells how long the message is and whether it is compressed.
    fn charge(&mut self, piece: &[u8]) -> Result<(), Refused> {
        let Some(ticket) = self.ticket.as_deref() else { return Ok(()) };
        if !std::mem::replace(&mut self.is_begun, true)
            && let Some(([flag, length @ ..], _)) = piece.split_first_chunk::<5>()
        {
            self.weight = if *flag == 0 { 1 } else { COMPRESSED_WEIGHT };
            ticket.check_room(u64::from(u32::from_be_bytes(*length)) * self.weight as u64)?;
        }
        ticket.charge(piece.len() * self.weight)
    }

    /// Runs the clock while nothing comes.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        loop {
            let time = if self.has_left { self.time_max } else { PLACE_TIME_MAX.min(self.time_max) };
            let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(time)));
            std::task::ready!(patience.as_mut().poll(context));
            self.patience = None;
            if self.has_left {
                let message = format!("the message did not arrive within {} s", self.time_max.as_secs());
                return Poll::Ready(Status::deadline_exceeded(message));
            }
            self.has_left = true;
            if let Some(ticket) = &self.ticket {
                ticket.leave_place();
            }
        }
    }

    /// Comes back for the place that was given up.
    fn end(&mut self) -> Result<(), Refused> {
        self.patience = None;
        match &self.ticket {
            Some(ticket) if self.has_left => ticket.take_place(),
            _ => Ok(()),
        }
    }
}

fn refusal(refused: Refused) -> Status {
    let message = ApiError::from(refused).body.error.message;
    match refused {
        Refused::NoPlace | Refused::NoBytes | Refused::NoMemory => Status::resource_exhausted(message),
        Refused::TooLarge(_) => Status::out_of_range(message),
    }
}

impl HttpBody for Charged {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.ticket.is_none() {
            this.ticket = Ticket::current();
        }
        let frame = match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Pending => return this.poll_patience(context).map(|status| Some(Err(status))),
            Poll::Ready(frame) => frame,
        };
        let charged = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(Ok(()), |data| this.charge(data)),
            Some(Err(_)) | None => Ok(()),
        };
        let ended = if frame.is_none() || this.body.is_end_stream() { this.end() } else { Ok(()) };
        if let Err(refused) = charged.and(ended) {
            return Poll::Ready(Some(Err(refusal(refused))));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| Status::from_error(error.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::make_room;

    #[test]
    fn a_body_that_grows_leaves_buffers_of_a_third_of_it_behind_and_none_is_longer_than_it_may_be() {
        for most in [1_000, 70_000, 4 << 20, 64 << 20] {
            let (mut all, mut left) = (Vec::with_capacity(100), 0);
            while all.len() + 997 <= most {
                let before = all.capacity();
                make_room(&mut all, 997, most);
                left += if all.capacity() > before { before } else { 0 };
                all.resize(all.len() + 997, b'x');
                assert!(all.capacity() <= most && 3 * left <= most + 3 * 997, "{left} of {most}");
            }
        }
    }
}

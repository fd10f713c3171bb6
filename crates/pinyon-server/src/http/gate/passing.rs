//! Requests on their way through the gate, and what their answers are still to be paid for.

use super::{ANSWER_FACTOR, Gate, Purpose, Ticket};
use crate::{
    ApiError,
    http::{
        leftover,
        sending::{PIECE_BYTES, Unpaid},
    },
};
use axum::{body::HttpBody, extract::Request, http::header, middleware::Next, response::Response};
use pinyon_wire::bounded::{self, Lender};
use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, atomic::Ordering},
};

/// Room that every message has: what is made of a short one.
const OWN_BYTES: usize = 64 << 10;

/// Lets a request through to its handler, or refuses it in the words of its API.
pub(crate) async fn pass(
    gate: &Arc<Gate>,
    request: Request,
    next: Next,
    refuse: impl FnOnce(ApiError) -> Response,
) -> Response {
    through(gate, request, refuse, |_, request| next.run(request)).await
}

/// As [`pass`], for a handler that reads the body by itself: whatever it makes of it has the room that the ticket lends.
pub(crate) async fn pass_lending(
    gate: &Arc<Gate>,
    request: Request,
    next: Next,
    refuse: impl FnOnce(ApiError) -> Response,
) -> Response {
    through(gate, request, refuse, |ticket, request| lending(ticket, next.run(request))).await
}

async fn through<W: Future<Output = Response>>(
    gate: &Arc<Gate>,
    request: Request,
    refuse: impl FnOnce(ApiError) -> Response,
    work: impl FnOnce(Arc<Ticket>, Request) -> W,
) -> Response {
    let announced = announced(&request);
    match gate.enter(Purpose::of(&request), announced) {
        Ok(ticket) => {
            let work = work(Arc::clone(&ticket), request);
            unpaid(Arc::clone(&ticket).hold(work).await, ticket)
        }
        Err(refused) => leftover::thrown_away(request, announced, refuse(refused.into())),
    }
}

/// Leaves the ticket with an answer that is long; it has to be paid for until it is sent. One over gRPC is encoded only then,
/// and does not say how long it will be: what was lent for it tells.
fn unpaid(mut response: Response, ticket: Arc<Ticket>) -> Response {
    let is_long = match response.body().size_hint().exact() {
        Some(bytes) => bytes > PIECE_BYTES as u64,
        None => ticket.charged.load(Ordering::Relaxed) > ANSWER_FACTOR * PIECE_BYTES,
    };
    if is_long {
        response.extensions_mut().insert(Unpaid(ticket));
    }
    response
}

fn announced(request: &Request) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Makes the ticket the lender of whatever thread `work` is polled on, while it is. As much as the body has bytes was charged
/// for what is made of it, and a short one may stand for more.
async fn lending<T>(ticket: Arc<Ticket>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        let lender = Arc::clone(&ticket) as Arc<dyn Lender>;
        bounded::within(ticket.body_bytes() + OWN_BYTES, Some(lender), || work.as_mut().poll(context))
    })
    .await
}

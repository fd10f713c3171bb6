//! What stands before the handlers: keys, and a number for every request.

use super::{App, pass};
use crate::{ApiError, auth::mark_refused, pinecone};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-pinecone-request-id");

/// Lets in who has a key; our own routes.
pub(super) async fn authenticate(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.admits(request.headers()) {
        return pass(app.gate(), request, next, ApiError::into_response).await;
    }
    refused(request.headers())
}

/// The answer to who has no key, outside Pinecone's API.
pub(super) fn refused(headers: &HeaderMap) -> Response {
    let message =
        "Invalid API key: send one of the server's keys as `Api-Key: KEY` or `Authorization: Bearer KEY`";
    mark_refused(headers, ApiError::new(401, "UNAUTHENTICATED", message).into_response())
}

/// Lets in who has a key; Pinecone's control plane.
pub(super) async fn authenticate_control(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.admits(request.headers()) {
        return pass(app.gate(), request, next, pinecone::control_refusal).await;
    }
    pinecone::unauthenticated_control(request.headers())
}

/// Lets in who has a key and asks for a path that is text; Pinecone's data plane.
pub(crate) fn admit_data(app: &App, request: &Request) -> Result<(), Box<Response>> {
    if !app.admits(request.headers()) {
        return Err(Box::new(pinecone::unauthenticated_data(request.headers())));
    }
    check_readable(request).map_err(|error| Box::new(pinecone::data_refusal(error)))
}

/// Refuses paths that are no text, before a handler's `Path` does in words of its own and outside every envelope.
pub(super) async fn readable(
    State(refuse): State<fn(ApiError) -> Response>,
    request: Request,
    next: Next,
) -> Response {
    match check_readable(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => refuse(error),
    }
}

fn check_readable(request: &Request) -> Result<(), ApiError> {
    let path = request.uri().path();
    if !path.contains('%') || std::str::from_utf8(&unescaped(path)).is_ok() {
        return Ok(());
    }
    let message = format!("the path {path} is not UTF-8 once its escapes are read");
    Err(ApiError::new(400, "INVALID_ARGUMENT", message))
}

/// The bytes that a path stands for. An escape that is none stands for itself.
fn unescaped(path: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend(before.as_bytes());
        match after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend(rest.as_bytes());
    bytes
}

/// Numbers every answer, so that a client and the log can speak of the same request.
pub(super) async fn number(request: Request, next: Next) -> Response {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static RANDOM: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let mut response = next.run(request).await;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let random = RANDOM.hash_one(number);
    if let Ok(value) = HeaderValue::from_str(&format!("{random:016x}{number:08x}")) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escapes_are_read_and_what_is_none_stays() {
        assert_eq!(unescaped("/shard/a%20b%E6%97%A5"), "/shard/a b日".as_bytes());
        assert_eq!(unescaped("/a%zz%2"), b"/a%zz%2");
        assert!(std::str::from_utf8(&unescaped("/shard/%ff")).is_err());
    }
}

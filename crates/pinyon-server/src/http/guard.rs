//! What stands before the handlers: keys, and a number for every request.

use super::App;
use crate::{ApiError, pinecone};
use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-pinecone-request-id");

/// Lets in who has a key; our own routes.
pub(super) async fn authenticate(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.admits(request.headers()) {
        return next.run(request).await;
    }
    refused().into_response()
}

/// The answer to who has no key, outside Pinecone's API.
pub(super) fn refused() -> ApiError {
    let message =
        "Invalid API key: send one of the server's keys as `Api-Key: KEY` or `Authorization: Bearer KEY`";
    ApiError::new(401, "UNAUTHENTICATED", message)
}

/// Lets in who has a key; Pinecone's control plane.
pub(super) async fn authenticate_control(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.admits(request.headers()) {
        return next.run(request).await;
    }
    pinecone::unauthenticated(request.headers(), "Invalid API key")
}

/// Lets in who has a key; Pinecone's data plane.
pub(super) async fn authenticate_data(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.admits(request.headers()) {
        return next.run(request).await;
    }
    pinecone::unauthenticated(request.headers(), "Unauthorized")
}

/// Numbers every answer, so that a client and the log can speak of the same request.
pub(super) async fn number(request: Request, next: Next) -> Response {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut response = next.run(request).await;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let random = RandomState::new().hash_one(number);
    if let Ok(value) = HeaderValue::from_str(&format!("{random:016x}{number:08x}")) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

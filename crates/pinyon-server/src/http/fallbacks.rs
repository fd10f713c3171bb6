//! Answers to requests that no handler takes: nothing at the path, nothing for the method, a handler that panicked.

use super::{App, guard};
use crate::{ApiError, pinecone};
use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};

/// The answer of a handler that panicked.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::new(500, "INTERNAL", "the request failed; the server's log has the reason").into_response()
}

/// Who has no key learns nothing, not even what there is not.
pub(super) async fn not_found(State(app): State<App>, request: Request) -> Response {
    if !app.admits(request.headers()) {
        return guard::refused(request.headers());
    }
    let message = format!("there is nothing at {}; /docs lists what there is", request.uri().path());
    ApiError::new(404, "NOT_FOUND", message).into_response()
}

/// As [`not_found`], of a method.
pub(super) async fn method_not_allowed(State(app): State<App>, request: Request) -> Response {
    if !app.admits(request.headers()) {
        return guard::refused(request.headers());
    }
    let message =
        format!("{} does not answer to {}; /docs lists what does", request.uri().path(), request.method());
    ApiError::new(405, "METHOD_NOT_ALLOWED", message).into_response()
}

/// As [`method_not_allowed`], with the refusal in the words of Pinecone's data plane.
pub(super) async fn wrong_method_of_index(State(app): State<App>, request: Request) -> Response {
    if !app.admits(request.headers()) {
        return pinecone::unauthenticated_data(request.headers());
    }
    method_not_allowed(State(app), request).await
}

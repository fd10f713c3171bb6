//! What stands before the service: the key, the client's deadline. Refusals are gRPC's own: HTTP 200 and a status.

use crate::{
    ApiError,
    auth::mark_refused,
    http::{App, Charged, pass_lending},
    pinecone::envelope::{RpcCode, RpcError, unauthenticated_data},
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::time::Duration;
use tonic::Status;

pub(crate) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    if !app.admits(request.headers()) {
        return unauthenticated(request.headers());
    }
    let (time, time_max) = (timeout(request.headers()), app.limits().body_time_max);
    let request = request.map(|body| Body::new(Charged::new(body, time_max)));
    let passed = pass_lending(app.gate(), request, next, refused);
    let Some(time) = time else { return passed.await };
    match tokio::time::timeout(time, passed).await {
        Ok(response) => response,
        Err(_) => Status::deadline_exceeded("the client's deadline has passed").into_http(),
    }
}

fn refused(error: ApiError) -> Response {
    let retry_after = error.retry_after;
    let mut response = Status::from(RpcError::from(error)).into_http();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn unauthenticated(headers: &HeaderMap) -> Response {
    mark_refused(headers, Status::unauthenticated("Invalid API key").into_http())
}

/// The answer of an index's port to what it does not know, in the caller's protocol.
pub(crate) async fn nothing_there(State(app): State<App>, request: Request) -> Response {
    let (headers, path) = (request.headers(), request.uri().path());
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (is_grpc, is_admitted) = (kind.starts_with("application/grpc"), app.admits(headers));
    match (is_grpc, is_admitted) {
        (true, false) => unauthenticated(headers),
        (true, true) => Status::unimplemented(format!("{path} is not a method of this server")).into_http(),
        (false, false) => unauthenticated_data(headers),
        (false, true) => {
            RpcError::new(RpcCode::NotFound, format!("there is nothing at {path} on an index's port"))
                .into_response()
        }
    }
}

/// The header `grpc-timeout`: up to eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_read_as_the_protocol_says() {
        let read = |text: &str| {
            let headers: HeaderMap =
                [("grpc-timeout".parse().unwrap(), text.parse().unwrap())].into_iter().collect();
            timeout(&headers)
        };
        assert_eq!(read("20S"), Some(Duration::from_secs(20)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(read("150m"), Some(Duration::from_millis(150)));
        for bad in ["", "S", "1", "100000000S", "-1S", "1.5S", "1s", "é"] {
            assert_eq!(bad.parse::<axum::http::HeaderValue>().ok().and_then(|_| read(bad)), None, "{bad}");
        }
    }
}

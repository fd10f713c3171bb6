//! Bodies of requests that were refused before they were read. An answer does not wait for them; but in HTTP/1.1 they lie in
//! front of the next request, so short ones are read and thrown away, and behind long ones the connection ends.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Version, header},
    response::Response,
};
use http_body_util::BodyExt;
use pinyon_planted::is_planted;
use std::time::Duration;

/// Most bytes that are thrown away to keep a connection.
const THROWN_BYTES_MAX: u64 = 256 << 10;
/// Longest time for that.
const THROWING_TIME_MAX: Duration = Duration::from_secs(1);

/// Gives the answer, having seen to what is left of the request: `announced` bytes, if it says.
pub(super) fn thrown_away(request: Request, announced: Option<u64>, mut response: Response) -> Response {
    if !matches!(request.version(), Version::HTTP_10 | Version::HTTP_11) {
        // A stream of HTTP/2 ends by itself and gives its window back.
        return response;
    }
    // Who waits for leave to send gets none, and has sent nothing.
    let is_kept = announced.is_none_or(|bytes| bytes <= THROWN_BYTES_MAX)
        && !request.headers().contains_key(header::EXPECT);
    if !is_kept {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    } else if !is_planted(19) && !axum::body::HttpBody::is_end_stream(request.body()) {
        tokio::spawn(tokio::time::timeout(THROWING_TIME_MAX, throw_away(request.into_body())));
    }
    response
}

async fn throw_away(mut body: Body) {
    let mut thrown = 0;
    while let Some(Ok(frame)) = body.frame().await {
        thrown += frame.data_ref().map_or(0, |data| data.len() as u64);
        if thrown > THROWN_BYTES_MAX {
            return;
        }
    }
}

//! What strangers are told, and the headers that keep pages from reading answers that are not for them.

use super::check::Refusal;
use crate::ApiError;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use tonic::Status;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Bytes of what a stranger sent that an answer repeats.
const REPEATED_MAX: usize = 100;

impl Refusal {
    /// One word for metrics.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::NoHost | Self::UnknownHost(_) => "host",
            Self::CrossSite => "site",
            Self::ForeignOrigin(_) => "origin",
            Self::ContentType(_) => "content_type",
            Self::Preflight => "preflight",
            Self::PlainText => "plain_text",
            Self::Guesses(_) => "guesses",
        }
    }

    const fn status(&self) -> u16 {
        match self {
            Self::NoHost | Self::PlainText => 400,
            Self::Guesses(_) => 429,
            Self::ContentType(_) => 415,
            Self::UnknownHost(_) | Self::CrossSite | Self::ForeignOrigin(_) | Self::Preflight => 403,
        }
    }

    fn message(&self) -> String {
        let remedy = "add it to PINYON_ALLOWED_ORIGINS to let its pages ask this server";
        match self {
            Self::NoHost => "the request must name one host that it is for, in the header Host".into(),
            Self::UnknownHost(host) => format!(
                "host {} is not known here; add it to PINYON_ALLOWED_HOSTS if this server has that name",
                repeated(host)
            ),
            Self::CrossSite => {
                format!("a page of another site sent this and its origin is not known here; {remedy}")
            }
            Self::ForeignOrigin(origin) => {
                format!("a page of another origin sent this, {}; {remedy}", repeated(origin))
            }
            Self::ContentType(kind) => {
                format!("a body of type {} is not read; send it as application/json", repeated(kind))
            }
            Self::PlainText => "this server speaks TLS only; use https://".into(),
            Self::Guesses(wait) => format!(
                "too many different keys came from your address and were none of ours; wait {} s",
                wait.as_secs() + 1
            ),
            Self::Preflight => {
                format!("pages of other origins may not ask this server; where the origin is yours, {remedy}")
            }
        }
    }

    /// The refusal in the caller's protocol. The body is the envelopes of all our APIs in one: a page that was not meant
    /// to ask has none of them.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Response {
        let message = self.message();
        let is_grpc = request.headers().get(header::CONTENT_TYPE).is_some_and(is_grpc);
        let mut response = match self.status() {
            429 if is_grpc => Status::resource_exhausted(message).into_http(),
            400 if is_grpc => Status::invalid_argument(message).into_http(),
            _ if is_grpc => Status::permission_denied(message).into_http(),
            status => in_every_envelope(status, &message),
        };
        if let Self::Guesses(wait) = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        }
        response
    }
}

fn repeated(text: &str) -> &str {
    text.get(..REPEATED_MAX).unwrap_or(text)
}

fn in_every_envelope(status: u16, message: &str) -> Response {
    // google.rpc.Code: PERMISSION_DENIED, RESOURCE_EXHAUSTED, INVALID_ARGUMENT.
    let (word, code) = match status {
        403 => ("FORBIDDEN", 7),
        429 => ("RESOURCE_EXHAUSTED", 8),
        _ => ("INVALID_ARGUMENT", 3),
    };
    let body = serde_json::json!({
        "status": status, "error": {"code": word, "message": message}, "detail": message,
        "code": code, "message": message, "details": [],
    });
    let mut response = ApiError::new(status, word, "").into_response();
    *response.body_mut() = Body::from(body.to_string());
    response
}

fn is_grpc(kind: &HeaderValue) -> bool {
    kind.as_bytes().starts_with(b"application/grpc")
}

/// Keeps browsers from guessing a type and from showing an answer inside pages of other origins. gRPC is nothing that a
/// browser shows.
pub(super) fn protect(headers: &mut HeaderMap) {
    if headers.get(header::CONTENT_TYPE).is_some_and(is_grpc) {
        return;
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
}

/// Lets pages of this origin read an answer. Cookies and the like are not asked for: keys come in headers of ours.
pub(super) fn share(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

/// Answers a page that asks whether it may ask (Fetch, CORS-preflight request).
pub(super) fn preflight<B>(request: &Request<B>, origin: HeaderValue) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    if let Some(wanted) = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    headers.insert(header::VARY, HeaderValue::from_static("origin, access-control-request-headers"));
    response
}

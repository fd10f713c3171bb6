//! Reading a request's body: bounded in bytes and in time, as JSON, with errors that say what is wrong.

use super::{
    App, BadBody, arriving,
    encoding::{self, Encoding},
    gate::Ticket,
    json,
};
use crate::ApiError;
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;

/// Largest body: ten thousand vectors of 1536 components as JSON do not fit, a thousand do many times over.
pub(super) const BODY_BYTES_MAX: usize = 64 << 20;

/// Bytes that some editors and languages write in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A JSON body.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned + Send + 'static> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let bytes = body_bytes(request, app).await?;
        Ok(Self(app.transform(bytes.len(), move || json::read(&bytes)).await??))
    }
}

impl From<BadBody> for ApiError {
    fn from(bad: BadBody) -> Self {
        if bad.has_no_room() {
            return Self::new(429, "RESOURCE_EXHAUSTED", bad.problem);
        }
        match bad.field {
            Some(field) => Self::invalid(&field, bad.problem),
            None => Self::new(400, "INVALID_ARGUMENT", bad.problem),
        }
    }
}

/// A request's body, whole, decompressed, and without a byte order mark.
pub(crate) async fn body_bytes(request: Request, app: &App) -> Result<Bytes, ApiError> {
    let encoding = Encoding::of(request.headers())?;
    let mut bytes = arriving::whole(request.into_body(), BODY_BYTES_MAX, app.limits().body_time_max).await?;
    if encoding == Encoding::Gzip && !bytes.is_empty() {
        let ticket = Ticket::current();
        let charge = move |bytes| ticket.as_ref().map_or(Ok(()), |ticket| ticket.charge(bytes));
        bytes = app.transform(usize::MAX, move || encoding::gunzip(&bytes, BODY_BYTES_MAX, charge)).await??;
    }
    let marked = bytes.starts_with(BYTE_ORDER_MARK);
    Ok(if marked { bytes.slice(BYTE_ORDER_MARK.len()..) } else { bytes })
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.body).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

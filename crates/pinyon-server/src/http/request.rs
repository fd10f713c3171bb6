//! Reading a request's body: bounded in bytes and in time, as JSON, with errors that say what is wrong.

use super::{App, BadBody, Limits, json};
use crate::ApiError;
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

/// Largest body: ten thousand vectors of 1536 components as JSON do not fit, a thousand do many times over.
pub(super) const BODY_BYTES_MAX: usize = 64 << 20;

/// A JSON body.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned + Send + 'static> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let bytes = body_bytes(request, app.limits()).await?;
        Ok(Self(app.transform(bytes.len(), move || json::read(&bytes)).await??))
    }
}

impl From<BadBody> for ApiError {
    fn from(bad: BadBody) -> Self {
        match bad.field {
            Some(field) => Self::invalid(&field, bad.problem),
            None => Self::new(400, "INVALID_ARGUMENT", bad.problem),
        }
    }
}

/// A request's body, whole.
pub(crate) async fn body_bytes(request: Request, limits: &Limits) -> Result<Bytes, ApiError> {
    let limited = Limited::new(request.into_body(), BODY_BYTES_MAX);
    let Ok(collected) = tokio::time::timeout(limits.body_time_max, limited.collect()).await else {
        let message = format!("the body did not arrive within {} s", limits.body_time_max.as_secs());
        return Err(ApiError::new(408, "REQUEST_TIMEOUT", message));
    };
    Ok(collected.map_err(|error| body_error(&*error))?.to_bytes())
}

fn body_error(error: &(dyn std::error::Error + 'static)) -> ApiError {
    if error.is::<LengthLimitError>() {
        let message = format!("the body must have at most {BODY_BYTES_MAX} bytes; send it in parts");
        return ApiError::new(413, "PAYLOAD_TOO_LARGE", message);
    }
    ApiError::new(400, "INVALID_ARGUMENT", format!("the body did not arrive whole: {error}"))
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

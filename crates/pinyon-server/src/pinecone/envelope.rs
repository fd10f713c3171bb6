//! Errors as Pinecone writes them: one envelope for the control plane, another for the data plane.

use super::version::ApiVersion;
use crate::{
    ApiError,
    auth::{given_key, mark_refused},
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use pinyon_core::{EngineError, ErrorCode};
use pinyon_types::Invalid;
use pinyon_wire::{
    control::{ControlError, ControlErrorDetail},
    vectors::RpcStatus,
};

/// Codes of google.rpc.Code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RpcCode {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
}

impl RpcCode {
    const fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::AnswerTooLarge => Self::OutOfRange,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::AlreadyExists => Self::AlreadyExists,
            ErrorCode::PermissionDenied => Self::PermissionDenied,
            ErrorCode::FailedPrecondition | ErrorCode::Locked => Self::FailedPrecondition,
            ErrorCode::Overloaded => Self::ResourceExhausted,
            ErrorCode::StorageFull
            | ErrorCode::NoDescriptors
            | ErrorCode::WritesRefused
            | ErrorCode::Quarantined
            | ErrorCode::EmbedderFailed => Self::Unavailable,
            ErrorCode::DataDamaged => Self::DataLoss,
            ErrorCode::Internal => Self::Internal,
        }
    }

    const fn http_status(self) -> u16 {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition | Self::OutOfRange => 400,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists => 409,
            Self::ResourceExhausted => 429,
            Self::Internal | Self::DataLoss => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }
}

/// An error of the data plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RpcError {
    pub(super) code: RpcCode,
    pub(super) message: String,
    http_status: u16,
    retry_after: Option<u32>,
}

impl RpcError {
    pub(super) fn new(code: RpcCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), http_status: code.http_status(), retry_after: None }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(RpcCode::InvalidArgument, message)
    }
}

impl From<EngineError> for RpcError {
    fn from(error: EngineError) -> Self {
        let (code, message) = (RpcCode::of(error.code), sentence(&error));
        Self { retry_after: ApiError::from(error).retry_after, ..Self::new(code, message) }
    }
}

impl From<Invalid> for RpcError {
    fn from(invalid: Invalid) -> Self {
        EngineError::from(invalid).into()
    }
}

/// What the HTTP layer refused before a handler saw it.
impl From<ApiError> for RpcError {
    fn from(error: ApiError) -> Self {
        let code = match error.status {
            408 => RpcCode::DeadlineExceeded,
            429 => RpcCode::ResourceExhausted,
            500.. => RpcCode::Internal,
            _ => RpcCode::InvalidArgument,
        };
        let given = Self { retry_after: error.retry_after, ..Self::new(code, error.body.error.message) };
        // These say more than the code, which has no word for them.
        if matches!(error.status, 413 | 415) { Self { http_status: error.status, ..given } } else { given }
    }
}

/// A problem that is a whole sentence stands alone, without the field in front: clients match the vendor's texts.
fn sentence(error: &EngineError) -> String {
    let problem = error.field.as_ref().and_then(|field| error.message.strip_prefix(field.as_str()));
    let problem = problem.and_then(|rest| rest.strip_prefix(": "));
    problem.filter(|problem| problem.starts_with(char::is_uppercase)).unwrap_or(&error.message).to_owned()
}

impl IntoResponse for RpcError {
    fn into_response(self) -> Response {
        let status = self.http_status;
        let body = RpcStatus { code: self.code as i32, message: self.message, details: [] };
        let mut response = response(status, serde_json::to_vec(&body).unwrap_or_default());
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An error of the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ControlFailure(ControlError);

impl ControlFailure {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        let error = ControlErrorDetail { code: code.into(), message: message.into() };
        Self(ControlError { status, error })
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", message)
    }

    pub(super) fn message(&self) -> &str {
        &self.0.error.message
    }
}

impl From<EngineError> for ControlFailure {
    fn from(error: EngineError) -> Self {
        let message = sentence(&error);
        let ApiError { status, body, .. } = error.into();
        Self::new(status, &body.error.code, message)
    }
}

/// What was refused, as people read it.
pub(super) fn sentence_of(invalid: Invalid) -> String {
    sentence(&invalid.into())
}

impl From<Invalid> for ControlFailure {
    fn from(invalid: Invalid) -> Self {
        EngineError::from(invalid).into()
    }
}

impl From<ApiError> for ControlFailure {
    fn from(error: ApiError) -> Self {
        Self::new(error.status, &error.body.error.code, error.body.error.message)
    }
}

impl IntoResponse for ControlFailure {
    fn into_response(self) -> Response {
        response(self.0.status, serde_json::to_vec(&self.0).unwrap_or_default())
    }
}

/// The control plane's answer to who has no key or a wrong one.
pub(crate) fn unauthenticated_control(headers: &HeaderMap) -> Response {
    mark_refused(headers, unauthenticated(ApiVersion::of(headers), "Invalid API key"))
}

/// The data plane's answer to who has no key or a wrong one. To 2025-10 the two differ.
pub(crate) fn unauthenticated_data(headers: &HeaderMap) -> Response {
    let version = ApiVersion::of(headers);
    let is_wrong = given_key(headers).is_some_and(|key| !key.is_empty());
    let response = if version <= ApiVersion::Late2025 && is_wrong {
        (StatusCode::FORBIDDEN, "Wrong API key").into_response()
    } else {
        unauthenticated(version, "Unauthorized")
    };
    mark_refused(headers, response)
}

/// A plain text since 2026-07, an envelope before.
fn unauthenticated(version: ApiVersion, text: &'static str) -> Response {
    if version == ApiVersion::Schema {
        return (StatusCode::UNAUTHORIZED, text).into_response();
    }
    ControlFailure::new(401, "UNAUTHENTICATED", "Invalid API key.").into_response()
}

/// What the HTTP layer refuses, in the control plane's envelope.
pub(crate) fn control_refusal(error: ApiError) -> Response {
    ControlFailure::from(error).into_response()
}

/// What the HTTP layer refuses, in the data plane's envelope.
pub(crate) fn data_refusal(error: ApiError) -> Response {
    RpcError::from(error).into_response()
}

fn response(status: u16, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == 429 || status == 503 {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

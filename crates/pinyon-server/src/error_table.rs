//! The one table from the engine's codes to HTTP. No side effects.

use pinyon_core::{EngineError, ErrorCode};
use pinyon_wire::tenant::{ErrorBody, ErrorDetail};

/// An error as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: ErrorBody,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u32>,
}

/// When to ask again for what is on a shard that is kept out: somebody has to mend it.
const QUARANTINE_RETRY_SECONDS: u32 = 30;

/// Status and word of a code.
const fn entry(code: ErrorCode) -> (u16, &'static str) {
    match code {
        ErrorCode::InvalidArgument => (400, "INVALID_ARGUMENT"),
        ErrorCode::AnswerTooLarge => (400, "OUT_OF_RANGE"),
        ErrorCode::NotFound => (404, "NOT_FOUND"),
        ErrorCode::AlreadyExists => (409, "ALREADY_EXISTS"),
        ErrorCode::PermissionDenied => (403, "FORBIDDEN"),
        ErrorCode::FailedPrecondition => (409, "FAILED_PRECONDITION"),
        ErrorCode::Overloaded => (429, "RESOURCE_EXHAUSTED"),
        ErrorCode::StorageFull => (507, "STORAGE_FULL"),
        ErrorCode::WritesRefused | ErrorCode::NoDescriptors | ErrorCode::Quarantined => (503, "UNAVAILABLE"),
        ErrorCode::DataDamaged => (500, "DATA_LOSS"),
        ErrorCode::Locked => (409, "LOCKED"),
        ErrorCode::EmbedderFailed => (502, "EMBEDDER_FAILED"),
        ErrorCode::Internal => (500, "INTERNAL"),
    }
}

impl ApiError {
    /// An error of the HTTP layer itself.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let detail = message.clone();
        let error = ErrorDetail { code: code.into(), message, field: None };
        let retry_after = (status == 429 || status == 503).then_some(1);
        Self { status, body: ErrorBody { error, detail }, retry_after }
    }

    /// A refused field.
    pub fn invalid(field: &str, problem: impl Into<String>) -> Self {
        pinyon_types::Invalid::new(field, problem).into()
    }

    /// The refusal of a body of more than `bytes_max` bytes, decompressed ones if it came compressed.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let message = format!("the body must have at most {bytes_max} bytes; send it in parts");
        Self::new(413, "PAYLOAD_TOO_LARGE", message)
    }
}

impl From<pinyon_types::Invalid> for ApiError {
    fn from(invalid: pinyon_types::Invalid) -> Self {
        EngineError::from(invalid).into()
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let (status, code) = entry(error.code);
        let mut api = Self::new(status, code, error.message);
        api.body.error.field = error.field;
        if error.code == ErrorCode::Quarantined {
            api.retry_after = Some(QUARANTINE_RETRY_SECONDS);
        }
        api
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_status_and_only_passing_trouble_asks_to_come_back() {
        let table = [
            (ErrorCode::InvalidArgument, 400, "INVALID_ARGUMENT", None),
            (ErrorCode::NotFound, 404, "NOT_FOUND", None),
            (ErrorCode::AlreadyExists, 409, "ALREADY_EXISTS", None),
            (ErrorCode::PermissionDenied, 403, "FORBIDDEN", None),
            (ErrorCode::FailedPrecondition, 409, "FAILED_PRECONDITION", None),
            (ErrorCode::Overloaded, 429, "RESOURCE_EXHAUSTED", Some(1)),
            (ErrorCode::StorageFull, 507, "STORAGE_FULL", None),
            (ErrorCode::WritesRefused, 503, "UNAVAILABLE", Some(1)),
            (ErrorCode::NoDescriptors, 503, "UNAVAILABLE", Some(1)),
            (ErrorCode::Quarantined, 503, "UNAVAILABLE", Some(30)),
            (ErrorCode::DataDamaged, 500, "DATA_LOSS", None),
            (ErrorCode::Locked, 409, "LOCKED", None),
            (ErrorCode::EmbedderFailed, 502, "EMBEDDER_FAILED", None),
            (ErrorCode::Internal, 500, "INTERNAL", None),
        ];
        for (code, status, word, retry_after) in table {
            let api = ApiError::from(EngineError::new(code, "what happened"));
            assert_eq!(
                (api.status, api.body.error.code.as_str(), api.retry_after),
                (status, word, retry_after)
            );
            assert_eq!(api.body.detail, "what happened");
        }
    }
}

//! The engine's one error: a closed code that says whose fault it is and whether trying again helps, and a sentence.

use crate::catalog::CatalogError;
use pinyon_embed::EmbedError;
use pinyon_shard::ShardError;
use pinyon_types::Invalid;
use std::{fmt, io, path::Path};

/// What kind of failure. Closed: a caller maps every one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is wrong and stays wrong; nothing was changed.
    InvalidArgument,
    /// What the request names does not exist.
    NotFound,
    /// What the request wants to make is there already.
    AlreadyExists,
    /// It is forbidden until somebody allows it.
    PermissionDenied,
    /// The state of the data forbids it; the message says the way out.
    FailedPrecondition,
    /// Beyond capacity now; later it may work.
    Overloaded,
    /// The disk is full; nothing was written.
    StorageFull,
    /// A shard or the catalog takes no writes until a restart.
    WritesRefused,
    /// Bytes on disk are not as they were written.
    DataDamaged,
    /// The data directory is in use.
    Locked,
    /// The embedding endpoint failed.
    EmbedderFailed,
    /// The engine's own fault, or the system's.
    Internal,
}

/// A failure of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineError {
    /// What kind.
    pub code: ErrorCode,
    /// The field that was wrong, if one was.
    pub field: Option<String>,
    /// What happened and, where there is one, the remedy.
    pub message: String,
}

impl EngineError {
    /// A failure of a kind.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, field: None, message: message.into() }
    }

    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::StorageFull => ErrorCode::StorageFull,
            io::ErrorKind::WouldBlock => ErrorCode::Locked,
            _ => ErrorCode::Internal,
        };
        Self::new(code, format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EngineError {}

impl From<Invalid> for EngineError {
    fn from(invalid: Invalid) -> Self {
        let message = invalid.to_string();
        Self { code: ErrorCode::InvalidArgument, field: Some(invalid.field), message }
    }
}

impl From<ShardError> for EngineError {
    fn from(error: ShardError) -> Self {
        let code = match &error {
            ShardError::Invalid(invalid) => return invalid.clone().into(),
            ShardError::Poisoned { .. } => ErrorCode::WritesRefused,
            ShardError::NotWritten { .. } => ErrorCode::StorageFull,
            ShardError::Backlog { .. } | ShardError::MemoryFull { .. } | ShardError::StaleRoute { .. } => {
                ErrorCode::Overloaded
            }
            ShardError::OtherShape { .. } => ErrorCode::FailedPrecondition,
            ShardError::Damaged { .. }
            | ShardError::Log(_)
            | ShardError::Segment(_)
            | ShardError::Manifest(_) => ErrorCode::DataDamaged,
            _ => ErrorCode::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<CatalogError> for EngineError {
    fn from(error: CatalogError) -> Self {
        let code = match &error {
            CatalogError::Poisoned { .. } => ErrorCode::WritesRefused,
            CatalogError::Damaged { .. } | CatalogError::RolledBack { .. } => ErrorCode::DataDamaged,
            CatalogError::OtherStore { .. } => ErrorCode::FailedPrecondition,
            CatalogError::Store { .. } => ErrorCode::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<EmbedError> for EngineError {
    fn from(error: EmbedError) -> Self {
        Self::new(ErrorCode::EmbedderFailed, error.to_string())
    }
}

//! The engine's one error: a closed code that says whose fault it is and whether trying again helps, and a sentence.

use crate::catalog::CatalogError;
use pinyon_backend::{BackendError, WriteError};
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
    /// What was asked for is more than an answer may hold.
    AnswerTooLarge,
    /// Beyond capacity now; later it may work.
    Overloaded,
    /// The disk is full; nothing was written.
    StorageFull,
    /// The process or the system has no file descriptor left; nothing was changed.
    NoDescriptors,
    /// A shard or the catalog takes no writes until a restart.
    WritesRefused,
    /// A shard is kept out because of damage to its files; the message names it and them.
    Quarantined,
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

    /// Adds which record of a request a refusal is about, if it is a refusal.
    #[must_use]
    pub fn of_record(self, id: &str) -> Self {
        let Some(field) = self.field.as_deref().filter(|_| self.code == ErrorCode::InvalidArgument) else {
            return self;
        };
        let problem = self.message.strip_prefix(field).and_then(|rest| rest.strip_prefix(": "));
        of_record(Invalid::new(field, problem.unwrap_or(&self.message)), "", id).into()
    }

    /// The same, with files named relative to their data directory: where it lies is nobody's business beyond this machine.
    #[must_use]
    pub fn relative_to(mut self, data_dir: &Path) -> Self {
        let prefix = format!("{}/", data_dir.display());
        if prefix.len() > 1 && self.message.contains(&prefix) {
            self.message = self.message.replace(&prefix, "");
        }
        self
    }

    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::StorageFull => ErrorCode::StorageFull,
            io::ErrorKind::WouldBlock => ErrorCode::Locked,
            _ => ErrorCode::Internal,
        };
        Self::of_system(code, format!("{}: {error}", path.display()))
    }

    /// A failure that may be one of descriptors, whatever else it looks like: only the system's own words pass through every store.
    fn of_system(code: ErrorCode, message: String) -> Self {
        const WORDS: [&str; 2] = ["(os error 24)", "(os error 23)"];
        match WORDS.iter().any(|words| message.contains(words)) && code != ErrorCode::WritesRefused {
            true => Self::new(ErrorCode::NoDescriptors, format!("{message}: {NO_DESCRIPTORS}")),
            false => Self::new(code, message),
        }
    }
}

/// What to do when there are none.
pub(crate) const NO_DESCRIPTORS: &str = "raise the limit of file descriptors (ulimit -n), or delete indexes";

impl EngineError {
    /// Whether bytes are not as they were written, or nobody foresaw what happened: trouble of what was opened alone.
    pub(crate) const fn is_damage(&self) -> bool {
        matches!(self.code, ErrorCode::DataDamaged | ErrorCode::Internal)
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

impl From<BackendError> for EngineError {
    fn from(error: BackendError) -> Self {
        let code = match &error {
            BackendError::Invalid(invalid) => return invalid.clone().into(),
            BackendError::WritesRefused(_) => ErrorCode::WritesRefused,
            BackendError::Full(_) => ErrorCode::StorageFull,
            BackendError::Busy(_) | BackendError::Closed { .. } | BackendError::TimedOut => {
                ErrorCode::Overloaded
            }
            BackendError::Suspect(_) => ErrorCode::Quarantined,
            BackendError::OtherShape(_) => ErrorCode::FailedPrecondition,
            BackendError::Damaged(_) => ErrorCode::DataDamaged,
            _ => ErrorCode::Internal,
        };
        Self::of_system(code, error.to_string())
    }
}

impl From<WriteError> for EngineError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused { error, .. } => error.into(),
            WriteError::Unknown(error) => {
                let message = format!("{error}; the change may have been made: read before it is made again");
                Self::of_system(ErrorCode::WritesRefused, message)
            }
        }
    }
}

impl From<ShardError> for EngineError {
    fn from(error: ShardError) -> Self {
        BackendError::from(error).into()
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
        Self::of_system(code, error.to_string())
    }
}

impl From<EmbedError> for EngineError {
    fn from(error: EmbedError) -> Self {
        Self::new(ErrorCode::EmbedderFailed, error.to_string())
    }
}

/// Longest part of an id that a message repeats.
const SHOWN_CHARS_MAX: usize = 100;

/// Adds to an error which record of a request it is about. `place` is where the record stands in the request, like
/// `vectors[3]`; empty where it stands alone. Nothing is put into the problem's own words: clients search for them.
#[must_use]
pub fn of_record(invalid: Invalid, place: &str, id: &str) -> Invalid {
    let mut shown: String = id.chars().take(SHOWN_CHARS_MAX).collect();
    let is_named = invalid.problem.contains(&format!("'{shown}'"));
    if shown.len() < id.len() {
        shown.push('…');
    }
    // A problem that is a whole sentence is shown without its field, so the place is said behind it.
    let is_sentence = invalid.problem.starts_with(char::is_uppercase);
    let names = [
        (is_sentence && !place.is_empty()).then(|| place.to_owned()),
        (!is_named && !id.is_empty()).then(|| format!("ID '{shown}'")),
    ];
    let names: Vec<String> = names.into_iter().flatten().collect();
    let problem = match names.as_slice() {
        [] => invalid.problem,
        names => format!("{} ({})", invalid.problem, names.join(", ")),
    };
    let invalid = Invalid::new(invalid.field, problem);
    if place.is_empty() { invalid } else { invalid.within(place) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_for_want_of_descriptors_is_told_from_others_wherever_it_happened() {
        let full = || io::Error::from_raw_os_error(24);
        let path = Path::new("/d/log");
        let of_shard = ShardError::Io { path: path.to_owned(), source: full() };
        let of_catalog = CatalogError::Store { path: path.to_owned(), problem: full().to_string() };
        let of_log = ShardError::NotWritten { reason: full().to_string(), is_disk_full: false };
        let all = [EngineError::io(path, &full()), of_shard.into(), of_catalog.into(), of_log.into()];
        for error in all {
            assert_eq!(error.code, ErrorCode::NoDescriptors, "{error}");
            assert!(error.message.contains("ulimit -n"), "{error}");
        }
        assert_eq!(EngineError::io(path, &io::Error::from_raw_os_error(5)).code, ErrorCode::Internal);
        let log_is_gone = ShardError::NotWritten { reason: "/d/log: not found".into(), is_disk_full: false };
        assert_eq!(EngineError::from(log_is_gone).code, ErrorCode::Internal);
        let poisoned = ShardError::Poisoned { reason: full().to_string() };
        assert_eq!(EngineError::from(poisoned).code, ErrorCode::WritesRefused);
    }
}

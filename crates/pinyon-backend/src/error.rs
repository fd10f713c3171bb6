//! Why a backend did not do what it was asked.

use crate::Change;
use pinyon_types::{Epoch, Invalid};

/// A backend's error. Each kind is one that callers treat alike, wherever the records are kept; the text says what happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The request is wrong and stays wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The namespace takes no writes that were routed like this one: route again.
    #[error("namespace was routed at epoch {given}, the shard has seen {seen}")]
    Closed {
        /// The epoch that came with the request.
        given: Epoch,
        /// The lowest that the namespace takes.
        seen: Epoch,
    },
    /// Beyond what the shard can take now; later it may.
    #[error("{0}")]
    Busy(String),
    /// There is no room for what is not a deletion.
    #[error("{0}")]
    Full(String),
    /// An earlier write's outcome is not known, and no other is taken until somebody looked.
    #[error("{0}")]
    WritesRefused(String),
    /// Bytes were met that cannot be; they are being looked at.
    #[error("{0}")]
    Suspect(String),
    /// Bytes are not as they were written, or not those that belong here.
    #[error("{0}")]
    Damaged(String),
    /// The data have another shape than was asked for.
    #[error("{0}")]
    OtherShape(String),
    /// The time was up.
    #[error("the shard did not answer in time")]
    TimedOut,
    /// Anything else: the system's failure, or the backend's own fault.
    #[error("{0}")]
    Failed(String),
}

/// Why a change was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It has no effect and never will have.
    #[error("{error}")]
    Refused {
        /// Why.
        error: BackendError,
        /// The change, where it was not used up: [`BackendError::Closed`] always gives it back.
        change: Option<Box<Change>>,
    },
    /// It may have an effect, whole, even later: see [`crate::ShardBackend::settle`].
    #[error(transparent)]
    Unknown(BackendError),
}

impl WriteError {
    /// A refusal that used the change up.
    pub fn refused(error: impl Into<BackendError>) -> Self {
        Self::Refused { error: error.into(), change: None }
    }
}

//! Why a copy did not come about.

use super::planning::PlanError;
use crate::{EngineError, ErrorCode, catalog::NotCommitted};
use pinyon_backend::BackendError;
use pinyon_types::RecordId;

/// Why a copy did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CopyError {
    /// The source could not be read.
    #[error("the source could not be read: {0}")]
    Source(BackendError),
    /// The target could not be read or written.
    #[error("the target could not be read or written: {0}")]
    Target(BackendError),
    /// The target took a record and gives another, or none.
    #[error("record {0} is not what was written to the target")]
    NotKept(RecordId),
    /// The disk has too little room to go on.
    #[error("{0}")]
    NoRoom(String),
    /// Somebody ended it.
    #[error("it was ended")]
    Ended,
}

impl From<NotCommitted<PlanError>> for EngineError {
    fn from(error: NotCommitted<PlanError>) -> Self {
        use PlanError::{
            AlreadyMoving, AlreadyThere, Encoding, Job, OtherRequest, Reassigned, UnknownMove, UnknownTenant,
            WrongPhase,
        };
        let error = match error {
            NotCommitted::Refused(error) => error,
            NotCommitted::Unavailable(error) | NotCommitted::Unknown(error) => return error.into(),
        };
        let code = match &error {
            UnknownTenant | UnknownMove => ErrorCode::NotFound,
            AlreadyThere | AlreadyMoving(_) | OtherRequest(_) | WrongPhase(_) | Reassigned => {
                ErrorCode::FailedPrecondition
            }
            Job(_) => ErrorCode::Overloaded,
            Encoding(_) => ErrorCode::Internal,
        };
        Self::new(code, error.to_string())
    }
}

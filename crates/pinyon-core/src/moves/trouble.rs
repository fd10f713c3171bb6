//! Why an attempt at a move ended without its phase being over, and which failures are which.

use super::{error::CopyError, planning::PlanError};
use crate::{EngineError, catalog::NotCommitted};
use pinyon_backend::{BackendError, WriteError};

/// Why an attempt ended without its phase being over.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Somebody ended it.
    Ended,
    /// Another attempt may do better.
    Later(String),
    /// Nobody knows what became of the switch. The source stays closed until the catalog was read again: what one copy took may be out of
    /// sight.
    Unknown(String),
    /// It cannot be done.
    Fatal(String),
}

impl From<CopyError> for Trouble {
    fn from(error: CopyError) -> Self {
        use BackendError::{Damaged, Full, Invalid, OtherShape};
        match &error {
            CopyError::Ended => Self::Ended,
            CopyError::NotKept(_)
            | CopyError::NoRoom(_)
            | CopyError::Source(Damaged(_) | OtherShape(_))
            | CopyError::Target(Damaged(_) | OtherShape(_) | Full(_) | Invalid(_)) => {
                Self::Fatal(error.to_string())
            }
            CopyError::Source(_) | CopyError::Target(_) => Self::Later(error.to_string()),
        }
    }
}

impl From<BackendError> for Trouble {
    fn from(error: BackendError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<WriteError> for Trouble {
    fn from(error: WriteError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<NotCommitted<PlanError>> for Trouble {
    fn from(error: NotCommitted<PlanError>) -> Self {
        Self::Later(match error {
            NotCommitted::Refused(error) => error.to_string(),
            NotCommitted::Unavailable(error) | NotCommitted::Unknown(error) => error.to_string(),
        })
    }
}

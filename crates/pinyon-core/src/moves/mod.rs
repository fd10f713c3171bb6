//! Moving a tenant: its records are copied while they are read and written, and looked at again before anybody relies on the copy.
//!
//! Copying, catching up and verifying are one routine, [`Copier::walk`]: both sides in the order of their ids, page by page, and the
//! target made to hold what the source holds. It needs no snapshot, because whatever changes behind it is named by the notes of a
//! watch, and no memory of how far it came, because walking over what is equal already changes nothing.

// Used by its tests alone, until routes can be switched.
#![cfg_attr(not(test), allow(dead_code))]

mod copier;
mod difference;
mod pace;
mod side;
#[cfg(test)]
mod tests;

use pace::{Pace, Spent};
use side::Side;

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
    /// Somebody ended it.
    #[error("it was ended")]
    Ended,
}

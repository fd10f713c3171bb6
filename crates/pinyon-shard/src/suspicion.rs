//! Bytes that cannot be: what was verified when a file was opened is not what is read of it now, because somebody wrote to the file.
//! Whoever meets such bytes says so and gives no answer; the files are read again soon.
//!
//! Accessors of a row lie deep below loops that hand out texts and numbers, so the way out is to unwind: quietly, with a value that
//! says what it is. [`crate::Shard`]'s methods end it, and so does whoever serves requests.

use crate::ShardError;
use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
};

/// What unwinds from bytes that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Implausible {
    /// The file that they are of.
    pub path: PathBuf,
}

impl fmt::Display for Implausible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not as it was written, by what was read of it. Its bytes are being read again",
            self.path.display()
        )
    }
}

impl Implausible {
    /// What unwound, if it is this.
    pub fn of(unwound: &(dyn Any + Send)) -> Option<&Self> {
        unwound.downcast_ref()
    }
}

/// Unwinds from bytes that cannot be.
pub(crate) fn implausible(path: &Path) -> ! {
    resume_unwind(Box::new(Implausible { path: path.to_owned() }))
}

/// Does something that reads rows; what comes upon bytes that cannot be is an error.
pub(crate) fn unwinding<T>(read: impl FnOnce() -> Result<T, ShardError>) -> Result<T, ShardError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|unwound| match Implausible::of(&*unwound) {
        Some(Implausible { path }) => Err(ShardError::Suspect { path: path.clone() }),
        None => resume_unwind(unwound),
    })
}

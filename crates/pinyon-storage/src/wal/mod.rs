//! The log: numbered frames in files of a shard's directory. See FORMAT.md for the bytes.
//!
//! How a torn tail is told from damage: every frame notes up to where the log was durable when it was written. Behind a
//! bad frame, a valid one that claims the bad one as durable proves that acknowledged bytes were damaged: an error
//! (WAL-2). Without such a witness the bad frame and all behind it belong to one write that was never acknowledged, of
//! which a power loss kept some sectors: it is cut.

mod inspect;
pub(crate) mod layout;
mod reader;
mod recover;
mod removal;
mod rescue;
#[cfg(test)]
mod tests;
mod writer;

pub use inspect::{FrameReport, LogReport, holds_entries, inspect, is_log_file_name};
pub use layout::log_file_name;
pub use reader::{Frame, LogEnd};
pub use recover::{ExpectedLog, LogFile, Plan, RecoverRequest, Recovered, TornTail, examine};
pub use removal::remove_logs_below;
pub use rescue::{LostEntries, RescuedLogs, rescue};
pub use writer::{LogHead, Wal, WalOptions};

use crate::{Owner, io::is_full};
use pinyon_types::SeqNo;
use std::{
    io,
    path::{Path, PathBuf},
};

/// What can go wrong with a log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    /// The system failed a file operation.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The log file or its directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full. Unless the log is poisoned now, nothing was written and it goes on.
    #[error("no space left for {path}: {source}", path = .path.display())]
    Full {
        /// The log file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that had been acknowledged do not read back.
    #[error("{path} is damaged at byte {offset}: {what}; restore it from a backup", path = .path.display())]
    Damaged {
        /// The log file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// It is whole, and another shard's.
    #[error("{path} is another's file: it is of {found}, expected {expected}", path = .path.display())]
    Foreign {
        /// The log file.
        path: PathBuf,
        /// Whose name stands in it.
        found: Owner,
        /// Whose should.
        expected: Owner,
    },
    /// A log file that must be there is not.
    #[error("{path} is missing: it holds log entries from {first_seq} on", path = .path.display())]
    Missing {
        /// The log file.
        path: PathBuf,
        /// Its first position.
        first_seq: SeqNo,
    },
    /// A frame would be larger than the format allows.
    #[error("a log entry of {bytes} bytes is larger than the limit of {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// An earlier write or sync failed (WAL-3).
    #[error("the log failed before and takes no more entries")]
    Poisoned,
    /// The log was closed.
    #[error("the log was closed and takes no more entries")]
    Closed,
}

impl WalError {
    fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match is_full(&source) {
            true => Self::Full { path, source },
            false => Self::Io { path, source },
        }
    }
}

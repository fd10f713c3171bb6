//! What can go wrong in a shard.

use pinyon_storage::{Owner, io::is_full, manifest::ManifestError, segment::SegmentError, wal::WalError};
use pinyon_types::{Epoch, Invalid, SegmentId};
use std::{io, path::PathBuf};

/// A shard's error. A failed write changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The request was refused before anything was written.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The request was routed with an older routing table than the namespace has seen: route again.
    #[error("namespace was routed at epoch {given}, the shard has seen {seen}")]
    StaleRoute {
        /// The epoch that came with the request.
        given: Epoch,
        /// The epoch that the namespace has seen.
        seen: Epoch,
    },
    /// An earlier write failed to reach the disk; writes are refused until a restart has read the log again (WAL-3).
    #[error("writes are refused since the log failed ({reason}); restart to read the log again")]
    Poisoned {
        /// The failure that poisoned the shard.
        reason: String,
    },
    /// The write could not be placed on disk (a full disk, mostly); nothing was written and later writes may succeed.
    #[error("not written: {reason}")]
    NotWritten {
        /// What the disk said.
        reason: String,
        /// Whether that was that it has no room.
        is_disk_full: bool,
    },
    /// Sealing does not keep up with writing, or cannot proceed.
    #[error("the shard's memtable is full and sealing is behind{}", .reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    Backlog {
        /// Why sealing failed, if it did.
        reason: Option<String>,
    },
    /// Memtables alone take more memory than there may be; sealing them makes room.
    #[error(
        "memtables take {used} bytes, more than the limit on memory of {bytes_max} (setting memory_mib): try again when they are \
             sealed, write less at once, or raise the limit"
    )]
    MemoryFull {
        /// Bytes of all memtables.
        used: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The disk has no room for what is not a deletion.
    #[error(
        "there is no room on the disk ({free_mib} MiB free): delete records or indexes, or make the disk larger; reads and deletions go on \
             (setting disk_full_mib)"
    )]
    DiskFull {
        /// MiB that are free.
        free_mib: u64,
    },
    /// The data on disk have another shape than the caller expects.
    #[error("{path} holds {setting} {found}, but {expected} was asked for", path = .path.display())]
    OtherShape {
        /// The shard's directory.
        path: PathBuf,
        /// Which setting differs.
        setting: &'static str,
        /// What the data have.
        found: String,
        /// What the caller asked for.
        expected: String,
    },
    /// The data are whole, and another shard's.
    #[error("{path} is another's: it is of {found}, expected {expected}", path = .path.display())]
    Foreign {
        /// The shard's directory.
        path: PathBuf,
        /// Whose name stands in it.
        found: Owner,
        /// Whose should.
        expected: Owner,
    },
    /// The data are whole, and those of an earlier day: what was acknowledged since is not in them.
    #[error("{path} went back to an earlier state: {what}", path = .path.display())]
    Stale {
        /// The shard's directory.
        path: PathBuf,
        /// What tells.
        what: String,
    },
    /// The log could not be written or read.
    #[error(transparent)]
    Log(#[from] WalError),
    /// A segment could not be written or read.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The manifest could not be written or read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Bytes of a file are not as they were written, or make no sense; its bytes are being read again.
    #[error("{path} is not as it was written, by what was read of it. Its bytes are being read again", path = .path.display())]
    Suspect {
        /// The file, or the directory in which it is.
        path: PathBuf,
    },
    /// Bytes passed their checksum but do not make sense.
    #[error("{path} is damaged: {what}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not make sense.
        what: String,
    },
    /// The segment list names a segment twice, or more than a segment can hold was asked of one.
    #[error("segment {segment} cannot hold more than {rows_max} rows")]
    TooManyRows {
        /// The segment.
        segment: SegmentId,
        /// The most rows a segment can hold.
        rows_max: u32,
    },
    /// A directory or file could not be read or written.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ShardError {
    /// Whether the disk had no room for it.
    pub fn is_disk_full(&self) -> bool {
        let source = match self {
            Self::DiskFull { .. } | Self::Log(WalError::Full { .. }) => return true,
            Self::NotWritten { is_disk_full, .. } => return *is_disk_full,
            Self::Segment(SegmentError::Io { source, .. })
            | Self::Manifest(ManifestError::Io { source, .. })
            | Self::Log(WalError::Io { source, .. })
            | Self::Io { source, .. } => source,
            _ => return false,
        };
        is_full(source)
    }

    /// Whether bytes are not as they were written, or not those that belong here: trouble of this shard alone.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. }
                | Self::Log(WalError::Damaged { .. } | WalError::Missing { .. })
                | Self::Segment(
                    SegmentError::Damaged { .. }
                        | SegmentError::Checksum { .. }
                        | SegmentError::OtherFile { .. }
                )
                | Self::Manifest(ManifestError::Damaged { .. })
        )
    }

    /// Whether files belong to another shard or index.
    pub const fn is_foreign(&self) -> bool {
        matches!(
            self,
            Self::OtherShape { .. }
                | Self::Foreign { .. }
                | Self::Log(WalError::Foreign { .. })
                | Self::Segment(SegmentError::Foreign { .. })
        )
    }

    /// What the system said, if it failed to read or write a file.
    pub fn system_error(&self) -> Option<&io::Error> {
        match self {
            Self::Io { source, .. }
            | Self::Log(WalError::Io { source, .. })
            | Self::Segment(SegmentError::Io { source, .. })
            | Self::Manifest(ManifestError::Io { source, .. }) => Some(source),
            _ => None,
        }
    }

    pub(crate) fn damaged(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.into(), what: what.into() }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

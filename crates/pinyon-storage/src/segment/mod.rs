//! Segment files: tagged sections, written once and never changed (SEG-1). See FORMAT.md for the bytes.
//!
//! What a section means is its caller's business. Every byte of a file is verified before it is handed out (SEG-2).

mod blocks;
mod check;
mod first_read;
#[cfg(test)]
mod first_read_tests;
mod layout;
mod reader;
mod rescue;
#[cfg(test)]
mod rescue_tests;
#[cfg(test)]
mod tests;
mod writer;

pub use crate::io::unfinished_path;
pub use check::head_of;
pub use layout::segment_file_name;
pub use reader::{SegmentFile, Verify};
pub use rescue::RescuedFile;
pub use writer::{SegmentSummary, SegmentWriter};

use crate::Owner;
use pinyon_types::SegmentId;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Whose segment it is, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHead {
    /// The shard.
    pub owner: Owner,
    /// The segment's number within the shard.
    pub segment: SegmentId,
}

/// What can go wrong with a segment file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The system failed a file operation.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes are not what the format demands.
    #[error("{path} is damaged at byte {offset}: expected {expected}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What should have been there.
        expected: &'static str,
    },
    /// The bytes of a section are not those that were written.
    #[error("{path} is damaged: section {tag} at byte {offset} has checksum {found:08x}, expected {expected:08x}", path = .path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The section.
        tag: u32,
        /// Where it begins.
        offset: u64,
        /// The checksum that was written.
        expected: u32,
        /// The checksum of what was read.
        found: u32,
    },
    /// The file is whole, but not the one that was asked for.
    #[error("{path} is the wrong file: its {what} is {found}, expected {expected}", path = .path.display())]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// Which property differs.
        what: &'static str,
        /// What was asked for.
        expected: u64,
        /// What the file says.
        found: u64,
    },
    /// The file is whole, and another shard's.
    #[error("{path} is another's file: it is of {found}, expected {expected}", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose name stands in it.
        found: Owner,
        /// Whose should.
        expected: Owner,
    },
    /// The file has no such section.
    #[error("{path} has no section {tag}", path = .path.display())]
    NoSection {
        /// The file.
        path: PathBuf,
        /// The section.
        tag: u32,
    },
    /// A section does not consist of whole numbers of the width asked for.
    #[error("{path}: section {tag} has {bytes} bytes, which are not numbers of {width} bytes", path = .path.display())]
    NotNumbers {
        /// The file.
        path: PathBuf,
        /// The section.
        tag: u32,
        /// The section's length.
        bytes: usize,
        /// Bytes of a number.
        width: usize,
    },
    /// The writer was told to begin a section twice, or more sections than a file can hold.
    #[error("{path}: section {tag} cannot be added", path = .path.display())]
    RefusedSection {
        /// The file.
        path: PathBuf,
        /// The section.
        tag: u32,
    },
    /// The writer was given bytes before a section was begun.
    #[error("{path}: bytes belong to no section", path = .path.display())]
    OutsideSection {
        /// The file.
        path: PathBuf,
    },
}

impl SegmentError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

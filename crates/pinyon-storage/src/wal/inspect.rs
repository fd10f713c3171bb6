//! A look at a log file without changing it.

use super::{
    WalError,
    layout::{HEADER_BYTES, decode_header, first_seq_of_name},
    reader::{LogEnd, LogReader, has_any_entry},
};
use crate::{Owner, io::Io};
use pinyon_types::SeqNo;
use std::path::Path;

/// One entry, without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameReport {
    /// Where it starts.
    pub offset: u64,
    /// Its position.
    pub seq: SeqNo,
    /// What its writer called it.
    pub kind: u8,
    /// Bytes of its payload.
    pub payload_bytes: usize,
}

/// What a log file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// Whose log it is.
    pub owner: Owner,
    /// The position of its first entry.
    pub first_seq: SeqNo,
    /// Its entries.
    pub frames: Vec<FrameReport>,
    /// Bytes of the file.
    pub bytes: u64,
    /// Where its last valid frame ends.
    pub used_bytes: u64,
    /// What stands there.
    pub end: LogEnd,
}

/// Whether a file of this name is a log file.
pub fn is_log_file_name(name: &str) -> bool {
    first_seq_of_name(name).is_some()
}

/// Whether a log file holds an entry anywhere, however damaged it is otherwise.
///
/// # Errors
/// The system's.
pub fn holds_entries(io: &dyn Io, path: &Path) -> Result<bool, WalError> {
    let bytes = io.read(path).map_err(|source| WalError::Io { path: path.to_owned(), source })?;
    Ok(has_any_entry(&bytes))
}

/// Reads a log file and says what it holds.
///
/// # Errors
/// The system's, or a file without a valid header.
pub fn inspect(io: &dyn Io, path: &Path) -> Result<LogReport, WalError> {
    let bytes = io.read(path).map_err(|source| WalError::Io { path: path.to_owned(), source })?;
    let header = decode_header(&bytes).ok_or_else(|| WalError::Damaged {
        path: path.to_owned(),
        offset: 0,
        what: "its header does not read back".into(),
    })?;
    let mut reader = LogReader::new(&bytes, header.first_seq);
    let mut frames = Vec::new();
    let mut offset = HEADER_BYTES;
    while let Some(frame) = reader.next_frame() {
        frames.push(FrameReport {
            offset,
            seq: frame.seq,
            kind: frame.kind,
            payload_bytes: frame.payload.len(),
        });
        offset = reader.offset as u64;
    }
    let end = reader.end();
    let (bytes, used_bytes) = (bytes.len() as u64, reader.offset as u64);
    Ok(LogReport { owner: header.owner, first_seq: header.first_seq, frames, bytes, used_bytes, end })
}

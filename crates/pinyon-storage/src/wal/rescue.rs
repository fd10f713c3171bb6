//! What is left of damaged logs: every entry whose checksum fits, also behind one whose does not. An entry is one write, whole, so that it
//! can be read without those before it.

use super::{
    Frame, WalError,
    layout::{
        FRAME_HEAD_BYTES, FrameHead, HEADER_BYTES, KIND_END, decode_frame, decode_header, log_file_name,
    },
    removal::list_logs,
};
use crate::{Owner, io::Io};
use pinyon_types::SeqNo;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Positions whose entries cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostEntries {
    /// The file in which they were, or should be.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// The first of them.
    pub first: SeqNo,
    /// The last of them.
    pub last: SeqNo,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescuedLogs {
    /// The last position that was read, or the floor.
    pub last_seq: SeqNo,
    /// What was not.
    pub lost: Vec<LostEntries>,
    /// Files that are of others, or whose header does not read; nothing of those of others is taken.
    pub strange: Vec<PathBuf>,
}

/// Calls `visit` with every entry behind the floor that can be read, in order. Positions up to `acknowledged` that are not there are lost.
/// Changes nothing.
///
/// # Errors
/// What `visit` returns; the system's, but for single files that it does not give.
pub fn rescue<E: From<WalError>>(
    io: &dyn Io,
    dir: &Path,
    (owners, floor, acknowledged): (&[Owner], SeqNo, SeqNo),
    visit: &mut dyn FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<RescuedLogs, E> {
    let mut found = RescuedLogs { last_seq: floor, lost: Vec::new(), strange: Vec::new() };
    let mut last = (dir.to_owned(), 0);
    for first_seq in list_logs(io, dir)? {
        let path = dir.join(log_file_name(first_seq));
        let bytes = match io.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                return Err(WalError::Io { path, source: error }.into());
            }
            Err(_) => Vec::new(),
        };
        let header = decode_header(&bytes);
        if header.is_none_or(|header| !owners.contains(&header.owner)) {
            found.strange.push(path.clone());
            if header.is_some() {
                continue;
            }
        }
        // What stands where a file whose header does not read is of this shard by its name and place.
        last = (path.clone(), found.read(&path, &bytes, first_seq, visit)?);
    }
    let expected = found.last_seq.next();
    if acknowledged >= expected {
        let (path, offset) = last;
        found.lost.push(LostEntries { path, offset, first: expected, last: acknowledged });
    }
    Ok(found)
}

impl RescuedLogs {
    /// Reads a file's entries; returns where the last one ends.
    fn read<E>(
        &mut self,
        path: &Path,
        bytes: &[u8],
        first_seq: SeqNo,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut offset = HEADER_BYTES as usize;
        let mut end = offset;
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            let Some((head, payload, length)) =
                decode_frame(rest).filter(|(head, ..)| self.is_plausible(*head, first_seq, bytes.len()))
            else {
                offset += 8;
                continue;
            };
            offset += length;
            // What ends a log says which position would come next.
            let expected = self.last_seq.next();
            if head.seq > expected {
                let (path, last) = (path.to_owned(), SeqNo::new(head.seq.get() - 1));
                self.lost.push(LostEntries { path, offset: end as u64, first: expected, last });
                self.last_seq = last;
            }
            end = offset;
            if head.kind == KIND_END || head.seq <= self.last_seq {
                continue;
            }
            self.last_seq = head.seq;
            visit(Frame { seq: head.seq, kind: head.kind, payload })?;
        }
        Ok(end as u64)
    }

    /// Whether a writer of a file of this length may have given an entry its position: others are frames inside a payload.
    fn is_plausible(&self, head: FrameHead, first_seq: SeqNo, bytes: usize) -> bool {
        let entries_max = (bytes / FRAME_HEAD_BYTES) as u64;
        let before = self.last_seq.get().max(first_seq.get().saturating_sub(1));
        head.synced_seq < head.seq && head.seq.get() <= before.saturating_add(entries_max)
    }
}

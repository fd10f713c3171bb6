//! Reading a file piece by piece, from the disk itself where the system lets us.

use super::File;
use std::{io, ops::Range};

/// Where the bytes of a file come from that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// From the system's cache, where they are in it.
    Cache,
    /// From the disk: what lies there, and not what was read of it once. From the cache where the system has no way to it.
    Disk,
}

/// What tells that a file is another than before, or was written to: by the system's word, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was changed last, in nanoseconds since 1970, by the clock of its file system, which nobody sets back for one file.
    pub changed_ns: i128,
    /// Its number on the file system.
    pub inode: u64,
}

/// Offsets, lengths and addresses of reads past the cache are multiples of this.
pub(super) const BLOCK_BYTES: usize = 4096;
/// Most bytes of one piece.
const PIECE_BYTES: u64 = 1 << 20;

/// An open file that is read in pieces.
#[derive(Debug)]
pub(crate) struct PieceReader {
    file: Box<dyn File>,
    buffer: Vec<u8>,
}

impl PieceReader {
    pub(crate) const fn new(file: Box<dyn File>) -> Self {
        Self { file, buffer: Vec::new() }
    }

    /// The file.
    pub(crate) fn into_file(self) -> Box<dyn File> {
        self.file
    }

    /// A range cut into pieces, each with its offset and length.
    pub(crate) fn pieces(range: Range<u64>) -> impl Iterator<Item = (u64, u64)> {
        let mut at = range.start;
        std::iter::from_fn(move || {
            let bytes = (range.end - at).min(PIECE_BYTES - at % PIECE_BYTES);
            at += bytes;
            (bytes > 0).then_some((at - bytes, bytes))
        })
    }

    /// The bytes from an offset on; fewer only at the file's end.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn read(&mut self, offset: u64, bytes: u64) -> io::Result<&[u8]> {
        let before = (offset % BLOCK_BYTES as u64) as usize;
        let wanted = before + usize::try_from(bytes).map_err(io::Error::other)?;
        let room = aligned(&mut self.buffer, wanted.next_multiple_of(BLOCK_BYTES));
        let read = self.file.read_at(room, offset - before as u64)?;
        Ok(room.get(before..wanted.min(read)).unwrap_or_default())
    }
}

/// So many bytes of a buffer, from the first address that is a multiple of [`BLOCK_BYTES`].
pub(super) fn aligned(buffer: &mut Vec<u8>, bytes: usize) -> &mut [u8] {
    if buffer.len() < bytes + BLOCK_BYTES {
        buffer.resize(bytes + BLOCK_BYTES, 0);
    }
    let start = buffer.as_ptr().align_offset(BLOCK_BYTES);
    buffer.get_mut(start..start + bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Io, RealIo};

    #[test]
    fn pieces_join_and_begin_at_multiples_after_the_first() {
        for range in [0..0, 5..5, 5..6, 0..PIECE_BYTES, 100..3 * PIECE_BYTES + 7] {
            let pieces: Vec<_> = PieceReader::pieces(range.clone()).collect();
            assert_eq!(pieces.iter().map(|(_, bytes)| bytes).sum::<u64>(), range.end - range.start);
            let mut at = range.start;
            for (number, (offset, bytes)) in pieces.into_iter().enumerate() {
                assert_eq!(offset, at);
                assert!(bytes > 0 && bytes <= PIECE_BYTES && (number == 0 || offset % PIECE_BYTES == 0));
                at += bytes;
            }
        }
    }

    #[test]
    fn any_span_is_read_as_it_is_past_the_cache_and_through_it() {
        let dir = std::env::temp_dir().join(format!("pinyon-pieces-{}", std::process::id()));
        RealIo.create_dir_all(&dir).unwrap();
        let path = dir.join("file");
        let whole: Vec<u8> = (0..20_000_u32).map(|at| (at % 251) as u8).collect();
        RealIo.create(&path).unwrap().write_at(&whole, 0).unwrap();
        for through in [Through::Cache, Through::Disk] {
            let mut reader = PieceReader::new(RealIo.open_to_read(&path, through).unwrap());
            for (offset, bytes) in [(0, 64), (1, 4096), (4095, 2), (8192, 4096), (19_990, 100), (30_000, 5)] {
                let end = (offset + bytes).min(whole.len());
                let expected = whole.get(offset..end).unwrap_or_default();
                assert_eq!(
                    reader.read(offset as u64, bytes as u64).unwrap(),
                    expected,
                    "{through:?} {offset}"
                );
            }
        }
        RealIo.remove(&path).unwrap();
        std::fs::remove_dir(&dir).unwrap();
    }
}

//! A checksum of each block of a file, from its first byte on.

use super::layout::BLOCK_BYTES;

/// CRC-32C of each block of [`BLOCK_BYTES`], the last one of what there is.
#[derive(Debug, Default)]
pub(super) struct BlockSums {
    whole: Vec<u32>,
    current: u32,
    /// Bytes that `current` is of.
    filled: u64,
}

impl BlockSums {
    /// Adds the bytes that follow.
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(BLOCK_BYTES - self.filled).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.current = crc32c::crc32c_append(self.current, now);
            self.filled += now.len() as u64;
            if self.filled == BLOCK_BYTES {
                self.whole.push(std::mem::take(&mut self.current));
                self.filled = 0;
            }
            bytes = later;
        }
    }

    /// All of them.
    pub(super) fn end(mut self) -> Vec<u32> {
        if self.filled > 0 {
            self.whole.push(self.current);
        }
        self.whole
    }
}

/// Those of a section, as they were written.
pub(super) fn read_sums(section: &[u8]) -> Vec<u32> {
    section.chunks(4).map(|sum| sum.try_into().map_or(0, u32::from_le_bytes)).collect()
}

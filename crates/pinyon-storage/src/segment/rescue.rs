//! What is left of a damaged segment file: everything whose checksum still fits. Sections are judged as a whole first, then by blocks
//! where the file has checksums of those.

use super::{
    SegmentError, SegmentHead,
    blocks::read_sums,
    check::sections_of,
    layout::{BLOCK_BYTES, BLOCKS_TAG, Section},
};
use crate::io::{PieceReader, SharedIo, Through};
use std::{ops::Range, path::Path};

/// Bytes that are read at once where single values are asked for.
const WINDOW_BYTES: u64 = 256 << 10;

/// A file with a whole header, table and footer, and sections that may be damaged.
#[derive(Debug)]
pub struct RescuedFile {
    sections: Vec<RescuedSection>,
    checksum: u32,
}

#[derive(Debug)]
struct RescuedSection {
    section: Section,
    /// Spans of the file that are not as they were written, in order; within the section or beyond it.
    bad: Vec<Range<u64>>,
    reader: PieceReader,
    window: (u64, Vec<u8>),
}

impl RescuedFile {
    /// Opens a file and finds out which of its bytes are as they were written. Cost: one pass over its bytes, a second one over damaged
    /// sections.
    ///
    /// # Errors
    /// A header, table or footer that is damaged, without which nothing can be told of the rest; another's file; the system's.
    pub fn open(io: &SharedIo, path: &Path, expect: SegmentHead) -> Result<Self, SegmentError> {
        let failed = SegmentError::io;
        let (found, checksum) = sections_of(&**io, path, expect)?;
        let mut sections = Vec::with_capacity(found.len());
        for section in found {
            let file = io.open_to_read(path, Through::Cache).map_err(failed(path))?;
            let mut one = RescuedSection {
                section,
                bad: Vec::new(),
                reader: PieceReader::new(file),
                window: (0, Vec::new()),
            };
            let span = one.span();
            if one.checksum(span.clone()) != Some(section.checksum) {
                one.bad.push(span);
            }
            sections.push(one);
        }
        let mut rescued = Self { sections, checksum };
        rescued.look_at_blocks();
        Ok(rescued)
    }

    /// The file's checksum in the manifest, if it is the file that was named there.
    pub const fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Whether there is such a section, and every byte of it is as it was written.
    pub fn is_whole(&self, tag: u32) -> bool {
        self.find(tag).is_some_and(|one| one.bad.is_empty())
    }

    /// Tags of sections that are not whole.
    pub fn damaged(&self) -> impl Iterator<Item = u32> {
        self.sections.iter().filter(|one| !one.bad.is_empty()).map(|one| one.section.tag)
    }

    /// The length of a section; nothing if there is none.
    pub fn length(&self, tag: u32) -> Option<u64> {
        self.find(tag).map(|one| one.section.length)
    }

    /// Bytes of a section; nothing if one of them is not as it was written, or not there.
    pub fn bytes(&mut self, tag: u32, span: Range<u64>) -> Option<&[u8]> {
        self.sections.iter_mut().find(|one| one.section.tag == tag)?.bytes(span)
    }

    fn find(&self, tag: u32) -> Option<&RescuedSection> {
        self.sections.iter().find(|one| one.section.tag == tag)
    }

    /// Narrows damage down to blocks, where it is known what they were.
    fn look_at_blocks(&mut self) {
        let Some(length) = self.length(BLOCKS_TAG).filter(|_| self.is_whole(BLOCKS_TAG)) else { return };
        let Some(sums) = self.bytes(BLOCKS_TAG, 0..length) else { return };
        let sums = read_sums(sums);
        let covered = self.find(BLOCKS_TAG).map_or(0, |one| one.section.offset);
        for one in self.sections.iter_mut().filter(|one| !one.bad.is_empty()) {
            let bad = one.bad_blocks(&sums, covered);
            // Blocks that fit in a section that does not: one of both is another's, and neither is believed.
            if !bad.is_empty() {
                one.bad = bad;
            }
        }
    }
}

impl RescuedSection {
    const fn span(&self) -> Range<u64> {
        self.section.offset..self.section.offset.saturating_add(self.section.length)
    }

    /// CRC-32C of a span; nothing if it cannot be read.
    fn checksum(&mut self, span: Range<u64>) -> Option<u32> {
        PieceReader::pieces(span).try_fold(0, |sum, (at, bytes)| {
            let piece = self.reader.read(at, bytes).ok()?;
            (piece.len() as u64 == bytes).then(|| crc32c::crc32c_append(sum, piece))
        })
    }

    /// The blocks that the section lies in and that are not as they were written.
    fn bad_blocks(&mut self, sums: &[u32], covered: u64) -> Vec<Range<u64>> {
        let span = self.span();
        let mut bad = Vec::new();
        for number in span.start / BLOCK_BYTES..span.end.div_ceil(BLOCK_BYTES) {
            let block = number * BLOCK_BYTES..((number + 1) * BLOCK_BYTES).min(covered);
            let expected = usize::try_from(number).ok().and_then(|at| sums.get(at)).copied();
            if expected.is_none() || self.checksum(block.clone()) != expected {
                bad.push(block);
            }
        }
        bad
    }

    fn bytes(&mut self, span: Range<u64>) -> Option<&[u8]> {
        if span.start > span.end || span.end > self.section.length {
            return None;
        }
        let (start, end) = (self.section.offset + span.start, self.section.offset + span.end);
        if self.bad.iter().any(|bad| bad.start < end && start < bad.end) {
            return None;
        }
        let (at, held) = (self.window.0, self.window.1.len() as u64);
        if start < at || end > at + held {
            let bytes = (end - start).max(WINDOW_BYTES).min(self.span().end - start);
            self.window = (start, self.reader.read(start, bytes).ok()?.to_vec());
        }
        let (from, to) = (start - self.window.0, end - self.window.0);
        self.window.1.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
    }
}

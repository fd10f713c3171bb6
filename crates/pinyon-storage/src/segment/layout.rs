//! The bytes of a segment file: header, sections, section table, footer. Everything begins at a multiple of 64.
//!
//! Header (64): that of [`crate::owner`], magic "PNYSEG\0\0", its number the segment's.
//! Table entry (24): 0 tag u32, 4 CRC-32C u32 of the section, 8 offset u64, 16 length u64.
//! Footer (32), right behind the table: 0 table offset u64, 8 file length u64, 16 section count u32, 20 CRC-32C u32 of
//! header, table and footer bytes 0..20, 24 magic "PNYSEGF\0".

use super::SegmentHead;
use crate::{
    bytes::{BytesError, Reader},
    owner::{self, Header},
};
use pinyon_types::SegmentId;
use std::ops::Range;

pub(super) use owner::{HEADER_BYTES, VERSION};

pub(super) const ENTRY_BYTES: usize = 24;
pub(super) const FOOTER_BYTES: usize = 32;
pub(super) const ALIGNMENT: u64 = 64;
/// Most sections of a file: far more than any writer has, and few enough to search them one by one.
pub(super) const SECTIONS_MAX: usize = 1024;

/// The section with a checksum of each block before it, always the last.
pub(super) const BLOCKS_TAG: u32 = 19;
/// Bytes of such a block.
pub(super) const BLOCK_BYTES: u64 = 64 << 10;

const HEADER_MAGIC: &[u8; 8] = b"PNYSEG\0\0";
const FOOTER_MAGIC: &[u8; 8] = b"PNYSEGF\0";

/// The name of a segment's file.
pub fn segment_file_name(id: SegmentId) -> String {
    format!("segment-{:016}.seg", id.get())
}

/// Where a section lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) tag: u32,
    pub(super) checksum: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Section {
    /// Where some of its numbers lie in the file.
    pub(super) fn bytes_of<T>(&self, numbers: &Range<usize>) -> Range<u64> {
        let byte = |at: usize| self.offset.saturating_add((at as u64).saturating_mul(size_of::<T>() as u64));
        byte(numbers.start)..byte(numbers.end)
    }
}

/// What a footer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) table_offset: u64,
    pub(super) file_length: u64,
    pub(super) sections: u32,
    pub(super) checksum: u32,
}

pub(super) fn encode_header(head: SegmentHead) -> Vec<u8> {
    owner::encode_header(HEADER_MAGIC, head.owner, head.segment.get())
}

/// Returns the format version and whose file it is.
pub(super) fn decode_header(header: &[u8]) -> Result<(u32, SegmentHead), BytesError> {
    let Header { version, owner, number } = owner::decode_header(HEADER_MAGIC, header)?;
    Ok((version, SegmentHead { owner, segment: SegmentId::new(number) }))
}

/// The table and the footer behind it, for a file whose header is `header`, and the footer's checksum.
pub(super) fn encode_tail(header: &[u8], table_offset: u64, sections: &[Section]) -> (Vec<u8>, u32) {
    let mut tail = Vec::with_capacity(sections.len() * ENTRY_BYTES + FOOTER_BYTES);
    for section in sections {
        tail.extend_from_slice(&section.tag.to_le_bytes());
        tail.extend_from_slice(&section.checksum.to_le_bytes());
        tail.extend_from_slice(&section.offset.to_le_bytes());
        tail.extend_from_slice(&section.length.to_le_bytes());
    }
    let file_length = table_offset + (tail.len() + FOOTER_BYTES) as u64;
    tail.extend_from_slice(&table_offset.to_le_bytes());
    tail.extend_from_slice(&file_length.to_le_bytes());
    tail.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(header), &tail);
    tail.extend_from_slice(&checksum.to_le_bytes());
    tail.extend_from_slice(FOOTER_MAGIC);
    (tail, checksum)
}

pub(super) fn decode_footer(footer: &[u8]) -> Result<Footer, BytesError> {
    let mut reader = Reader::new(footer);
    let (table_offset, file_length) = (reader.u64()?, reader.u64()?);
    let (sections, checksum) = (reader.u32()?, reader.u32()?);
    expect(reader.take(8)? == FOOTER_MAGIC, 24, "the magic of a segment footer")?;
    reader.finish()?;
    Ok(Footer { table_offset, file_length, sections, checksum })
}

/// Reads the table's entries; their sense is the reader's to check.
pub(super) fn decode_table(table: &[u8]) -> Result<Vec<Section>, BytesError> {
    let mut reader = Reader::new(table);
    let mut sections = Vec::with_capacity(table.len() / ENTRY_BYTES);
    while !reader.is_empty() {
        let (tag, checksum) = (reader.u32()?, reader.u32()?);
        sections.push(Section { tag, checksum, offset: reader.u64()?, length: reader.u64()? });
    }
    Ok(sections)
}

const fn expect(holds: bool, offset: usize, expected: &'static str) -> Result<(), BytesError> {
    if holds { Ok(()) } else { Err(BytesError { offset, expected }) }
}

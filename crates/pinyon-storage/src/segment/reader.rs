//! Opening a segment file: every byte is verified before any is handed out (SEG-2).

use super::{
    SegmentError, SegmentHead,
    layout::{
        ALIGNMENT, ENTRY_BYTES, FOOTER_BYTES, Footer, HEADER_BYTES, SECTIONS_MAX, Section, VERSION,
        decode_footer, decode_header, decode_table,
    },
};
use crate::{
    bytes::BytesError,
    io::{SealedBytes, SharedIo},
};
use std::path::{Path, PathBuf};

/// An opened segment file, all of whose bytes were verified.
#[derive(Debug)]
pub struct SegmentFile {
    path: PathBuf,
    bytes: SealedBytes,
    sections: Vec<Section>,
    checksum: u32,
}

impl SegmentFile {
    /// Opens and verifies a file. Cost: one pass over its bytes.
    ///
    /// # Errors
    /// Any byte that is not as it was written, another shard's or segment's file, the system's.
    pub fn open(io: &SharedIo, path: &Path, expect: SegmentHead) -> Result<Self, SegmentError> {
        let bytes = io.map(path).map_err(SegmentError::io(path))?;
        let check = Check { path, bytes: &bytes };
        check.header(expect)?;
        let footer = check.footer()?;
        let sections = check.table(footer)?;
        check.sections(&sections, footer.table_offset)?;
        Ok(Self { path: path.to_owned(), bytes, sections, checksum: footer.checksum })
    }

    /// Opens and verifies a file whatever its number, for a look at it, and tells what it says of itself.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_any(io: &SharedIo, path: &Path) -> Result<(Self, SegmentHead), SegmentError> {
        let bytes = io.map(path).map_err(SegmentError::io(path))?;
        let check = Check { path, bytes: &bytes };
        let header = check.slice(0, HEADER_BYTES as u64, "a whole header")?;
        let (_, head) = decode_header(header).map_err(|error| check.inside(0, &error))?;
        drop(bytes);
        Ok((Self::open(io, path, head)?, head))
    }

    /// The bytes of a section, which begin at a multiple of 64; nothing if the file has no such section.
    pub fn section(&self, tag: u32) -> Option<&[u8]> {
        let section = self.sections.iter().find(|section| section.tag == tag)?;
        slice(&self.bytes, section.offset, section.length)
    }

    /// A section as numbers.
    ///
    /// # Errors
    /// No such section, or one that does not consist of whole numbers.
    pub fn f32s(&self, tag: u32) -> Result<&[f32], SegmentError> {
        self.numbers(tag)
    }

    /// A section as numbers.
    ///
    /// # Errors
    /// As [`Self::f32s`].
    pub fn u32s(&self, tag: u32) -> Result<&[u32], SegmentError> {
        self.numbers(tag)
    }

    /// A section as numbers.
    ///
    /// # Errors
    /// As [`Self::f32s`].
    pub fn u64s(&self, tag: u32) -> Result<&[u64], SegmentError> {
        self.numbers(tag)
    }

    /// A section as pairs of numbers.
    ///
    /// # Errors
    /// As [`Self::f32s`].
    pub fn u32_pairs(&self, tag: u32) -> Result<&[[u32; 2]], SegmentError> {
        self.numbers(tag)
    }

    /// A section as pairs of numbers.
    ///
    /// # Errors
    /// As [`Self::f32s`].
    pub fn f32_pairs(&self, tag: u32) -> Result<&[[f32; 2]], SegmentError> {
        self.numbers(tag)
    }

    /// Tag and length of every section, in the order of the file.
    pub fn sections(&self) -> impl Iterator<Item = (u32, u64)> {
        self.sections.iter().map(|section| (section.tag, section.length))
    }

    /// The file's length.
    pub fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Lets the system take the file's bytes out of this process's memory until they are read again.
    pub fn give_back(&self) {
        self.bytes.give_back();
    }

    /// CRC-32C over header, section table and footer, and so over all the sections' checksums.
    pub const fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn numbers<T: bytemuck::AnyBitPattern>(&self, tag: u32) -> Result<&[T], SegmentError> {
        let path = || self.path.clone();
        let bytes = self.section(tag).ok_or_else(|| SegmentError::NoSection { path: path(), tag })?;
        let (length, width) = (bytes.len(), size_of::<T>());
        bytemuck::try_cast_slice(bytes).map_err(|_| SegmentError::NotNumbers {
            path: path(),
            tag,
            bytes: length,
            width,
        })
    }
}

fn slice(bytes: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(start..end)
}

/// The checks, in the order in which one makes the next safe.
struct Check<'a> {
    path: &'a Path,
    bytes: &'a [u8],
}

impl<'a> Check<'a> {
    fn header(&self, expect: SegmentHead) -> Result<(), SegmentError> {
        let header = self.slice(0, HEADER_BYTES as u64, "a whole header")?;
        let (version, head) = decode_header(header).map_err(|error| self.inside(0, &error))?;
        let path = || self.path.to_owned();
        if version > VERSION {
            let (what, expected, found) = ("format version", u64::from(VERSION), u64::from(version));
            return Err(SegmentError::OtherFile { path: path(), what, expected, found });
        }
        if head.owner != expect.owner {
            return Err(SegmentError::Foreign { path: path(), found: head.owner, expected: expect.owner });
        }
        if head.segment != expect.segment {
            let (expected, found) = (expect.segment.get(), head.segment.get());
            return Err(SegmentError::OtherFile { path: path(), what: "segment number", expected, found });
        }
        Ok(())
    }

    fn footer(&self) -> Result<Footer, SegmentError> {
        let length = self.bytes.len() as u64;
        let offset = length.saturating_sub(FOOTER_BYTES as u64);
        let footer = self.slice(offset, FOOTER_BYTES as u64, "a whole footer")?;
        let footer = decode_footer(footer).map_err(|error| self.inside(offset, &error))?;
        self.expect(footer.file_length == length, offset + 8, "the file's length")?;
        self.expect(footer.sections as usize <= SECTIONS_MAX, offset + 16, "a count of sections")?;
        let table_bytes = u64::from(footer.sections) * ENTRY_BYTES as u64;
        self.expect(
            footer.table_offset.checked_add(table_bytes) == Some(offset),
            offset,
            "the table's offset",
        )?;
        Ok(footer)
    }

    fn table(&self, footer: Footer) -> Result<Vec<Section>, SegmentError> {
        let table_bytes = u64::from(footer.sections) * ENTRY_BYTES as u64;
        let header = self.slice(0, HEADER_BYTES as u64, "a whole header")?;
        // The footer's own bytes before its checksum follow the table without a gap.
        let covered = self.slice(footer.table_offset, table_bytes + 20, "a whole table")?;
        let found = crc32c::crc32c_append(crc32c::crc32c(header), covered);
        self.expect(found == footer.checksum, footer.table_offset, "the footer's checksum")?;
        let table = self.slice(footer.table_offset, table_bytes, "a whole table")?;
        decode_table(table).map_err(|error| self.inside(footer.table_offset, &error))
    }

    /// Sections follow each other with zeros up to the next multiple of 64 between them, so that no byte of the file
    /// belongs to two of them or to none.
    fn sections(&self, sections: &[Section], table_offset: u64) -> Result<(), SegmentError> {
        let mut end = HEADER_BYTES as u64;
        for (at, section) in sections.iter().enumerate() {
            let is_repeated = sections.iter().take(at).any(|before| before.tag == section.tag);
            self.expect(!is_repeated, table_offset, "every section once")?;
            self.padding(end, section.offset)?;
            let bytes = self.slice(section.offset, section.length, "a whole section")?;
            let found = crc32c::crc32c(bytes);
            if found != section.checksum {
                let Section { tag, checksum: expected, offset, .. } = *section;
                return Err(SegmentError::Checksum {
                    path: self.path.to_owned(),
                    tag,
                    offset,
                    expected,
                    found,
                });
            }
            end = section.offset + section.length;
        }
        self.padding(end, table_offset)
    }

    fn padding(&self, from: u64, to: u64) -> Result<(), SegmentError> {
        self.expect(from.checked_next_multiple_of(ALIGNMENT) == Some(to), from, "the next section")?;
        let padding = self.slice(from, to - from, "zeros")?;
        self.expect(padding.iter().all(|&byte| byte == 0), from, "zeros")
    }

    fn slice(&self, offset: u64, length: u64, expected: &'static str) -> Result<&'a [u8], SegmentError> {
        slice(self.bytes, offset, length).ok_or_else(|| self.damaged(offset, expected))
    }

    fn expect(&self, holds: bool, offset: u64, expected: &'static str) -> Result<(), SegmentError> {
        if holds { Ok(()) } else { Err(self.damaged(offset, expected)) }
    }

    fn inside(&self, start: u64, error: &BytesError) -> SegmentError {
        self.damaged(start + error.offset as u64, error.expected)
    }

    fn damaged(&self, offset: u64, expected: &'static str) -> SegmentError {
        SegmentError::Damaged { path: self.path.to_owned(), offset, expected }
    }
}

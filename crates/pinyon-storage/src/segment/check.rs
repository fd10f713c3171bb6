//! Whether a segment file is as it was written: every byte of it, read piece by piece, or what tells of the rest of its bytes. It is
//! read with calls and not through a mapping: a sector that the disk does not give is an error here, and ended the process there.

use super::{
    SegmentError, SegmentHead,
    blocks::read_sums,
    first_read::{Blocks, FirstRead},
    layout::{
        ALIGNMENT, BLOCKS_TAG, ENTRY_BYTES, FOOTER_BYTES, Footer, HEADER_BYTES, SECTIONS_MAX, Section,
        VERSION, decode_footer, decode_header, decode_table,
    },
};
use crate::{
    bytes::BytesError,
    io::{Io, PieceReader, Through},
};
use std::path::Path;

/// What a whole file says of itself.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) sections: Vec<Section>,
    pub(super) checksum: u32,
    pub(super) bytes: u64,
}

/// Why a check did not come to its end.
pub(super) enum Halt {
    /// Somebody ended it.
    Stopped,
    Failed(SegmentError),
}

impl From<SegmentError> for Halt {
    fn from(error: SegmentError) -> Self {
        Self::Failed(error)
    }
}

/// Asked before so many more bytes are read, whether to go on. It may wait.
pub(super) type Pace<'a> = &'a mut dyn FnMut(u64) -> bool;

/// Checks a file that is to be of this owner and number.
pub(super) fn check_file(
    io: &dyn Io,
    path: &Path,
    expect: SegmentHead,
    (through, pace): (Through, Pace<'_>),
) -> Result<Checked, Halt> {
    let mut check = Check::open(io, path, through, pace)?;
    check.header(expect)?;
    let footer = check.footer()?;
    let sections = check.table(footer)?;
    check.sections(&sections, footer.table_offset)?;
    Ok(Checked { sections, checksum: footer.checksum, bytes: check.length })
}

/// Checks of a file that is to be of this owner and number what tells of the rest of its bytes, which are verified when they are first
/// read; all of it where the file has no checksums of blocks.
pub(super) fn check_frame(
    io: &dyn Io,
    path: &Path,
    expect: SegmentHead,
) -> Result<(Checked, FirstRead), SegmentError> {
    let mut always = |_| true;
    let mut look = || {
        let mut check = Check::open(io, path, Through::Cache, &mut always)?;
        check.header(expect)?;
        let footer = check.footer()?;
        let sections = check.table(footer)?;
        let checked = Checked { sections, checksum: footer.checksum, bytes: check.length };
        match checked.sections.last().copied().filter(|last| last.tag == BLOCKS_TAG) {
            None => {
                check.sections(&checked.sections, footer.table_offset).map(|()| (checked, FirstRead::over()))
            }
            Some(sums) => {
                check.places(&checked.sections, footer.table_offset)?;
                check.padding(sums.offset + sums.length, footer.table_offset)?;
                Ok((checked, FirstRead::of(check.blocks(sums)?)))
            }
        }
    };
    look().map_err(|halt: Halt| halt.error(path))
}

/// Whose a file says that it is, and which. Nothing else of it is looked at.
///
/// # Errors
/// A header that does not read, the system's.
pub fn head_of(io: &dyn Io, path: &Path) -> Result<SegmentHead, SegmentError> {
    let mut always = |_| true;
    let mut look = || Check::open(io, path, Through::Cache, &mut always)?.head();
    look().map(|(_, head)| head).map_err(|halt: Halt| halt.error(path))
}

/// The sections of a file whose table is whole, whatever became of what they hold.
pub(super) fn sections_of(
    io: &dyn Io,
    path: &Path,
    expect: SegmentHead,
) -> Result<(Vec<Section>, u32), SegmentError> {
    let mut always = |_| true;
    let mut look = || {
        let mut check = Check::open(io, path, Through::Cache, &mut always)?;
        check.header(expect)?;
        let footer = check.footer()?;
        Ok((check.table(footer)?, footer.checksum))
    };
    look().map_err(|halt: Halt| halt.error(path))
}

impl Halt {
    /// As an error, where nobody ends a check.
    pub(super) fn error(self, path: &Path) -> SegmentError {
        match self {
            Self::Failed(error) => error,
            Self::Stopped => {
                SegmentError::Io { path: path.to_owned(), source: std::io::ErrorKind::Interrupted.into() }
            }
        }
    }
}

/// The checks, in the order in which one makes the next safe.
struct Check<'a> {
    path: &'a Path,
    file: PieceReader,
    length: u64,
    pace: Pace<'a>,
}

impl<'a> Check<'a> {
    fn open(io: &dyn Io, path: &'a Path, through: Through, pace: Pace<'a>) -> Result<Self, Halt> {
        let open = || {
            let file = io.open_to_read(path, through)?;
            Ok((file.len()?, PieceReader::new(file)))
        };
        let (length, file) = open().map_err(SegmentError::io(path))?;
        Ok(Self { path, file, length, pace })
    }

    fn header(&mut self, expect: SegmentHead) -> Result<(), Halt> {
        let (version, head) = self.head()?;
        let path = || self.path.to_owned();
        if version > VERSION {
            let (what, expected, found) = ("format version", u64::from(VERSION), u64::from(version));
            return Err(SegmentError::OtherFile { path: path(), what, expected, found }.into());
        }
        if head.owner != expect.owner {
            let (found, expected) = (head.owner, expect.owner);
            return Err(SegmentError::Foreign { path: path(), found, expected }.into());
        }
        if head.segment != expect.segment {
            let (expected, found) = (expect.segment.get(), head.segment.get());
            return Err(
                SegmentError::OtherFile { path: path(), what: "segment number", expected, found }.into()
            );
        }
        Ok(())
    }

    fn head(&mut self) -> Result<(u32, SegmentHead), Halt> {
        let header = self.read(0, HEADER_BYTES as u64, "a whole header")?;
        Ok(decode_header(&header).map_err(|error| self.inside(0, &error))?)
    }

    fn footer(&mut self) -> Result<Footer, Halt> {
        let offset = self.length.saturating_sub(FOOTER_BYTES as u64);
        let footer = self.read(offset, FOOTER_BYTES as u64, "a whole footer")?;
        let footer = decode_footer(&footer).map_err(|error| self.inside(offset, &error))?;
        self.expect(footer.file_length == self.length, offset + 8, "the file's length")?;
        self.expect(footer.sections as usize <= SECTIONS_MAX, offset + 16, "a count of sections")?;
        let table_bytes = u64::from(footer.sections) * ENTRY_BYTES as u64;
        let table_end = footer.table_offset.checked_add(table_bytes);
        self.expect(table_end == Some(offset), offset, "the table's offset")?;
        Ok(footer)
    }

    fn table(&mut self, footer: Footer) -> Result<Vec<Section>, Halt> {
        let table_bytes = u64::from(footer.sections) * ENTRY_BYTES as u64;
        let header = self.read(0, HEADER_BYTES as u64, "a whole header")?;
        // The footer's own bytes before its checksum follow the table without a gap.
        let covered = self.read(footer.table_offset, table_bytes + 20, "a whole table")?;
        let found = crc32c::crc32c_append(crc32c::crc32c(&header), &covered);
        self.expect(found == footer.checksum, footer.table_offset, "the footer's checksum")?;
        let table = covered.get(..table_bytes as usize).unwrap_or_default();
        Ok(decode_table(table).map_err(|error| self.inside(footer.table_offset, &error))?)
    }

    /// Sections follow each other with zeros up to the next multiple of 64 between them, so that no byte of the file
    /// belongs to two of them or to none.
    fn sections(&mut self, sections: &[Section], table_offset: u64) -> Result<(), Halt> {
        self.places(sections, table_offset)?;
        let mut end = HEADER_BYTES as u64;
        for section in sections {
            self.padding(end, section.offset)?;
            self.section(*section)?;
            end = section.offset + section.length;
        }
        self.padding(end, table_offset)
    }

    /// Where the sections lie, of which nothing is read.
    fn places(&self, sections: &[Section], table_offset: u64) -> Result<(), Halt> {
        let mut end = HEADER_BYTES as u64;
        for (at, section) in sections.iter().enumerate() {
            let is_repeated = sections.iter().take(at).any(|before| before.tag == section.tag);
            self.expect(!is_repeated, table_offset, "every section once")?;
            self.follows(end, section.offset)?;
            let whole = section.offset.checked_add(section.length).filter(|end| *end <= self.length);
            self.expect(whole.is_some(), section.offset, "a whole section")?;
            end = whole.unwrap_or(end);
        }
        self.follows(end, table_offset)
    }

    fn follows(&self, end: u64, next: u64) -> Result<(), Halt> {
        self.expect(end.checked_next_multiple_of(ALIGNMENT) == Some(next), end, "the next section")
    }

    /// The file as blocks, by the section that has their checksums.
    fn blocks(mut self, sums: Section) -> Result<Blocks, Halt> {
        self.section(sums)?;
        let bytes = self.read(sums.offset, sums.length, "the checksums of its blocks")?;
        let blocks = Blocks::new(self.file.into_file(), read_sums(&bytes), sums.offset);
        blocks.ok_or_else(|| {
            let (path, offset) = (self.path.to_owned(), sums.offset);
            SegmentError::Damaged { path, offset, expected: "a checksum of each block" }.into()
        })
    }

    fn section(&mut self, section: Section) -> Result<(), Halt> {
        let Section { tag, checksum: expected, offset, length } = section;
        let mut found = 0;
        for (at, bytes) in PieceReader::pieces(offset..offset + length) {
            if !(self.pace)(bytes) {
                return Err(Halt::Stopped);
            }
            let piece = self.file.read(at, bytes).map_err(SegmentError::io(self.path))?;
            found = crc32c::crc32c_append(found, piece);
        }
        if found == expected {
            return Ok(());
        }
        Err(SegmentError::Checksum { path: self.path.to_owned(), tag, offset, expected, found }.into())
    }

    fn padding(&mut self, from: u64, to: u64) -> Result<(), Halt> {
        let padding = self.read(from, to - from, "zeros")?;
        self.expect(padding.iter().all(|&byte| byte == 0), from, "zeros")
    }

    /// A few bytes, all of which are to be there.
    fn read(&mut self, offset: u64, bytes: u64, expected: &'static str) -> Result<Vec<u8>, Halt> {
        let found = self.file.read(offset, bytes).map_err(SegmentError::io(self.path))?.to_vec();
        self.expect(found.len() as u64 == bytes, offset, expected)?;
        Ok(found)
    }

    fn expect(&self, holds: bool, offset: u64, expected: &'static str) -> Result<(), Halt> {
        if holds { Ok(()) } else { Err(self.damaged(offset, expected).into()) }
    }

    fn inside(&self, start: u64, error: &BytesError) -> SegmentError {
        self.damaged(start + error.offset as u64, error.expected)
    }

    fn damaged(&self, offset: u64, expected: &'static str) -> SegmentError {
        SegmentError::Damaged { path: self.path.to_owned(), offset, expected }
    }
}

//! Opening a segment file: every byte is verified before it is handed out (SEG-2), all of them at once or each when it is first read.

use super::{
    SegmentError, SegmentHead,
    check::{Checked, Halt, check_file, check_frame, head_of},
    first_read::{FirstRead, holds_most},
    layout::Section,
};
use crate::io::{SealedBytes, SharedIo, Through};
use pinyon_planted::is_planted;
use std::{
    ops::Range,
    path::{Path, PathBuf},
};

/// When the bytes of a file are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// All of them before it is open.
    AtOpen,
    /// Header, table and footer before it is open; of the rest blocks of 64 KiB, each when a byte of it is first asked for. The file is
    /// held open until all are; where too many are, all of it is verified before it is open.
    OnFirstRead,
}

/// An opened segment file. Whatever it hands out was verified.
#[derive(Debug)]
pub struct SegmentFile {
    path: PathBuf,
    head: SegmentHead,
    bytes: SealedBytes,
    sections: Vec<Section>,
    checksum: u32,
    first_read: Box<FirstRead>,
}

impl SegmentFile {
    /// Opens and verifies a file. Cost: one pass over its bytes.
    ///
    /// # Errors
    /// Any byte that is not as it was written, another shard's or segment's file, the system's.
    pub fn open(io: &SharedIo, path: &Path, expect: SegmentHead) -> Result<Self, SegmentError> {
        Self::open_and(io, path, expect, Verify::AtOpen)
    }

    /// Opens a file. Cost: one pass over its bytes, or none.
    ///
    /// # Errors
    /// A byte that is to be verified now and is not as it was written, another shard's or segment's file, the system's.
    pub fn open_and(
        io: &SharedIo,
        path: &Path,
        expect: SegmentHead,
        verify: Verify,
    ) -> Result<Self, SegmentError> {
        // Mapped first: what is checked then is not what comes in its place later.
        let bytes = io.map(path).map_err(SegmentError::io(path))?;
        let (checked, first_read) = match verify {
            Verify::OnFirstRead if !holds_most() => check_frame(&**io, path, expect)?,
            Verify::AtOpen | Verify::OnFirstRead => {
                let checked = check_file(&**io, path, expect, (Through::Cache, &mut |_| true));
                (checked.map_err(|halt| halt.error(path))?, FirstRead::over())
            }
        };
        let Checked { sections, checksum, bytes: found } = checked;
        if found != bytes.len() as u64 {
            let (offset, expected) = (found, "the length that it had when it was mapped");
            return Err(SegmentError::Damaged { path: path.to_owned(), offset, expected });
        }
        let first_read = Box::new(first_read);
        Ok(Self { path: path.to_owned(), head: expect, bytes, sections, checksum, first_read })
    }

    /// Opens and verifies a file whatever its number, for a look at it, and tells what it says of itself.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_any(io: &SharedIo, path: &Path) -> Result<(Self, SegmentHead), SegmentError> {
        let head = head_of(&**io, path)?;
        Ok((Self::open(io, path, head)?, head))
    }

    /// Reads the file again from the disk, and tells whether it still is as it was written; `None` if it was ended before. `pace` is
    /// asked before so many more bytes are read: it may wait, and end it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn verify(
        &self,
        io: &SharedIo,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<()>, SegmentError> {
        match check_file(&**io, &self.path, self.head, (Through::Disk, pace)) {
            Err(Halt::Failed(_)) if is_planted(30) => Ok(Some(())),
            Err(Halt::Stopped) => Ok(None),
            Err(Halt::Failed(error)) => Err(error),
            Ok(checked) if checked.checksum == self.checksum => Ok(Some(())),
            Ok(checked) => Err(SegmentError::OtherFile {
                path: self.path.clone(),
                what: "checksum",
                expected: self.checksum.into(),
                found: checked.checksum.into(),
            }),
        }
    }

    /// Whether all bytes were verified since the file was opened.
    pub fn is_verified(&self) -> bool {
        self.first_read.is_over()
    }

    /// Verifies what nobody has asked for yet; `None` if it was ended before. `pace` is asked before so many more bytes are read.
    ///
    /// # Errors
    /// Bytes that are not as they were written, the system's.
    pub fn verify_rest(&self, pace: &mut dyn FnMut(u64) -> bool) -> Result<Option<()>, SegmentError> {
        self.first_read.verify_rest(&self.path, pace)
    }

    /// Whether what is served of the file is what was written: somebody may have written to it since it was verified.
    ///
    /// # Errors
    /// A section that is another.
    pub fn check_served(&self) -> Result<(), SegmentError> {
        for Section { tag, checksum: expected, offset, length } in &self.sections {
            let found = crc32c::crc32c(slice(&self.bytes, *offset, *length).unwrap_or_default());
            if found != *expected {
                let (path, tag, offset, expected) = (self.path.clone(), *tag, *offset, *expected);
                return Err(SegmentError::Checksum { path, tag, offset, expected, found });
            }
        }
        Ok(())
    }

    /// The bytes of a section, which begin at a multiple of 64; none if the file has no such section.
    ///
    /// # Errors
    /// Bytes that are not as they were written, the system's.
    pub fn section(&self, tag: u32) -> Result<&[u8], SegmentError> {
        match self.length(tag) {
            Some(_) => self.numbers(tag),
            None => Ok(&[]),
        }
    }

    /// How many bytes a section has; nothing if the file has no such section.
    pub fn length(&self, tag: u32) -> Option<u64> {
        Some(self.find(tag)?.length)
    }

    /// Some numbers of a section, of which no others are read. Nothing of no section is there.
    ///
    /// # Errors
    /// Bytes that are not as they were written, the system's; a span that is not in the section.
    pub fn part<T: bytemuck::AnyBitPattern>(
        &self,
        tag: u32,
        span: Range<usize>,
    ) -> Result<&[T], SegmentError> {
        let Some(section) = self.find(tag).filter(|_| span.start != span.end) else { return Ok(&[]) };
        if !self.first_read.is_over() {
            self.first_read.verify(&self.path, section.bytes_of::<T>(&span))?;
        }
        self.raw(tag)?.get(span).ok_or_else(|| {
            let (path, offset) = (self.path.clone(), section.offset);
            SegmentError::Damaged { path, offset, expected: "a longer section" }
        })
    }

    /// Has the system begin to read some numbers of a section: from the disk many are there as soon as one. Where they were not verified
    /// that is all of their blocks. Does nothing where there are no such numbers.
    pub fn fetch<T>(&self, tag: u32, span: Range<usize>) {
        let Some(section) = self.find(tag) else { return };
        let span = section.bytes_of::<T>(&span);
        let span = self.first_read.blocks_of(span.start..span.end.min(section.offset + section.length));
        let (start, end) = (span.start as usize, (span.end as usize).min(self.bytes.len()));
        if start < end {
            self.bytes.fetch(start..end);
        }
    }

    /// All numbers of a section, of which those that were not verified are not to be read: [`Self::part`] verifies. None if the file has
    /// no such section.
    ///
    /// # Errors
    /// A section that does not consist of whole numbers.
    pub fn raw<T: bytemuck::AnyBitPattern>(&self, tag: u32) -> Result<&[T], SegmentError> {
        let Some(section) = self.find(tag) else { return Ok(&[]) };
        let bytes = slice(&self.bytes, section.offset, section.length).unwrap_or_default();
        let (path, bytes_found, width) = (&self.path, bytes.len(), size_of::<T>());
        bytemuck::try_cast_slice(bytes).map_err(|_| SegmentError::NotNumbers {
            path: path.clone(),
            tag,
            bytes: bytes_found,
            width,
        })
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
        let section =
            self.find(tag).ok_or_else(|| SegmentError::NoSection { path: self.path.clone(), tag })?;
        self.first_read.verify(&self.path, section.offset..section.offset + section.length)?;
        self.raw(tag)
    }

    fn find(&self, tag: u32) -> Option<&Section> {
        self.sections.iter().find(|section| section.tag == tag)
    }
}

fn slice(bytes: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(start..end)
}

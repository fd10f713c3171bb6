//! Opening a segment file: every byte is verified before any is handed out (SEG-2).

use super::{
    SegmentError, SegmentHead,
    check::{Checked, Halt, check_file, head_of},
    layout::Section,
};
use crate::io::{SealedBytes, SharedIo, Through};
use pinyon_planted::is_planted;
use std::path::{Path, PathBuf};

/// An opened segment file, all of whose bytes were verified.
#[derive(Debug)]
pub struct SegmentFile {
    path: PathBuf,
    head: SegmentHead,
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
        // Mapped first: what is checked then is not what comes in its place later.
        let bytes = io.map(path).map_err(SegmentError::io(path))?;
        let checked = check_file(&**io, path, expect, (Through::Cache, &mut |_| true));
        let Checked { sections, checksum, bytes: found } = checked.map_err(|halt| halt.error(path))?;
        if found != bytes.len() as u64 {
            let (offset, expected) = (found, "the length that it had when it was mapped");
            return Err(SegmentError::Damaged { path: path.to_owned(), offset, expected });
        }
        Ok(Self { path: path.to_owned(), head: expect, bytes, sections, checksum })
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

    /// Whether what is served of the file is what was verified when it was opened: somebody may have written to it since.
    ///
    /// # Errors
    /// A section that is another.
    pub fn check_served(&self) -> Result<(), SegmentError> {
        for Section { tag, checksum: expected, offset, .. } in &self.sections {
            let found = crc32c::crc32c(self.section(*tag).unwrap_or_default());
            if found != *expected {
                let (path, tag, offset, expected) = (self.path.clone(), *tag, *offset, *expected);
                return Err(SegmentError::Checksum { path, tag, offset, expected, found });
            }
        }
        Ok(())
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

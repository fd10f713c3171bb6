//! Writing a segment file, section after section. It gets its name only when all of it is durable.

use super::{
    SegmentError, SegmentHead,
    blocks::BlockSums,
    layout::{ALIGNMENT, BLOCKS_TAG, HEADER_BYTES, SECTIONS_MAX, Section, encode_header, encode_tail},
    unfinished_path,
};
use crate::io::{File, SharedIo, dir_of};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Bytes are handed to the system in pieces of about this size.
const BUFFER_BYTES: usize = 1 << 20;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSummary {
    /// The file's length.
    pub bytes: u64,
    /// CRC-32C over header, section table and footer, and so over all the sections' checksums.
    pub checksum: u32,
}

/// A segment file that is being written, as `<path>.tmp`.
#[derive(Debug)]
pub struct SegmentWriter {
    io: SharedIo,
    file: Box<dyn File>,
    path: PathBuf,
    header: Vec<u8>,
    buffer: Vec<u8>,
    /// Bytes of the file before the buffer.
    written: u64,
    sections: Vec<Section>,
    /// Of what was handed to the system, if somebody wants them.
    blocks: Option<BlockSums>,
}

impl SegmentWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// The finished or the unfinished file exists already (SEG-1), or the system's.
    pub fn create(io: &SharedIo, path: &Path, head: SegmentHead) -> Result<Self, SegmentError> {
        let create = || {
            if io.exists(path)? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            io.create(&unfinished_path(path))
        };
        let file = create().map_err(SegmentError::io(path))?;
        let header = encode_header(head);
        Ok(Self {
            io: SharedIo::clone(io),
            file,
            path: path.to_owned(),
            buffer: header.clone(),
            header,
            written: 0,
            sections: Vec::new(),
            blocks: None,
        })
    }

    /// Has the file keep a checksum of each block of 64 KiB, so that damage costs what lies in the block and not the section.
    #[must_use]
    pub fn with_blocks(self) -> Self {
        Self { blocks: Some(BlockSums::default()), ..self }
    }

    /// Begins the next section; the one before ends.
    ///
    /// # Errors
    /// A tag that was used before, or more than 1024 sections.
    pub fn begin(&mut self, tag: u32) -> Result<(), SegmentError> {
        let is_taken = self.sections.iter().any(|section| section.tag == tag);
        if is_taken || self.sections.len() == SECTIONS_MAX {
            return Err(SegmentError::RefusedSection { path: self.path.clone(), tag });
        }
        self.align();
        self.sections.push(Section { tag, checksum: 0, offset: self.position(), length: 0 });
        Ok(())
    }

    /// Appends bytes to the section.
    ///
    /// # Errors
    /// No section was begun, or the system's.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SegmentError> {
        let Some(section) = self.sections.last_mut() else {
            return Err(SegmentError::OutsideSection { path: self.path.clone() });
        };
        section.checksum = crc32c::crc32c_append(section.checksum, bytes);
        section.length += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the file, makes it durable, gives it its name and makes that durable.
    ///
    /// # Errors
    /// The system's. Then the file is unfinished and garbage, unless only the last sync failed: the file is whole.
    pub fn finish(mut self) -> Result<SegmentSummary, SegmentError> {
        self.write_blocks()?;
        self.align();
        let table_offset = self.position();
        let (tail, checksum) = encode_tail(&self.header, table_offset, &self.sections);
        self.buffer.extend_from_slice(&tail);
        self.flush()?;
        let publish = || {
            self.file.sync_data()?;
            self.io.rename(&unfinished_path(&self.path), &self.path)?;
            self.io.sync_dir(dir_of(&self.path))
        };
        publish().map_err(SegmentError::io(&self.path))?;
        Ok(SegmentSummary { bytes: self.written, checksum })
    }

    const fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn align(&mut self) {
        let missing = self.position().next_multiple_of(ALIGNMENT) - self.position();
        self.buffer.extend(std::iter::repeat_n(0, missing as usize));
    }

    /// On an error the buffer stays, so that what follows cannot end up in the wrong place.
    fn flush(&mut self) -> Result<(), SegmentError> {
        self.file.write_at(&self.buffer, self.written).map_err(SegmentError::io(&self.path))?;
        if let Some(blocks) = &mut self.blocks {
            blocks.add(&self.buffer);
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// The last section: it says what is before it.
    fn write_blocks(&mut self) -> Result<(), SegmentError> {
        self.align();
        self.flush()?;
        let Some(blocks) = self.blocks.take() else { return Ok(()) };
        self.begin(BLOCKS_TAG)?;
        for sum in blocks.end() {
            self.write(&sum.to_le_bytes())?;
        }
        Ok(())
    }
}

const _: () = assert!((HEADER_BYTES as u64).is_multiple_of(ALIGNMENT));

//! The bytes of a file that is never written again, readable in place.

#![allow(unsafe_code)] // mapping a file is unsafe by nature; the reasons why it is sound here stand at the block

use super::shortened::Entry;
use std::{
    fmt, fs, io,
    ops::{Deref, Range},
    path::Path,
    sync::Arc,
};

/// Bytes that start at a multiple of 64. Cheap to clone.
#[derive(Clone)]
pub struct SealedBytes(Arc<Source>);

const ALIGNMENT: usize = 64;

enum Source {
    Mapped {
        // Before the mapping: fields are dropped in order.
        _entry: Entry,
        bytes: memmap2::Mmap,
    },
    /// Heap bytes with room to begin at an aligned address, which a mapping does anyway. Never resized.
    Heap { bytes: Vec<u8>, start: usize },
}

impl SealedBytes {
    /// Maps a file. The caller promises by calling it that the file is sealed.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn map(file: &fs::File, path: &Path) -> io::Result<Self> {
        // An empty file cannot be mapped.
        if file.metadata()?.len() == 0 {
            return Ok(Self::copy(&[]));
        }
        // SAFETY: the mapping must not change while it is read. Only sealed segment files are mapped: they were
        // finished, synced and renamed into place before, this program never opens them for writing again (SEG-1), and
        // the data directory is locked against other processes of this program.
        let mapped = unsafe { memmap2::Mmap::map(file)? };
        Ok(Self(Arc::new(Source::Mapped { _entry: Entry::of(&mapped, path), bytes: mapped })))
    }

    /// Lets the system take the bytes out of this process's memory; whoever reads them again gets them from the system's
    /// cache, or from the disk. Bytes that were copied stay.
    pub(crate) fn give_back(&self) {
        if let Source::Mapped { bytes: mapped, .. } = &*self.0 {
            // SAFETY: the mapping is shared and read-only, so no page of it holds anything that is not in the file, and the
            // file does not change (see `map`): whoever reads it meanwhile, or has a reference to it, finds the same bytes.
            // What stays because the system refuses is as right as what goes.
            let _ = unsafe { mapped.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }

    /// Has the system begin to read a span, if it has to be read from the disk; what it does not take as asked for is read when it is
    /// needed.
    pub(crate) fn fetch(&self, span: Range<usize>) {
        if let Source::Mapped { bytes: mapped, .. } = &*self.0 {
            let _ = mapped.advise_range(memmap2::Advice::WillNeed, span.start, span.len());
        }
    }

    /// Copies bytes to aligned memory.
    pub(super) fn copy(bytes: &[u8]) -> Self {
        let mut room: Vec<u8> = Vec::with_capacity(bytes.len() + ALIGNMENT);
        let start = room.as_ptr().align_offset(ALIGNMENT);
        room.resize(start, 0);
        room.extend_from_slice(bytes);
        Self(Arc::new(Source::Heap { bytes: room, start }))
    }
}

impl Deref for SealedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &*self.0 {
            Source::Mapped { bytes, .. } => bytes,
            Source::Heap { bytes, start } => bytes.get(*start..).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for SealedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBytes({} bytes)", self.len())
    }
}

//! Verifying bytes of a file when they are first asked for, block by block, so that opening it takes the same time however long it is.
//! They are read with calls and not through the mapping: a sector that the disk does not give is an error here, and ended the process
//! there.

use super::{SegmentError, layout::BLOCK_BYTES};
use crate::io::File;
use pinyon_planted::is_planted;
use std::{
    fmt,
    ops::Range,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// Most blocks that are read at once.
const BLOCKS_AT_ONCE: u64 = 16;
const BITS: u64 = u64::BITS as u64;
/// Most files of a process that are held open for this; what is opened beyond is verified at once.
const HELD_MAX: usize = 1024;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// A file that is held open.
struct Held(Box<dyn File>);

impl Held {
    fn new(file: Box<dyn File>) -> Self {
        HELD.fetch_add(1, Ordering::Relaxed);
        Self(file)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether as many files are held open as may be.
pub(super) fn holds_most() -> bool {
    HELD.load(Ordering::Relaxed) >= HELD_MAX
}

/// What was not verified yet of an open file.
#[derive(Debug, Default)]
pub(super) struct FirstRead {
    is_over: AtomicBool,
    /// Nothing once all is verified: the file is closed then.
    left: Mutex<Option<Arc<Blocks>>>,
}

/// The blocks of a file.
pub(super) struct Blocks {
    file: Held,
    /// CRC-32C of each.
    sums: Vec<u32>,
    /// A bit for each that was found to be as it was written.
    verified: Vec<AtomicU64>,
    /// Bytes of all of them.
    bytes: u64,
}

impl FirstRead {
    /// Of a file all of whose bytes were verified.
    pub(super) fn over() -> Self {
        Self { is_over: true.into(), left: Mutex::default() }
    }

    /// Of a file of which nothing was verified but what follows its blocks.
    pub(super) fn of(blocks: Blocks) -> Self {
        Self { is_over: false.into(), left: Mutex::new(Some(Arc::new(blocks))) }
    }

    /// Whether all bytes were verified.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Verifies the blocks that a span of the file lies in, those of them that were not yet.
    ///
    /// # Errors
    /// A block that is not as it was written, the system's.
    pub(super) fn verify(&self, path: &Path, span: Range<u64>) -> Result<(), SegmentError> {
        if self.is_over() || is_planted(32) {
            return Ok(());
        }
        let Some(blocks) = self.left() else { return Ok(()) };
        blocks.verify(path, span, &mut |_| true).map(drop)
    }

    /// The span of the file that is read when a span of it is verified; the same where all was.
    pub(super) fn blocks_of(&self, span: Range<u64>) -> Range<u64> {
        if self.is_over() {
            return span;
        }
        span.start / BLOCK_BYTES * BLOCK_BYTES..span.end.next_multiple_of(BLOCK_BYTES)
    }

    /// Verifies what is left. `None` if `pace` ended it.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub(super) fn verify_rest(
        &self,
        path: &Path,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<()>, SegmentError> {
        let Some(blocks) = self.left() else { return Ok(Some(())) };
        let done = blocks.verify(path, 0..blocks.bytes, pace)?;
        if done.is_some() {
            self.is_over.store(true, Ordering::Release);
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(done)
    }

    fn left(&self) -> Option<Arc<Blocks>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Blocks {
    /// Blocks of the first `bytes` of a file; `None` if that is not the number of checksums.
    pub(super) fn new(file: Box<dyn File>, sums: Vec<u32>, bytes: u64) -> Option<Self> {
        let is_for_each = sums.len() as u64 == bytes.div_ceil(BLOCK_BYTES);
        let verified = (0..sums.len().div_ceil(BITS as usize)).map(|_| AtomicU64::new(0)).collect();
        is_for_each.then(|| Self { file: Held::new(file), sums, verified, bytes })
    }

    fn verify(
        &self,
        path: &Path,
        span: Range<u64>,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<()>, SegmentError> {
        let end = span.end.min(self.bytes).div_ceil(BLOCK_BYTES);
        let mut next = span.start / BLOCK_BYTES;
        while let Some(run) = self.next_run(next..end) {
            if !pace((run.end - run.start) * BLOCK_BYTES) {
                return Ok(None);
            }
            next = run.end;
            self.verify_run(path, run)?;
        }
        Ok(Some(()))
    }

    /// The next blocks that were not verified, so many as are read at once.
    fn next_run(&self, blocks: Range<u64>) -> Option<Range<u64>> {
        let mut start = blocks.start;
        while start < blocks.end && self.verified_from(start) > 0 {
            start += self.verified_from(start);
        }
        let most = blocks.end.min(start + BLOCKS_AT_ONCE);
        let end = (start..most).find(|block| self.verified_from(*block) > 0).unwrap_or(most);
        (start < end).then_some(start..end)
    }

    /// How many blocks from one on were verified, as far as its word tells.
    fn verified_from(&self, block: u64) -> u64 {
        let word = self.verified.get((block / BITS) as usize).map_or(0, |word| word.load(Ordering::Acquire));
        (word >> (block % BITS)).trailing_ones().into()
    }

    fn verify_run(&self, path: &Path, run: Range<u64>) -> Result<(), SegmentError> {
        let span = run.start * BLOCK_BYTES..(run.end * BLOCK_BYTES).min(self.bytes);
        let mut bytes = vec![0; (span.end - span.start) as usize];
        let read = self.file.0.read_at(&mut bytes, span.start).map_err(SegmentError::io(path))?;
        bytes.truncate(read);
        let mut found = bytes.chunks(BLOCK_BYTES as usize);
        for block in run {
            let sum = found.next().map(crc32c::crc32c);
            if sum.is_none() || sum != self.sums.get(block as usize).copied() {
                let (path, offset, expected) =
                    (path.to_owned(), block * BLOCK_BYTES, "64 KiB of the checksum that was written");
                return Err(SegmentError::Damaged { path, offset, expected });
            }
            if let Some(word) = self.verified.get((block / BITS) as usize) {
                word.fetch_or(1 << (block % BITS), Ordering::Release);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

//! The durable list of a shard's segments, which only a background step may touch, and what such steps do.

use crate::{ShardError, rows::segment::Segment};
use pinyon_storage::{
    Owner,
    io::{Io, Stamp},
    manifest::{self, MANIFEST_FILE_NAME, Manifest, SegmentEntry},
};
use pinyon_types::SegmentId;
use std::path::Path;

/// What a background step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do.
    Idle,
    /// A memtable became a segment.
    Sealed(SegmentId),
    /// Segments became one segment, or none if all their rows were dead.
    Merged(Option<SegmentId>),
    /// Codes were made.
    BuiltCodes,
    /// Codes that an earlier run had made were read from their files.
    LoadedCodes,
    /// Codes were written for the next start, or could not be.
    KeptCodes,
    /// A graph was built, or could not be and was left out.
    BuiltGraph,
    /// A graph was tested again, by what people asked.
    Calibrated,
    /// What people asked was written for the next start.
    KeptQuestions,
    /// A graph that an earlier run had built was read from its file.
    LoadedGraph,
    /// A build was ended early.
    Stopped,
}

/// What only a background step may touch: the durable list of segments.
#[derive(Debug)]
pub(crate) struct Maintenance {
    pub(crate) manifest: Manifest,
    /// What the file system said of the file when it was stored or read; nothing while that is not known.
    stamp: Option<Stamp>,
}

impl Maintenance {
    /// Of a manifest that was read.
    pub(crate) fn new(io: &dyn Io, dir: &Path, manifest: Manifest) -> Self {
        Self { manifest, stamp: io.stamp(&dir.join(MANIFEST_FILE_NAME)).ok() }
    }

    /// Whether somebody else changed the file, by the file system's word.
    pub(crate) fn is_changed(&self, io: &dyn Io, dir: &Path) -> bool {
        let now = io.stamp(&dir.join(MANIFEST_FILE_NAME)).ok();
        self.stamp.is_some() && self.stamp != now
    }

    /// Makes a new manifest the durable one. On an error the old one stands.
    pub(crate) fn store(
        &mut self,
        io: &dyn Io,
        dir: &Path,
        mut manifest: Manifest,
    ) -> Result<(), ShardError> {
        self.stamp = None;
        manifest::store(io, dir, &mut manifest)?;
        *self = Self::new(io, dir, manifest);
        Ok(())
    }
}

/// The manifest's entry of a segment.
pub(crate) fn entry(owner: Owner, id: SegmentId, segment: &Segment) -> SegmentEntry {
    let file = segment.file();
    SegmentEntry { id: id.get(), bytes: file.bytes(), checksum: file.checksum(), rows: segment.len(), owner }
}

//! Graphs in files beside their segments, so that a restart need not build them again. Such a file is derived: one that is
//! missing, damaged, of another version or made for other rows or settings is removed, and the graph is built as if it had
//! never been there; one that cannot be read now or written is done without.

use super::{
    Built, GRAPH_OPTIONS, Site,
    layout::{Purpose, file_name, segment_of, tag},
};
use crate::{ShardError, segment::remove_leftover, shard::Inner};
use pinyon_index::{CodeGraph, CodedRows, GraphParts};
use pinyon_storage::{
    io::unfinished_path,
    segment::{SegmentError, SegmentHead, SegmentWriter},
};
use pinyon_types::{SegmentId, ShardId};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Links that are copied before they are handed to the writer.
const LINKS_AT_ONCE: usize = 1 << 16;

/// The place of a graph's file, and what a graph must be made for to lie there.
pub(super) struct Place<'a> {
    site: &'a Site<'a>,
    codes: &'a CodedRows,
    purpose: Purpose,
    path: PathBuf,
}

impl<'a> Place<'a> {
    pub(super) fn new(site: &'a Site<'a>, codes: &'a CodedRows) -> Self {
        let (file, part) = (site.segment.file(), site.span.part);
        let narrow = |number: usize| u32::try_from(number).expect("invariant: options are small");
        let purpose = Purpose {
            part,
            segment_bytes: file.bytes(),
            segment_checksum: file.checksum(),
            rows: site.span.len(),
            components: site.inner.shape.dim.get(),
            codes_fingerprint: codes.bytes_codes().fingerprint(),
            m: narrow(GRAPH_OPTIONS.m),
            ef_construction: narrow(GRAPH_OPTIONS.ef_construction),
            recall_min: site.inner.options.recall_min,
        };
        let path = site.inner.dir.join(file_name(part, site.id));
        Self { site, codes, purpose, path }
    }

    /// The graph that is kept here, if there is a good one. A file that was read and is not good is removed; of one that the
    /// system did not let us read nothing is known, so it stays until the graph that is built instead takes its place.
    pub(super) fn load(&self) -> Option<Built> {
        let io = &self.site.inner.io;
        if !io.exists(&self.path).is_ok_and(|exists| exists) {
            return None;
        }
        match self.read() {
            Ok(built) => Some(built),
            Err(error @ ShardError::Segment(SegmentError::Io { .. })) => {
                self.warn("kept graph could not be read and is built again", &error);
                None
            }
            Err(error) => {
                self.warn("kept graph is not good and is built again", &error);
                // If it stays, the new one cannot take its place, and says so.
                let _ = io.remove(&self.path);
                None
            }
        }
    }

    /// Keeps a graph. The shard goes on without the file if it cannot be written.
    pub(super) fn keep(&self, graph: &CodeGraph, built: &Built) {
        let inner = self.site.inner;
        if let Err(error) = self.write(graph, built) {
            self.warn("graph not kept, a restart will build it again", &error);
            // What is unfinished takes room that the disk may lack; the next start removes it if this does not.
            let _ = inner.io.remove(&unfinished_path(&self.path));
        }
        // A merge removes the files that it finds when its segment has taken the place of this one. So either it has found
        // this file, or the segment is seen to be gone here.
        if inner.snapshot.load().layer(self.site.id).is_none() {
            let _ = inner.io.remove(&self.path);
        }
    }

    fn read(&self) -> Result<Built, ShardError> {
        let damaged = |what: String| ShardError::damaged(&self.path, what);
        let file = self.site.inner.place.open(&self.site.inner.io, &self.path, self.site.id)?;
        let (test, since_us) = self.purpose.outcome(file.u64s(tag::PURPOSE)?).map_err(damaged)?;
        let parts = GraphParts {
            options: GRAPH_OPTIONS,
            entries: file.u32s(tag::ENTRIES)?,
            links: file.u32s(tag::LINKS)?,
        };
        let graph = CodeGraph::from_parts(Arc::clone(self.codes.bytes_codes()), parts)
            .map_err(|error| damaged(error.to_string()))?;
        Ok(Built { since_us, ..self.site.built(Arc::new(graph), test) })
    }

    fn write(&self, graph: &CodeGraph, built: &Built) -> Result<(), ShardError> {
        let io = &self.site.inner.io;
        remove_leftover(io, &self.path)?;
        self.site.inner.check_spare(pinyon_index::Graph::bytes(graph) as u64)?;
        let mut writer = SegmentWriter::create(io, &self.path, self.head())?;
        writer.begin(tag::PURPOSE)?;
        writer.write(&self.purpose.encode(built.test, built.since_us))?;
        writer.begin(tag::ENTRIES)?;
        writer.write(bytemuck::cast_slice(graph.entries()))?;
        writer.begin(tag::LINKS)?;
        let mut links = graph.links().peekable();
        while links.peek().is_some() {
            let some: Vec<u32> = links.by_ref().take(LINKS_AT_ONCE).collect();
            writer.write(bytemuck::cast_slice(&some))?;
        }
        writer.finish()?;
        Ok(())
    }

    const fn head(&self) -> SegmentHead {
        SegmentHead { owner: self.site.inner.place.owner, segment: self.site.id }
    }

    fn warn(&self, what: &'static str, error: &ShardError) {
        let (shard, file) = (self.site.inner.shape.shard.get(), self.path.display());
        tracing::warn!(shard, file = %file, error = %error, "{what}");
    }
}

/// Removes the graphs of segments that are gone from the manifest (SEG-3). What cannot be removed is at the next start.
pub(crate) fn remove_of(inner: &Inner, gone: &BTreeSet<SegmentId>) {
    let names = match inner.io.list(&inner.dir) {
        Ok(names) => names,
        Err(error) => return warn_left(inner.shape.shard, &inner.dir, &error),
    };
    let is_gone = |name: &&String| segment_of(name).is_some_and(|segment| gone.contains(&segment));
    for path in names.iter().filter(is_gone).map(|name| inner.dir.join(name)) {
        if let Err(error) = inner.io.remove(&path) {
            warn_left(inner.shape.shard, &path, &error);
        }
    }
}

fn warn_left(shard: ShardId, path: &Path, error: &std::io::Error) {
    let shard = shard.get();
    tracing::warn!(shard, file = %path.display(), error = %error, "graphs of merged segments are left until the next start");
}

//! Graphs in files beside their segments, so that a restart need not build them again.

use super::{
    Built, GRAPH_OPTIONS, Site,
    layout::{Purpose, tag},
};
use crate::{
    ShardError,
    derived::files::{DerivedFile, Kind, rows_of},
};
use pinyon_index::{CodeGraph, CodedRows, GraphParts};
use pinyon_storage::segment::SegmentFile;
use std::sync::Arc;

/// Links that are copied before they are handed to the writer.
const LINKS_AT_ONCE: usize = 1 << 16;

/// The place of a graph's file, and what a graph must be made for to lie there.
pub(super) struct Place<'a> {
    site: &'a Site<'a>,
    codes: &'a CodedRows,
    purpose: Purpose,
    file: DerivedFile<'a>,
}

impl<'a> Place<'a> {
    pub(super) fn new(site: &'a Site<'a>, codes: &'a CodedRows) -> Self {
        let (inner, span) = (site.inner, &site.span);
        let narrow = |number: usize| u32::try_from(number).expect("invariant: options are small");
        let purpose = Purpose {
            rows: rows_of(site.segment, span, inner.shape.dim.get()),
            codes_fingerprint: codes.bytes_codes().fingerprint(),
            m: narrow(GRAPH_OPTIONS.m),
            ef_construction: narrow(GRAPH_OPTIONS.ef_construction),
            recall_min: inner.options.recall_min,
        };
        let file = DerivedFile::new(inner, Kind::Graph, span.part, site.id);
        Self { site, codes, purpose, file }
    }

    /// The graph that is kept here, if there is a good one.
    pub(super) fn load(&self) -> Option<Built> {
        self.file.load(|file| self.read(file))
    }

    fn read(&self, file: &SegmentFile) -> Result<Built, ShardError> {
        let damaged = |what: String| ShardError::damaged(&self.file.path, what);
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

    /// Keeps a graph.
    pub(super) fn keep(&self, graph: &CodeGraph, built: &Built) {
        self.file.keep(pinyon_index::Graph::bytes(graph), |writer| {
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
            Ok(())
        });
    }
}

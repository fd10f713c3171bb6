//! What a segment takes in memory, part by part: of an open one as it is, of a file as it would be at most.

use crate::{
    DerivedBytes,
    derived::{
        codes,
        graphs::{self, GRAPH_OPTIONS},
    },
    rows::{
        segment::{Segment, layout::tag, namespace_rows},
        snapshot::Snapshot,
        span::Span,
    },
    settings::ShardOptions,
};
use pinyon_index::{CodeGraph, CodedRows};
use pinyon_storage::{manifest::Manifest, segment::SegmentFile};
use std::iter::Sum;

/// Bytes of a segment file, by what they are. They are mapped: the system takes them into memory when they are read, and out
/// again when it needs the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MappedBytes {
    /// Dense vectors and what one over their lengths is.
    pub vectors: u64,
    /// Sparse vectors and their posting lists.
    pub sparse: u64,
    /// Ids and metadata.
    pub records: u64,
    /// Names, log positions, bitmaps of dead rows, headers.
    pub rest: u64,
}

impl MappedBytes {
    /// Of a segment file.
    pub fn of(file: &SegmentFile) -> Self {
        let mut bytes = Self::default();
        for (section, length) in file.sections() {
            let kind = match section {
                tag::VECTORS | tag::INVERSE_NORMS => &mut bytes.vectors,
                tag::ID_OFFSETS | tag::IDS | tag::METADATA_OFFSETS | tag::METADATA => &mut bytes.records,
                tag::SPARSE_OFFSETS..=tag::LIST_BOUNDS => &mut bytes.sparse,
                _ => continue,
            };
            *kind += length;
        }
        bytes.rest = file.bytes() - bytes.vectors - bytes.sparse - bytes.records;
        bytes
    }
}

/// Bytes that stay in memory, by what they are, as far as they are counted. Left out are a table while it is being sealed, and what
/// requests and background work take for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResidentBytes {
    /// What is made from segments.
    pub derived: DerivedBytes,
    /// Memtables.
    pub memtable: u64,
}

impl ResidentBytes {
    pub(crate) fn of(state: &Snapshot) -> Self {
        let segments = state.layers.iter().filter_map(|view| view.layer.segment());
        Self { derived: segments.map(Segment::derived_bytes).sum(), memtable: state.memtable.bytes as u64 }
    }
}

impl Sum for ResidentBytes {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            derived: [sum.derived, one.derived].into_iter().sum(),
            memtable: sum.memtable + one.memtable,
        })
    }
}

impl DerivedBytes {
    /// What a server with default settings makes of a segment file at most; left out is what only parts keep that were larger before a merge. Filter indexes depend on what filters ask about, so they are not among it.
    ///
    /// # Errors
    /// Namespaces that do not read, a metric that is not known.
    pub fn at_most(file: &SegmentFile, manifest: &Manifest) -> Result<Self, String> {
        let (dim, metric) = (manifest.dim as usize, crate::metric_code::metric_of(manifest.metric));
        let metric = metric.ok_or_else(|| format!("the metric number {} is not known", manifest.metric))?;
        let options = ShardOptions::server();
        let mut bytes = Self::default();
        if dim == 0 {
            return Ok(bytes);
        }
        let spans = Span::of_sizes(&namespace_rows(file)?);
        let all = spans.iter().map(|span| span.slots.end).max().unwrap_or_default();
        for span in spans {
            let rows = span.len() as usize;
            if span.len() >= codes::rows_min(&options, span.part) {
                bytes.byte_codes = CodedRows::memory_for(metric, dim, all as usize).0 as u64;
                bytes.bit_codes += CodedRows::memory_for(metric, dim, rows).1 as u64;
            }
            if graphs::is_wanted(&options, &span, all, false) {
                bytes.graphs += CodeGraph::memory_for(metric, dim, rows, GRAPH_OPTIONS) as u64;
            }
        }
        Ok(bytes)
    }
}

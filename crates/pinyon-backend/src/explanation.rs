//! How a search was answered, part by part, for people who ask.

use pinyon_index::{Recall, Work};
use pinyon_types::{Effort, SegmentId};

/// A way to answer a query in a part of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Every record of the memtable.
    MemtableScan,
    /// Every vector.
    Vectors,
    /// Every row's byte a component, then the vectors of the few that were kept.
    Bytes,
    /// Every row's bit a component, then the bytes of those that were kept, then the vectors of few of them; where there are
    /// no bytes the vectors of those that were kept.
    Bits,
    /// A walk of the graph, then the vectors of the few that it found.
    Graph,
    /// The vectors of the rows that passed the filter.
    SurvivorsByVectors,
    /// Bytes, of the rows that passed the filter.
    SurvivorsByBytes,
    /// Bits of the rows that passed the filter, then bytes of those that were kept, or vectors where there are no bytes; bytes of all that
    /// passed where bits told too little.
    SurvivorsByBits,
    /// Posting lists of the query's sparse vector.
    Postings,
    /// Every row's sparse part, added to its dense one if there is one.
    Combined,
}

impl Way {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MemtableScan => "memtable_scan",
            Self::Vectors => "vectors",
            Self::Bytes => "bytes",
            Self::Bits => "bits",
            Self::Graph => "graph",
            Self::SurvivorsByVectors => "survivors_by_vectors",
            Self::SurvivorsByBytes => "survivors_by_bytes",
            Self::SurvivorsByBits => "survivors_by_bits",
            Self::Postings => "postings",
            Self::Combined => "combined",
        }
    }
}

/// Where a part's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartPlace {
    /// In the memtable.
    Memtable,
    /// In memory, being written into this segment.
    Sealing(SegmentId),
    /// In this segment.
    Segment(SegmentId),
}

/// Bytes that were read, by what they were read of: rows scored times bytes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BytesRead {
    /// Dense vectors.
    pub vectors: u64,
    /// Codes of a byte a component.
    pub bytes: u64,
    /// Codes of a bit a component.
    pub bits: u64,
}

/// How a part of a shard answered.
#[derive(Debug, Clone, PartialEq)]
pub struct PartExplanation {
    /// Which part.
    pub place: PartPlace,
    /// The ways that answered, each named once: one for all rows, or one for each namespace; none if the search was stopped before.
    pub ways: Vec<Way>,
    /// Rows of the query's namespaces in the part, dead ones among them.
    pub rows: u64,
    /// Dead ones.
    pub dead_rows: u64,
    /// Rows that passed the filter, if there was one; dead ones among them where a filter index told.
    pub rows_passed: Option<u64>,
    /// Candidates that the walk of a graph kept; of the last namespace, if there are several.
    pub ef: Option<usize>,
    /// How many standard deviations below what bits say of a row's distance it was still looked at more closely; of the last namespace,
    /// if there are several.
    pub deviations: Option<f32>,
    /// The recall@10 that what answered was found to have; of the last namespace, if there are several. Scans of vectors are exact.
    pub recall: Option<Recall>,
    /// Why a graph that there is did not answer, or did though its recall is not sure.
    pub reasons: Vec<Reason>,
    /// What it cost.
    pub work: Work,
    /// What that read.
    pub bytes_read: BytesRead,
    /// Time that the filter took, in microseconds.
    pub filter_us: u64,
    /// Time that the whole part took, in microseconds.
    pub total_us: u64,
}

/// How a shard answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The effort that was asked for.
    pub effort: Effort,
    /// Its parts that hold rows of the query's namespaces: the memtable, then segments, newest first.
    pub parts: Vec<PartExplanation>,
}

/// Why a graph did not answer, or did in spite of what its test found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A scan costs less than a walk.
    ScanIsCheaper,
    /// Too few of the graph's rows are alive and pass the filter.
    FewRowsWanted,
    /// The graph is not sure to reach its recall, and a scan is bearable.
    GraphBelowTarget,
    /// The graph is not sure to reach its recall, and a scan takes too long.
    ScanIsTooLong,
    /// The walk found too few rows that are alive and pass the filter.
    WalkFoundTooFew,
}

impl Reason {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScanIsCheaper => "scan_is_cheaper",
            Self::FewRowsWanted => "few_rows_wanted",
            Self::GraphBelowTarget => "graph_below_target",
            Self::ScanIsTooLong => "scan_is_too_long",
            Self::WalkFoundTooFew => "walk_found_too_few",
        }
    }
}

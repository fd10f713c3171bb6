//! How a query was answered: the `explain` of `POST /query`.

use crate::recall::RecallEstimate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a query was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueryExplanation {
    /// The effort: 1 is what the self-tests of codes and graphs found to be enough.
    pub scan_factor: f64,
    /// Most rows of one part whose scores were computed from their vectors, if the query named a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_candidates: Option<u64>,
    /// Microseconds that embedding the text took, in queries by text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed_us: Option<u64>,
    /// Each shard that was asked; one that is late or failed has no parts.
    pub shards: Vec<ShardExplanation>,
}

/// How a shard answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShardExplanation {
    /// Its number.
    pub shard_id: u32,
    /// Its name.
    pub index_name: String,
    /// `ok`, `timed_out` or `failed`.
    pub status: String,
    /// How long it took.
    pub latency_ms: f64,
    /// Its parts that hold rows of the tenants that were asked about: the memtable, then segments, newest first.
    pub parts: Vec<PartExplanation>,
}

/// How a part of a shard answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartExplanation {
    /// `memtable`, `sealing` (being written into a segment) or `segment`.
    pub part: String,
    /// The segment's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<u64>,
    /// What answered: `memtable_scan`, `vectors`, `bytes`, `bits`, `graph`, `survivors_by_vectors`, `survivors_by_bytes`,
    /// `survivors_by_bits`, `postings`, `combined`. One for a single tenant; several tenants in one part may have several.
    pub ways: Vec<String>,
    /// Rows of the tenants in the part, dead ones among them.
    pub rows: u64,
    /// Rows that were overwritten or deleted.
    pub dead_rows: u64,
    /// Rows that passed the filter, if there was one; dead ones may be among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_passed: Option<u64>,
    /// Candidates that the walk of a graph kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ef: Option<u64>,
    /// How many standard deviations below what bits say of a row's distance it was still looked at more closely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviations: Option<f64>,
    /// The recall@10 that what answered was found to have; left out where answers are exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<RecallEstimate>,
    /// Why a graph that there is did not answer, or did though its recall is not sure: `scan_is_cheaper`, `few_rows_wanted`,
    /// `graph_below_target`, `scan_is_too_long`, `walk_found_too_few`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Rows scored.
    pub scored: Scored,
    /// What that read.
    pub bytes_read: BytesRead,
    /// Rows whose links a walk followed.
    pub hops: u64,
    /// Graphs walked, those among them whose walk was not enough, so that another way answered.
    pub graph_walks: u64,
    /// Postings of sparse vectors read.
    pub postings: u64,
    /// Microseconds that the filter took; it is among the total.
    pub filter_us: u64,
    /// Microseconds that the part took.
    pub total_us: u64,
}

/// Rows scored, by what they were scored by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scored {
    /// Vectors.
    pub by_vectors: u64,
    /// Codes of a byte a component.
    pub by_bytes: u64,
    /// Codes of a bit a component.
    pub by_bits: u64,
}

/// Bytes read: rows scored times bytes of a row. Links of graphs are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BytesRead {
    /// Of dense vectors.
    pub vectors: u64,
    /// Of codes of a byte a component.
    pub bytes: u64,
    /// Of codes of a bit a component.
    pub bits: u64,
}

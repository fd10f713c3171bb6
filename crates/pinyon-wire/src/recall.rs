//! How good answers are, part by part: in `GET /health`, `GET /metrics` and explanations.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A recall@10 that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecallEstimate {
    /// As measured, 0 to 1.
    pub recall: f64,
    /// It is less than this in one case of twenty.
    pub lower: f64,
    /// It is more than this in one case of twenty.
    pub upper: f64,
    /// How many queries tell.
    pub queries: u64,
    /// What they were: `probes` made of the records themselves, or `questions` that people asked.
    pub asked: String,
}

/// How good the answers of a namespace's part of a segment are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartRecall {
    /// The index.
    pub index: String,
    /// The namespace; left out for queries across all namespaces of a segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The shard's number.
    pub shard_id: u32,
    /// The segment's number.
    pub segment: u64,
    /// Rows, dead ones among them.
    pub rows: u64,
    /// What answers a query for ten records without a filter: `vectors` (exact), `codes` or `graph`.
    pub tier: String,
    /// The recall that it was found to have; left out where answers are exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<RecallEstimate>,
    /// The recall@10 that is demanded.
    pub target: f64,
    /// Whether it is reached, as sure as the test is.
    pub meets_target: bool,
    /// What an answer costs, in rows that are scanned by their bits: about 3 ns each at 384 components.
    pub cost_rows: u64,
    /// Candidates that the walk of a graph keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ef: Option<u64>,
    /// How many standard deviations below what bits say of a row's distance it is still looked at more closely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviations: Option<f64>,
    /// Why a graph that there is does not answer, or does though it is not sure to reach the target: `scan_is_cheaper`,
    /// `graph_below_target`, `scan_is_too_long`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When its codes or its graph were tested, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

//! What queries are asked with and answered with.

use crate::{EngineError, fan_out::Reach};
use pinyon_shard::{Explanation, Hit, Work};
use pinyon_types::{Effort, Filter, Metadata, RecordId, Score, ShardId, SparseVector, TenantId, TopK};
use std::time::Duration;

/// A query in words.
#[derive(Debug, Clone, PartialEq)]
pub struct TextQuery {
    /// What to look for.
    pub text: String,
    /// Where.
    pub reach: Reach,
    /// How many results.
    pub top_k: u32,
    /// Only records that pass this.
    pub filter: Option<Filter>,
    /// After this time what is there is answered and marked as partial.
    pub timeout: Option<Duration>,
    /// How hard to try; what it leaves open is as the settings say.
    pub effort: Effort,
    /// Whether the answer says how it was found.
    pub explain: bool,
}

impl TextQuery {
    /// A query in one tenant.
    pub fn in_tenant(tenant: &str, text: &str, top_k: u32) -> Self {
        Self::new(Reach::Tenant(tenant.into()), text, top_k)
    }

    /// A query over every tenant.
    pub fn everywhere(text: &str, top_k: u32) -> Self {
        Self::new(Reach::All, text, top_k)
    }

    fn new(reach: Reach, text: &str, top_k: u32) -> Self {
        let effort = Effort::NORMAL;
        Self { text: text.into(), reach, top_k, filter: None, timeout: None, effort, explain: false }
    }
}

/// A query by vector.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorQuery {
    /// What to be near to; empty in an index of sparse vectors.
    pub vector: Vec<f32>,
    /// What to be near to besides, or alone in an index of sparse vectors. Scores of both parts are added.
    pub sparse: Option<SparseVector>,
    /// Where.
    pub reach: Reach,
    /// How many results.
    pub top_k: u32,
    /// Only records that pass this.
    pub filter: Option<Filter>,
    /// After this time what is there is answered and marked as partial.
    pub timeout: Option<Duration>,
    /// How hard to try; what it leaves open is as the settings say.
    pub effort: Effort,
    /// Whether the answer says how it was found.
    pub explain: bool,
}

impl VectorQuery {
    /// A query by a dense vector that leaves everything else open.
    pub const fn dense(vector: Vec<f32>, reach: Reach, top_k: u32) -> Self {
        let effort = Effort::NORMAL;
        Self { vector, sparse: None, reach, top_k, filter: None, timeout: None, effort, explain: false }
    }
}

/// A query for records of one tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordQuery {
    /// What to be near to; empty in an index of sparse vectors.
    pub vector: Vec<f32>,
    /// What to be near to besides, or alone in an index of sparse vectors. Scores of both parts are added.
    pub sparse: Option<SparseVector>,
    /// Only records whose sparse vector has all of these indices.
    pub required: Vec<u32>,
    /// How many results.
    pub top_k: TopK,
    /// Only records that pass this.
    pub filter: Option<Filter>,
    /// After this time what is there is answered and marked as partial.
    pub timeout: Option<Duration>,
    /// How hard to try; what it leaves open is as the settings say.
    pub effort: Effort,
}

impl RecordQuery {
    /// A query by a dense vector.
    pub const fn dense(vector: Vec<f32>, top_k: TopK) -> Self {
        Self {
            vector,
            sparse: None,
            required: Vec::new(),
            top_k,
            filter: None,
            timeout: None,
            effort: Effort::NORMAL,
        }
    }
}

/// One result.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Whose record it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: RecordId,
    /// How well it fits, in the metric's public meaning.
    pub score: Score,
    /// Its metadata without the text.
    pub metadata: Metadata,
    /// Its text, if it was ingested as a document.
    pub text: Option<String>,
    /// Where it lives.
    pub shard: ShardId,
}

/// How a shard's part ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardOutcome {
    /// Everything it was asked for.
    Answered,
    /// The time was up: some of its rows were not considered.
    TimedOut,
    /// It could not answer.
    Failed(EngineError),
}

/// One shard's part in an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardReport {
    /// Which shard.
    pub shard: ShardId,
    /// Its name.
    pub index_name: String,
    /// How long it took.
    pub latency: Duration,
    /// How it ended.
    pub outcome: ShardOutcome,
    /// How it was searched, if the query asked.
    pub explanation: Option<Box<Explanation>>,
    /// What it cost in counts.
    pub work: Work,
}

/// What a query found.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryAnswer {
    /// The shard of a query's one tenant: where it lives, or would be placed.
    pub home: Option<ShardId>,
    /// Tenants of the query that were never placed.
    pub unknown: Vec<TenantId>,
    /// Best first; equals by namespace number, then by id.
    pub results: Vec<Match>,
    /// The shards that were asked.
    pub shards: Vec<ShardReport>,
    /// From the query's arrival to the last result; embedding included.
    pub latency: Duration,
    /// Whether some shard's answer is missing or incomplete (QRY-1).
    pub is_partial: bool,
    /// Whether this is a kept answer, to data that are still the same; the shards' reports are those of the search.
    pub is_cached: bool,
    /// The effort that was made, if the query asked how it is answered.
    pub explained: Option<Effort>,
    /// How long embedding the text took, likewise.
    pub embedding: Option<Duration>,
}

/// What a query in one namespace found, with everything that its records hold.
#[derive(Debug)]
pub struct RecordAnswer {
    /// Best first.
    pub hits: Vec<(Score, Hit)>,
    /// Whether the time was up before every row was considered (QRY-1).
    pub is_partial: bool,
}

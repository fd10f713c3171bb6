//! `/ingest`, `/query`, `/health`, `/metrics`, `/shard/{tenant_id}`.

use crate::{
    bounded::{self, BATCH_MAX, COMPONENTS_MAX, SmallFields},
    explain::QueryExplanation,
    filter_json::FilterJson,
    json::{MetadataFields, write_optional_fields},
    object, unique,
};
use crate::{disk::Disk, recall::PartRecall};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Metadata of an answer: string, number, boolean or list of strings per field.
pub type Metadata = SmallFields;

/// A document to ingest.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Its id within the tenant, 1 to 512 bytes.
    pub id: String,
    /// What is embedded and kept.
    pub text: String,
    /// What filters can ask about.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_optional_fields",
        deserialize_with = "unique::optional_metadata"
    )]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<MetadataFields>,
}

/// Body of `POST /ingest`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IngestRequest {
    /// Whose documents.
    pub tenant_id: String,
    /// Up to 10,000 documents.
    #[serde(deserialize_with = "object::list::<_, _, BATCH_MAX>")]
    pub documents: Vec<Document>,
}

/// Answer of `POST /ingest`: everything is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IngestResponse {
    /// Always true; failures are errors.
    pub success: bool,
    /// Name of the tenant's shard.
    pub shard: String,
    /// Distinct documents written.
    pub count: u64,
    /// Whether the work was skipped; never here, nothing is mocked.
    pub skipped: bool,
}

const fn top_k_default() -> u32 {
    5
}

/// Body of `POST /query`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    /// What to look for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_text: Option<String>,
    /// What to look for, as a vector, in place of `query_text`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded::optional_list::<_, _, COMPONENTS_MAX>"
    )]
    pub vector: Option<Vec<f32>>,
    /// Look in this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Look in these tenants; needs `cross_shard`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded::optional_list::<_, _, BATCH_MAX>"
    )]
    pub tenant_ids: Option<Vec<String>>,
    /// How many results, 1 to 10,000.
    #[serde(default = "top_k_default")]
    pub top_k: u32,
    /// Look in every tenant, or in `tenant_ids`.
    #[serde(default)]
    pub cross_shard: bool,
    /// Only records that pass this filter.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "unique::optional_filter")]
    #[schema(value_type = Option<Object>)]
    pub filter: Option<FilterJson>,
    /// After this time what is there is answered and marked as partial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How hard to try, 0.5 to 4, where codes or a graph answer: 1 is what their self-tests found to be enough, more finds more
    /// and takes longer. The setting SCAN_FACTOR if nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_factor: Option<f64>,
    /// Most rows, in one part of a tenant, whose scores are computed from their vectors after codes or a graph have chosen
    /// them: `top_k` to 100,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_candidates: Option<i64>,
    /// Whether the answer says how it was found; such an answer is never a kept one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub explain: bool,
}

impl QueryRequest {
    /// A query in words over every tenant, with everything else left open.
    pub fn across_tenants(query_text: String) -> Self {
        Self {
            query_text: Some(query_text),
            vector: None,
            tenant_id: None,
            tenant_ids: None,
            top_k: top_k_default(),
            cross_shard: true,
            filter: None,
            timeout_ms: None,
            scan_factor: None,
            max_candidates: None,
            explain: false,
        }
    }
}

/// One result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueryMatch {
    /// Its id.
    pub id: String,
    /// How well it fits.
    pub score: f32,
    /// Its text; empty if it was not ingested as a document.
    pub text: String,
    /// Its metadata without the text.
    #[schema(value_type = Object)]
    pub metadata: Metadata,
    /// Name of its shard, in cross-shard answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Whose it is, in cross-shard answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
}

/// One shard's part in a cross-shard answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShardTiming {
    /// Its number.
    pub shard_id: u32,
    /// Its name.
    pub index_name: String,
    /// How long it took.
    pub latency_ms: f64,
    /// `ok`, `timed_out` or `failed`.
    pub status: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer of `POST /query`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueryResponse {
    /// Best first.
    pub results: Vec<QueryMatch>,
    /// From arrival to the last result, embedding included.
    pub latency_ms: f64,
    /// Name of the tenant's shard, in single-tenant answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// How many shards were asked, in cross-shard answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards_queried: Option<u32>,
    /// Whether the work was skipped; never here, nothing is mocked.
    pub skipped: bool,
    /// Why the answer is partial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the tenant was ever placed on a shard, as its first write does; in single-tenant answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_known: Option<bool>,
    /// Those of `tenant_ids` that were never placed on a shard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_tenants: Vec<String>,
    /// Whether some shard's rows are missing from the results.
    pub partial: bool,
    /// Whether this is a kept answer; nothing was written since. The shards' timings are those of the search.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// Each shard's part, in cross-shard answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardTiming>,
    /// How it was found, if the query asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Box<QueryExplanation>>,
}

/// What the service leans on. The names are the reference module's; here they stand for the vector engine, the routing
/// store and the embedder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Services {
    /// The vector engine: every shard of every index is open, takes writes, and seals.
    pub pinecone: bool,
    /// The routing store: no change of it has failed since the start.
    pub redis: bool,
    /// The embedder: always true of the local one; of a remote one, whether its last call succeeded and, before the first,
    /// whether its address and key could work. Asking makes no call.
    pub openai: bool,
}

/// The settings that clients ask about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthConfig {
    /// Number of shards.
    pub num_shards: u32,
    /// What stands before a shard's number in its name.
    pub shard_prefix: String,
    /// Components of a vector.
    pub vector_dimension: u32,
}

/// Answer of `GET /health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthResponse {
    /// `healthy`, or `degraded` when one of the services is false.
    pub status: String,
    /// What the service leans on.
    pub services: Services,
    /// The settings that clients ask about; where keys are set, for who has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<HealthConfig>,
    /// How good answers are, for who has a key: the parts that miss their target first, then the largest; at most a hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recall: Vec<PartRecall>,
    /// How many parts miss their target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall_below_target: Option<u64>,
    /// Shards that are kept out because of damage, for who has a key; everything else is served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<QuarantinedShard>,
    /// The disk below the data, for who has a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    /// What is wrong with these, and what to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A shard that is kept out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantinedShard {
    /// The index it is of.
    pub index: String,
    /// Its name.
    pub shard: String,
    /// `damaged`, `missing`, `foreign`, `stale` or `unreadable`.
    pub reason: String,
    /// What was found; names the file, relative to the data directory.
    pub problem: String,
    /// Tenants that live on it.
    pub tenants: u64,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

/// Tenants of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Distribution {
    /// How many.
    pub tenant_count: usize,
    /// Which; at most a thousand are listed.
    pub tenants: Vec<String>,
}

/// One shard's health.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShardHealth {
    /// Its number.
    pub shard_id: u32,
    /// Its name.
    pub index_name: String,
    /// Tenants that live on it.
    pub namespace_count: u64,
    /// Vectors that it holds.
    pub total_vectors: u64,
    /// `healthy`, `near_capacity`, `hot`, `overloaded` or `failed`.
    pub status: String,
    /// Bytes of its segments and log files on disk; the space that the log has reserved (up to 16 MiB) counts.
    pub disk_bytes: u64,
    /// Queries it answered since the start.
    pub queries: u64,
    /// Latency of the last minutes, in milliseconds.
    pub p50_ms: f64,
    /// Latency of the last minutes, in milliseconds.
    pub p95_ms: f64,
    /// Latency of the last minutes, in milliseconds.
    pub p99_ms: f64,
    /// Searches a second in the last minutes.
    #[serde(default)]
    pub queries_per_second: f64,
    /// Its share of the query load of all shards in the last minutes, 0 to 1; searches are weighed by what they cost.
    #[serde(default)]
    pub load_share: f64,
    /// The tenants with most of its query load in the last minutes, the hottest first; three at most.
    #[serde(default)]
    pub hottest_tenants: Vec<TenantShare>,
}

/// A tenant's part in the query load of its shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantShare {
    /// Whose part.
    pub tenant_id: String,
    /// Searches a second in the last minutes.
    pub queries_per_second: f64,
    /// Its share of its shard's query load, 0 to 1.
    pub load_share: f64,
}

/// The health of all shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthReport {
    /// Each shard.
    pub shards: Vec<ShardHealth>,
    /// Whether moving tenants would relieve a shard.
    pub needs_rebalancing: bool,
    /// What was found, in sentences.
    pub alerts: Vec<String>,
    /// How good answers are: the parts that miss their target first, then the largest; at most a hundred.
    #[serde(default)]
    pub recall: Vec<PartRecall>,
}

/// When shards count as unhealthy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Thresholds {
    /// Vectors above which a shard is overloaded.
    pub max_vectors_per_shard: u64,
    /// Tenants that a shard should hold at most.
    pub max_namespaces_per_shard: u64,
    /// Tenants from which on a shard should be relieved.
    pub rebalance_namespaces: u64,
    /// 95th percentile of latency above which a shard is overloaded.
    pub p95_warn_ms: f64,
}

/// Answer of `GET /metrics` when JSON is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricsResponse {
    /// Tenants by shard number.
    pub distribution: BTreeMap<String, Distribution>,
    /// The health of all shards.
    pub health: HealthReport,
    /// When shards count as unhealthy.
    pub thresholds: Thresholds,
}

/// Answer of `GET /shard/{tenant_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShardResponse {
    /// Whose shard.
    pub tenant_id: String,
    /// The shard's number.
    pub shard_id: u32,
    /// The shard's name.
    pub index_name: String,
    /// Whether the tenant lives there; otherwise it would, if it were written to now.
    pub placed: bool,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// A word for programs.
    pub code: String,
    /// A sentence for people: what was wrong and what to do.
    pub message: String,
    /// The field that was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Body of every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
    /// The message again, where the reference module's clients look for it.
    pub detail: String,
}

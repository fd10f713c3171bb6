//! `/admin/v1/…`: what the command line asks a running server.

use crate::bounded::{self, BATCH_MAX};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One tenant.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct TenantInfo {
    /// Its name.
    pub tenant_id: String,
    /// Its shard's number.
    pub shard_id: u32,
    /// Its shard's name.
    pub index_name: String,
    /// Its records.
    pub vectors: u64,
    /// Bytes of its vectors.
    pub vector_bytes: u64,
    /// Queries in it since the start; counted for the first 256 tenants that are queried.
    pub queries: u64,
    /// Latency of the last minutes, in milliseconds.
    pub p95_ms: f64,
    /// Queries a second in the last minutes, those in it alone.
    #[serde(default)]
    pub queries_per_second: f64,
    /// Their share of the query load of all shards in the last minutes, 0 to 1; weighed by what they cost.
    #[serde(default)]
    pub load_share: f64,
}

/// Answer of `GET /admin/v1/tenants`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantList {
    /// Ordered by name.
    pub tenants: Vec<TenantInfo>,
}

/// Body of `PUT /admin/v1/tenants/{tenant_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignRequest {
    /// The shard to assign the tenant to.
    pub shard_id: u32,
}

/// Answer of `POST /admin/v1/tenants/{tenant_id}/erase`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasedTenant {
    /// Its name.
    pub tenant_id: String,
    /// The index.
    pub index: String,
    /// Whether it had a place; `false` where there was nothing of that name, or an earlier erasure had begun.
    pub was_known: bool,
    /// Records that it still had.
    pub records: u64,
    /// Segments that were written again without its rows, or removed.
    pub segments: u64,
    /// Whether a query still reads from a file that has no name any more; its room is given back at the end of the query.
    pub held_by_readers: bool,
    /// Files that may hold some of it and were not touched: quarantined shards, and what was set aside for people to look at.
    pub not_touched: Vec<String>,
}

/// Body of `POST /admin/v1/tenants`: places tenants that are new, all with one durable commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceRequest {
    /// Up to 10,000 names.
    #[serde(deserialize_with = "bounded::list::<_, _, BATCH_MAX>")]
    pub tenants: Vec<String>,
}

/// An index, as administration sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IndexInfo {
    /// Its name.
    pub name: String,
    /// Components of every dense vector; 0 in an index of sparse ones.
    pub dimension: u32,
    /// How nearness is measured.
    pub metric: String,
    /// Its port.
    pub port: u16,
    /// The effort of queries that name none, if the index has its own.
    pub scan_factor: Option<f64>,
    /// The effort of queries that name none: the index's, or else the setting SCAN_FACTOR.
    pub effective_scan_factor: f64,
}

/// Answer of `GET /admin/v1/indexes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IndexList {
    /// Ordered by name.
    pub indexes: Vec<IndexInfo>,
}

/// Body of `PUT /admin/v1/indexes/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexSettings {
    /// The effort of queries in the index that name none, 0.5 to 4; null for the setting SCAN_FACTOR.
    // So that it must be given: a body without it says nothing.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    pub scan_factor: Option<f64>,
}

/// One segment of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentInfo {
    /// Its number.
    pub segment: u64,
    /// Rows, dead ones included.
    pub rows: u32,
    /// Dead rows.
    pub dead_rows: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Namespaces with a graph in memory.
    pub graphs: usize,
    /// Bytes of those graphs.
    pub graph_bytes: u64,
    /// Its bytes, by what they are.
    pub memory: SegmentMemory,
}

/// Bytes of a segment, by what they are. Those of the file are mapped: the system takes them into memory when they are read, and
/// out when it needs the room. The others are made of it and stay in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentMemory {
    /// Mapped: dense vectors.
    pub vectors: u64,
    /// Mapped: sparse vectors and their posting lists.
    pub sparse: u64,
    /// Mapped: ids and metadata.
    pub records: u64,
    /// Mapped: everything else.
    pub rest: u64,
    /// In memory: codes of a byte a component.
    pub byte_codes: u64,
    /// In memory: codes of a bit a component.
    pub bit_codes: u64,
    /// In memory: graphs.
    pub graphs: u64,
    /// In memory: filter indexes.
    pub filter_indexes: u64,
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShardInfo {
    /// Its number.
    pub shard_id: u32,
    /// Its name.
    pub index_name: String,
    /// Tenants that are assigned to it.
    pub tenants: u64,
    /// Records.
    pub vectors: u64,
    /// Records that are not sealed yet.
    pub memtable_rows: usize,
    /// Bytes of its segments and log files on disk; the space that the log has reserved (up to 16 MiB) counts.
    pub disk_bytes: u64,
    /// Bytes of its memtable.
    pub memtable_bytes: usize,
    /// Bytes of its log files, the space that is reserved included.
    pub log_bytes: u64,
    /// Bytes that stay in memory as far as they are counted: the memtable, codes, graphs, filter indexes.
    pub resident_bytes: u64,
    /// Its segments, newest first.
    pub segments: Vec<SegmentInfo>,
    /// Queries it answered since the start.
    pub queries: u64,
    /// Latency of the last minutes, in milliseconds.
    pub p50_ms: f64,
    /// Latency of the last minutes, in milliseconds.
    pub p95_ms: f64,
    /// Latency of the last minutes, in milliseconds.
    pub p99_ms: f64,
    /// Why it takes no writes or cannot seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Answer of `GET /admin/v1/shards`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShardList {
    /// In order.
    pub shards: Vec<ShardInfo>,
}

/// Numbers to be advised on; what is missing is taken from the running system.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdviceRequest {
    /// Number of tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<u64>,
    /// Number of vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vectors: Option<u64>,
    /// 95th percentile of query latency in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
    /// Namespaces in one index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<u64>,
    /// Share of all vectors that the ten largest tenants hold, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_10_share: Option<f64>,
    /// Share of queries that cross tenants, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_tenant_share: Option<f64>,
}

/// Answer of `POST /admin/v1/advise`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AdviceResponse {
    /// Whether to shard, or to stay sharded.
    pub should_shard: bool,
    /// What speaks for it.
    pub reasons: Vec<String>,
    /// What speaks against it.
    pub against: Vec<String>,
    /// The conclusion in a sentence.
    pub summary: String,
    /// Shards that there are already; missing where the advice is on given numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,
    /// What the health report alerts to; empty where the advice is on given numbers.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// The numbers it is based on.
    pub input: AdviceRequest,
}

/// One piece of trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingInfo {
    /// The index that it is of.
    #[serde(default)]
    pub index: String,
    /// `unreadable`, `rolled_back`, `unrouted`, `misrouted`, `no_shard`, `split`, `outdated`, `leftover`, `stuck_move`,
    /// `number_ahead`, `renumbered` or `quarantined`.
    pub kind: String,
    /// The shard's name, if it is one that is quarantined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Whose, if it is one tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// What was found, in a sentence.
    pub message: String,
    /// Whether a repair mends it.
    pub repairable: bool,
    /// What is left of a quarantined shard; only where its files were read for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<LeftOfShard>,
}

/// What is left of a quarantined shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeftOfShard {
    /// Records that can be read.
    pub records: u64,
    /// Records that cannot, of namespaces that are known.
    pub lost_records: u64,
    /// Rows of segments of which nothing can be read; some of them may have been deleted.
    pub unknown_rows: u64,
    /// Writes of logs that cannot be read.
    pub lost_writes: u64,
    /// Namespaces of which records are lost.
    pub namespaces: Vec<LeftOfNamespace>,
    /// What was found, a sentence for each damaged file.
    pub problems: Vec<String>,
}

/// What is left of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeftOfNamespace {
    /// Whose it is.
    pub tenant_id: String,
    /// Records that can be read.
    pub records: u64,
    /// Records that cannot.
    pub lost_records: u64,
    /// The ids of the first thousand of those, as far as they can be read.
    pub lost_ids: Vec<String>,
}

/// Answer of `POST /admin/v1/indexes/{name}/shards/{shard}/reopen`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReopenedShard {
    /// The index it is of.
    pub index: String,
    /// Its name.
    pub shard: String,
    /// `serving`; a shard that is kept out still is an error.
    pub state: String,
    /// Whether it was opened again: one that is well is left as it is.
    pub was_opened: bool,
}

/// Answer of `GET /admin/v1/doctor`, of all indexes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoctorResponse {
    /// Whether routing and shards agree.
    pub healthy: bool,
    /// Tenants in the routing table.
    pub tenants: usize,
    /// Namespaces with records in the shards.
    pub namespaces: usize,
    /// The trouble.
    pub findings: Vec<FindingInfo>,
}

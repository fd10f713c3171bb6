//! Pinecone's data plane as JSON: camelCase, and the snake_case of proto3 JSON is read too; unknown fields are passed over.

use crate::{
    bounded::{self, COMPONENTS_MAX, RECORDS_MAX, SPARSE_MAX},
    filter_json::FilterJson,
    json::{MetadataFields, write_optional_fields},
    object, unique,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A sparse vector: `values[i]` is the weight of `indices[i]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SparseValues {
    /// Which components; distinct.
    #[serde(default, deserialize_with = "bounded::list::<_, _, SPARSE_MAX>")]
    pub indices: Vec<u32>,
    /// Their weights.
    #[serde(default, deserialize_with = "bounded::list::<_, _, SPARSE_MAX>")]
    pub values: Vec<f32>,
}

/// A record to write.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VectorJson {
    /// Its id.
    #[serde(default)]
    pub id: String,
    /// Its dense vector.
    #[serde(default, deserialize_with = "bounded::list::<_, _, COMPONENTS_MAX>")]
    pub values: Vec<f32>,
    /// Its sparse vector.
    #[serde(default, alias = "sparse_values", deserialize_with = "object::optional")]
    pub sparse_values: Option<SparseValues>,
    /// Its metadata.
    #[serde(default, deserialize_with = "unique::optional_metadata")]
    pub metadata: Option<MetadataFields>,
}

/// Body of `POST /vectors/upsert`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct UpsertRequest {
    /// What to write.
    #[serde(default, deserialize_with = "object::list::<_, _, RECORDS_MAX>")]
    pub vectors: Vec<VectorJson>,
    /// Where; empty is the default namespace.
    #[serde(default)]
    pub namespace: String,
}

/// Answer of `POST /vectors/upsert`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertResponse {
    /// Records in the request.
    pub upserted_count: u32,
}

/// Body of `POST /query`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryRequest {
    /// How many matches.
    #[serde(default, alias = "top_k")]
    pub top_k: Option<i64>,
    /// Near to this vector.
    #[serde(default, deserialize_with = "bounded::list::<_, _, COMPONENTS_MAX>")]
    pub vector: Vec<f32>,
    /// Near to this record.
    #[serde(default)]
    pub id: String,
    /// And near to this sparse vector.
    #[serde(default, alias = "sparse_vector", deserialize_with = "object::optional")]
    pub sparse_vector: Option<SparseValues>,
    /// Where; empty is the default namespace.
    #[serde(default)]
    pub namespace: String,
    /// Only records that pass this.
    #[serde(default, deserialize_with = "unique::optional_filter")]
    pub filter: Option<FilterJson>,
    /// Whether matches carry their vectors.
    #[serde(default, alias = "include_values")]
    pub include_values: bool,
    /// Whether matches carry their metadata.
    #[serde(default, alias = "include_metadata")]
    pub include_metadata: bool,
    /// How much of the index to look at, 0.5 to 4 times as much as usual.
    #[serde(default, alias = "scan_factor")]
    pub scan_factor: Option<f64>,
    /// Most candidates to rescore, `topK` to 100,000.
    #[serde(default, alias = "max_candidates")]
    pub max_candidates: Option<i64>,
}

/// A match of a query, or a fetched record without its score.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchJson {
    /// Its id.
    pub id: String,
    /// How well it fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// Its dense vector; empty if it was not asked for.
    pub values: Vec<f32>,
    /// Its sparse vector, if it has one and vectors were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparse_values: Option<SparseValues>,
    /// Its metadata, if it has some and they were asked for.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_optional_fields")]
    pub metadata: Option<MetadataFields>,
}

/// What a read is said to have cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Always at least 1: clients check.
    pub read_units: u32,
}

impl Usage {
    /// One unit: nothing is billed here.
    pub const ONE: Self = Self { read_units: 1 };
}

/// Answer of `POST /query`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryResponse {
    /// Always empty: a form that is long gone, which old decoders still want.
    pub results: [u8; 0],
    /// Best first.
    pub matches: Vec<MatchJson>,
    /// As the request spelled it.
    pub namespace: String,
    /// Its cost.
    pub usage: Usage,
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pagination {
    /// What to send as `paginationToken`.
    pub next: String,
}

/// What `GET /vectors/fetch` asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// Which records.
    pub ids: Vec<String>,
    /// Where; empty is the default namespace.
    pub namespace: String,
}

/// What `GET /vectors/list` asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// What the ids begin with.
    pub prefix: String,
    /// How many on a page.
    pub limit: Option<i64>,
    /// Which page.
    pub pagination_token: Option<String>,
    /// Where; empty is the default namespace.
    pub namespace: String,
}

/// Answer of `POST /vectors/delete`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DeleteResponse {}

/// Answer of `GET /vectors/fetch` and `POST /vectors/fetch_by_metadata`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FetchResponse {
    /// By id.
    pub vectors: BTreeMap<String, MatchJson>,
    /// As the request spelled it.
    pub namespace: String,
    /// Its cost.
    pub usage: Usage,
    /// Only if there is a next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

/// Body of `POST /vectors/fetch_by_metadata`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FetchByMetadataRequest {
    /// Which records.
    #[serde(default, deserialize_with = "unique::optional_filter")]
    pub filter: Option<FilterJson>,
    /// Where; empty is the default namespace.
    #[serde(default)]
    pub namespace: String,
    /// How many on a page.
    #[serde(default)]
    pub limit: Option<i64>,
    /// Which page.
    #[serde(default, alias = "pagination_token")]
    pub pagination_token: Option<String>,
}

/// Body of `POST /vectors/update`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateRequest {
    /// Which record.
    #[serde(default)]
    pub id: String,
    /// Its new dense vector.
    #[serde(default, deserialize_with = "bounded::list::<_, _, COMPONENTS_MAX>")]
    pub values: Vec<f32>,
    /// Its new sparse vector.
    #[serde(default, alias = "sparse_values", deserialize_with = "object::optional")]
    pub sparse_values: Option<SparseValues>,
    /// Fields to set over the old ones.
    #[serde(default, alias = "set_metadata", deserialize_with = "unique::optional_metadata")]
    pub set_metadata: Option<MetadataFields>,
    /// Which records, in place of `id`.
    #[serde(default, deserialize_with = "unique::optional_filter")]
    pub filter: Option<FilterJson>,
    /// Whether to count only.
    #[serde(default, alias = "dry_run")]
    pub dry_run: Option<bool>,
    /// Where; empty is the default namespace.
    #[serde(default)]
    pub namespace: String,
}

/// Answer of `POST /vectors/update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateResponse {
    /// Records that pass the filter, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched_records: Option<u64>,
}

/// Body of `POST /vectors/delete`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteRequest {
    /// These.
    #[serde(default, deserialize_with = "bounded::list::<_, _, RECORDS_MAX>")]
    pub ids: Vec<String>,
    /// Or everything in the namespace.
    #[serde(default, alias = "delete_all")]
    pub delete_all: bool,
    /// Or what passes this.
    #[serde(default, deserialize_with = "unique::optional_filter")]
    pub filter: Option<FilterJson>,
    /// Where; empty is the default namespace.
    #[serde(default)]
    pub namespace: String,
}

/// A listed record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListItem {
    /// Its id.
    pub id: String,
}

/// Answer of `GET /vectors/list`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListResponse {
    /// In byte order of their ids.
    pub vectors: Vec<ListItem>,
    /// Only if there is a next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// As the request spelled it.
    pub namespace: String,
    /// Its cost.
    pub usage: Usage,
}

/// Body of `POST /describe_index_stats`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct StatsRequest {
    /// Count only records that pass this.
    #[serde(default, deserialize_with = "unique::optional_filter")]
    pub filter: Option<FilterJson>,
}

/// One namespace in the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSummary {
    /// Its records.
    pub vector_count: u64,
}

/// Answer of `POST /describe_index_stats`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatsResponse {
    /// By name.
    pub namespaces: BTreeMap<String, NamespaceSummary>,
    /// Components of a dense vector; absent in sparse indexes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimension: Option<u32>,
    /// Always 0: there is no fixed capacity.
    pub index_fullness: f32,
    /// Records in all namespaces.
    pub total_vector_count: u64,
    /// The metric's name.
    pub metric: String,
    /// `dense` or `sparse`.
    pub vector_type: String,
}

/// Body of `POST /namespaces`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CreateNamespaceRequest {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The metadata fields that filters will ask about.
    #[serde(default, deserialize_with = "object::optional")]
    pub schema: Option<MetadataSchema>,
}

/// Metadata fields that filters ask about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataSchema {
    /// By name.
    #[serde(default, deserialize_with = "object::by_name")]
    pub fields: BTreeMap<String, SchemaField>,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaField {
    /// Always true.
    #[serde(default)]
    pub filterable: bool,
}

/// Names of the fields that are indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexedFields {
    /// Their names.
    pub fields: Vec<String>,
}

/// A count that newer versions write as a text and older ones as a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Count {
    /// Since 2026-07.
    Text(String),
    /// Before.
    Number(u64),
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamespaceDescription {
    /// Its name.
    pub name: String,
    /// Its records.
    pub record_count: Count,
    /// Bytes of its vectors.
    pub size_bytes: Count,
    /// As it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<MetadataSchema>,
    /// The fields of the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indexed_fields: Option<IndexedFields>,
}

/// Answer of `GET /namespaces`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamespaceList {
    /// Ordered by name.
    pub namespaces: Vec<NamespaceDescription>,
    /// Only if there is a next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// With the prefix, on all pages.
    pub total_count: u64,
}

/// Body of an error of the data plane: google.rpc.Status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpcStatus {
    /// The gRPC code.
    pub code: i32,
    /// What was wrong and what to do.
    pub message: String,
    /// Always empty.
    pub details: [u8; 0],
}

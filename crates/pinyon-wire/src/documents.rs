//! `/fetch` and `/delete`: documents of one tenant, read and removed by id, by filter, or all.

use crate::{
    bounded::{self, BATCH_MAX},
    filter_json::FilterJson,
    tenant::Metadata,
    unique,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of `POST /fetch`: documents by `ids`, those that pass `filter`, or, with neither, all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    /// Whose documents.
    pub tenant_id: String,
    /// These, at most 1,000; ids that do not exist are left out of the answer.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded::optional_list::<_, _, BATCH_MAX>"
    )]
    pub ids: Option<Vec<String>>,
    /// Those that pass this filter.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "unique::optional_filter")]
    #[schema(value_type = Option<Object>)]
    pub filter: Option<FilterJson>,
    /// Most documents on a page, 1 to 1,000 [default: 100]; not with `ids`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The page begins after this id, in byte order: `next` of the page before; not with `ids`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether documents come with their vectors.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_vectors: bool,
}

/// One document as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoredDocument {
    /// Its id.
    pub id: String,
    /// Its text; empty if it was not ingested as a document.
    pub text: String,
    /// Its metadata without the text.
    #[schema(value_type = Object)]
    pub metadata: Metadata,
    /// Its vector, if the request asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
}

/// Answer of `POST /fetch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FetchResponse {
    /// Name of the tenant's shard.
    pub shard: String,
    /// Whether the tenant was ever placed on a shard, as its first write does.
    pub tenant_known: bool,
    /// In the order of `ids`, or in byte order of their ids.
    pub documents: Vec<StoredDocument>,
    /// `after` of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Body of `POST /delete`: exactly one of `ids`, `filter` and `delete_all`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteRequest {
    /// Whose documents.
    pub tenant_id: String,
    /// These, at most 10,000; ids that do not exist are passed over.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded::optional_list::<_, _, BATCH_MAX>"
    )]
    pub ids: Option<Vec<String>>,
    /// Those that pass this filter, which must say something.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "unique::optional_filter")]
    #[schema(value_type = Option<Object>)]
    pub filter: Option<FilterJson>,
    /// Every document of the tenant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_all: bool,
}

/// Answer of `POST /delete`: what is gone is gone durably.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeleteResponse {
    /// Always true; failures are errors.
    pub success: bool,
    /// Name of the tenant's shard.
    pub shard: String,
    /// Whether the tenant was ever placed on a shard, as its first write does.
    pub tenant_known: bool,
    /// Documents removed.
    pub count: u64,
}

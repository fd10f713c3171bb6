//! Pinecone's control plane as JSON: indexes in the legacy shape (to 2026-04) and in that of 2026-07.

use crate::{
    bounded::{Small, SmallFields},
    object, unique,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tags: a label and its value. Null and empty values take a tag away.
pub type TagChanges = BTreeMap<String, Option<String>>;

/// Body of `POST /indexes`, legacy shape.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LegacyCreateRequest {
    /// Its name.
    pub name: String,
    /// Where and on what it runs: echoed.
    #[serde(deserialize_with = "unique::map")]
    pub spec: SmallFields,
    /// Components of a dense vector.
    #[serde(default)]
    pub dimension: Option<i64>,
    /// cosine, dotproduct or euclidean.
    #[serde(default)]
    pub metric: Option<String>,
    /// dense or sparse.
    #[serde(default)]
    pub vector_type: Option<String>,
    /// enabled or disabled.
    #[serde(default)]
    pub deletion_protection: Option<String>,
    /// Labels.
    #[serde(default, deserialize_with = "unique::optional_fields")]
    pub tags: Option<TagChanges>,
}

/// Body of `POST /indexes`, 2026-07.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// Its fields.
    #[serde(deserialize_with = "object::one")]
    pub schema: SchemaRequest,
    /// Its name; one is made up if there is none.
    #[serde(default)]
    pub name: Option<String>,
    /// Where it runs: echoed.
    #[serde(default, deserialize_with = "unique::optional_map")]
    pub deployment: Option<SmallFields>,
    /// A customer's key: not used.
    #[serde(default)]
    pub cmek_id: Option<String>,
    /// Echoed.
    #[serde(default, deserialize_with = "unique::optional_value")]
    pub read_capacity: Option<Small>,
    /// Labels.
    #[serde(default, deserialize_with = "unique::optional_fields")]
    pub tags: Option<TagChanges>,
    /// enabled or disabled.
    #[serde(default)]
    pub deletion_protection: Option<String>,
}

/// The schema of an index, 2026-07.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRequest {
    /// By name.
    #[serde(deserialize_with = "unique::map")]
    pub fields: SmallFields,
}

/// Body of `POST /collections`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CreateCollectionRequest {
    /// Its name.
    pub name: String,
    /// The index that it is a copy of.
    pub source: String,
}

/// Body of `PATCH /indexes/{name}`, both shapes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ConfigureRequest {
    /// enabled or disabled.
    #[serde(default)]
    pub deletion_protection: Option<String>,
    /// Changes of labels.
    #[serde(default, deserialize_with = "unique::optional_fields")]
    pub tags: Option<TagChanges>,
    /// Legacy: changes of the spec, echoed.
    #[serde(default, deserialize_with = "unique::optional_map")]
    pub spec: Option<SmallFields>,
    /// Legacy: the integrated model.
    #[serde(default, deserialize_with = "unique::optional_map")]
    pub embed: Option<SmallFields>,
    /// 2026-07: changes of a pod deployment.
    #[serde(default, deserialize_with = "unique::optional_map")]
    pub deployment: Option<SmallFields>,
    /// 2026-07: changes of the integrated model.
    #[serde(default, deserialize_with = "object::optional")]
    pub schema: Option<SchemaRequest>,
    /// Echoed.
    #[serde(default, deserialize_with = "unique::optional_value")]
    pub read_capacity: Option<Small>,
}

/// What is wrong, inside [`ControlError`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlErrorDetail {
    /// A word for programs.
    pub code: String,
    /// What was wrong and what to do.
    pub message: String,
}

/// Body of every error of the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlError {
    /// The HTTP status again.
    pub status: u16,
    /// What is wrong.
    pub error: ControlErrorDetail,
}

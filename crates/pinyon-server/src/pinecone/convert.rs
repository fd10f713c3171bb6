//! Between the data plane's JSON and the engine's records.

use super::{envelope::RpcError, version::ApiVersion};
use crate::convert::{filter, metadata};
use pinyon_core::{Index, Stored, of_record};
use pinyon_types::{
    Dim, Filter, Invalid, Metadata, MetadataValue, Metric, Record, RecordId, SparseVector, TenantId, Vector,
};
use pinyon_wire::{
    filter_json::FilterJson,
    json::{MetadataFields, MetadataJson},
    vectors::{MatchJson, SparseValues, VectorJson},
};

/// The default namespace under its own name.
pub(super) const DEFAULT_NAMESPACE: &str = "__default__";

/// Most ids or records in one request (Pinecone's limit).
pub(super) const BATCH_MAX: usize = 1_000;

/// What an index's vectors are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) dim: Dim,
    pub(super) metric: Metric,
}

impl Shape {
    pub(super) fn of(index: &Index) -> Self {
        Self { dim: index.description.dim, metric: index.description.metric }
    }

    /// Whether sparse vectors count in scores.
    pub(super) fn scores_sparse(self) -> bool {
        self.metric == Metric::DotProduct
    }

    /// Pinecone's name for what vectors there are.
    pub(super) const fn vector_type(self) -> &'static str {
        if self.dim.is_none() { "sparse" } else { "dense" }
    }
}

/// What an index's vectors are, to clients of one API version that write some.
#[derive(Debug, Clone, Copy)]
pub(super) struct WrittenShape {
    pub(super) shape: Shape,
    version: ApiVersion,
}

impl Shape {
    pub(super) const fn written_by(self, version: ApiVersion) -> WrittenShape {
        WrittenShape { shape: self, version }
    }
}

impl WrittenShape {
    /// Reads the sparse vector of a record. To 2026-04 records of every index may have one, which is kept; where the metric
    /// is not dotproduct it counts in no score.
    pub(super) fn sparse_vector(self, given: Option<SparseValues>) -> Result<Option<SparseVector>, Invalid> {
        read_sparse(given, self.shape, self.shape.scores_sparse() || self.version < ApiVersion::Schema)
    }
}

/// The name under which a namespace is kept: the default one has three spellings.
pub(super) fn namespace(name: &str) -> Result<&str, Invalid> {
    if name.is_empty() {
        return Ok(DEFAULT_NAMESPACE);
    }
    // Pinecone's are ASCII; tenants may have other names, and their namespaces are reached like any.
    TenantId::check(name).map_err(|error| Invalid::new("namespace", error.problem))?;
    Ok(name)
}

/// Reads the id of a record that is to be written.
pub(super) fn record_id(id: &str) -> Result<RecordId, Invalid> {
    RecordId::check_new(id)?;
    RecordId::new(id)
}

/// Reads the id of a record that may be there: older versions took ids that are not ASCII, which can be read and removed.
pub(super) fn stored_id(id: &str) -> Result<RecordId, Invalid> {
    if id.is_ascii() { record_id(id) } else { RecordId::new(id) }
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

pub(super) fn record_ids(ids: &[String]) -> Result<Vec<RecordId>, RpcError> {
    if ids.is_empty() {
        return Err(RpcError::invalid("ids must have at least one id"));
    }
    if ids.len() > BATCH_MAX {
        return Err(RpcError::invalid(format!("ids must be at most {BATCH_MAX}, are {}", ids.len())));
    }
    let read = ids
        .iter()
        .enumerate()
        .map(|(at, id)| stored_id(id).map_err(|invalid| of_record(invalid, &format!("ids[{at}]"), id)));
    Ok(read.collect::<Result<_, Invalid>>()?)
}

/// Reads the records of an upsert.
pub(super) fn records(vectors: Vec<VectorJson>, shape: WrittenShape) -> Result<Vec<Record>, RpcError> {
    if vectors.is_empty() {
        return Err(RpcError::invalid("Invalid request: vectors must have at least one vector"));
    }
    if vectors.len() > BATCH_MAX {
        let message = format!("vectors must be at most {BATCH_MAX} in one request, are {}", vectors.len());
        return Err(RpcError::invalid(message));
    }
    let read = vectors.into_iter().enumerate().map(|(at, vector)| {
        let VectorJson { id, values, sparse_values, metadata } = vector;
        record(&id, values, sparse_values, metadata, shape)
            .map_err(|invalid| of_record(invalid, &format!("vectors[{at}]"), &id))
    });
    Ok(read.collect::<Result<_, Invalid>>()?)
}

fn record(
    id: &str,
    values: Vec<f32>,
    sparse_values: Option<SparseValues>,
    fields: Option<MetadataFields>,
    shape: WrittenShape,
) -> Result<Record, Invalid> {
    let read = record_id(id)?;
    refuse_dense(&values, shape.shape)?;
    let sparse = shape.sparse_vector(sparse_values)?;
    if sparse.is_none() && shape.shape.dim.is_none() {
        let problem = format!("Sparse index: record '{}' must have sparse values", short(id));
        return Err(Invalid::new("sparse_values", problem));
    }
    let vector = stored_vector(id, values, shape.shape)?;
    Ok(Record { id: read, vector, sparse, metadata: metadata(fields)? })
}

/// A vector to keep: all zeros have no direction, and Pinecone refuses them.
pub(super) fn stored_vector(id: &str, values: Vec<f32>, shape: Shape) -> Result<Vector, Invalid> {
    let as_clients_say = |invalid: Invalid| Invalid {
        field: invalid.field.replacen("vector", "values", 1),
        problem: invalid.problem,
    };
    let vector = Vector::new(values, shape.dim).map_err(as_clients_say)?;
    vector.check_length(shape.metric).map_err(as_clients_say)?;
    if !shape.dim.is_none() && vector.as_slice().iter().all(|component| *component == 0.0) {
        let problem = format!(
            "Dense vectors must contain at least one non-zero value. Vector ID '{}' contains only zeros",
            short(id)
        );
        return Err(Invalid::new("values", problem));
    }
    Ok(vector)
}

/// Refuses a dense vector where there are sparse ones only.
pub(super) fn refuse_dense(values: &[f32], shape: Shape) -> Result<(), Invalid> {
    if !shape.dim.is_none() || values.is_empty() {
        return Ok(());
    }
    Err(Invalid::new(
        "values",
        "Index configuration does not support dense values - this index has sparse vectors only",
    ))
}

/// Reads the sparse vector of a query; one without components is none, as protobuf has it.
pub(super) fn sparse_vector(
    given: Option<SparseValues>,
    shape: Shape,
) -> Result<Option<SparseVector>, Invalid> {
    read_sparse(given, shape, shape.scores_sparse())
}

fn read_sparse(
    given: Option<SparseValues>,
    shape: Shape,
    is_supported: bool,
) -> Result<Option<SparseVector>, Invalid> {
    let Some(SparseValues { indices, values }) = given else { return Ok(None) };
    if indices.is_empty() && values.is_empty() {
        return Ok(None);
    }
    if !is_supported {
        return Err(Invalid::new(
            "sparse_values",
            "Index configuration does not support sparse values - only indexes that are sparse or using dotproduct \
             are supported.",
        ));
    }
    let sparse = SparseVector::new(indices, values)?;
    sparse.check_length(shape.metric)?;
    Ok(Some(sparse))
}

pub(super) fn sparse_json(sparse: &SparseVector) -> SparseValues {
    let components = sparse.as_ref();
    SparseValues { indices: components.indices.to_vec(), values: components.values.to_vec() }
}

pub(super) fn metadata(fields: Option<MetadataFields>) -> Result<Metadata, Invalid> {
    metadata::from_json(fields.unwrap_or_default(), |_| "metadata".to_owned())
}

/// Nothing for a record without metadata: clients tell an absent object from an empty one.
pub(super) fn metadata_json(metadata: Metadata) -> Option<MetadataFields> {
    let write = |value: MetadataValue| match value {
        MetadataValue::String(text) => MetadataJson::String(text),
        MetadataValue::Number(number) => MetadataJson::Number(number),
        MetadataValue::Bool(flag) => MetadataJson::Bool(flag),
        MetadataValue::Strings(texts) => MetadataJson::Strings(texts),
    };
    (!metadata.is_empty())
        .then(|| metadata.into_fields().into_iter().map(|(name, value)| (name, write(value))).collect())
}

pub(super) fn fetched(stored: Stored) -> (String, MatchJson) {
    let Record { id, vector, sparse, metadata } = stored.record;
    let id = id.to_string();
    let json = MatchJson {
        id: id.clone(),
        score: None,
        values: vector.as_slice().to_vec(),
        sparse_values: sparse.as_ref().map(sparse_json),
        metadata: metadata_json(metadata),
    };
    (id, json)
}

/// A filter that may be left out or empty.
pub(super) fn optional_filter(filter: Option<&FilterJson>) -> Result<Option<Filter>, Invalid> {
    match filter {
        None | Some(FilterJson::Null) => Ok(None),
        Some(given) => filter::from_json(given),
    }
}

/// A filter that must say something; `empty` is what Pinecone answers to one that does not.
pub(super) fn needed_filter(filter: &FilterJson, empty: &str) -> Result<Filter, RpcError> {
    optional_filter(Some(filter))?.ok_or_else(|| RpcError::invalid(empty))
}

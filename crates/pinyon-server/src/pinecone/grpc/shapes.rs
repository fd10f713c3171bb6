//! Between protobuf and the shapes that the operations speak.

use crate::pinecone::envelope::RpcError;
use pinyon_core::NamespaceReport;
use pinyon_wire::{
    filter_json::FilterJson,
    grpc::{self, Pagination, Usage},
    json::{MetadataFields, MetadataJson},
    vectors::{MatchJson, QueryRequest, SparseValues, StatsResponse, UpdateRequest, VectorJson},
};
use prost_types::{ListValue, Struct, Value as ProtoValue, value::Kind};
use serde_json::Number;
use std::collections::{BTreeMap, HashMap};

fn sparse(given: grpc::SparseValues) -> SparseValues {
    SparseValues { indices: given.indices, values: given.values }
}

fn sparse_out(given: SparseValues) -> grpc::SparseValues {
    grpc::SparseValues { indices: given.indices, values: given.values }
}

pub(super) fn vector(given: grpc::Vector) -> VectorJson {
    let grpc::Vector { id, values, metadata, sparse_values } = given;
    VectorJson { id, values, sparse_values: sparse_values.map(sparse), metadata: metadata.map(metadata_in) }
}

/// A filter as JSON, which the grammar is read from.
pub(super) fn json(given: Struct) -> FilterJson {
    FilterJson::Object(given.fields.into_iter().map(|(name, value)| (name, json_value(value))).collect())
}

/// The decoder limits how deep messages are nested, so this ends.
fn json_value(value: ProtoValue) -> FilterJson {
    match value.kind {
        None | Some(Kind::NullValue(_)) => FilterJson::Null,
        Some(Kind::NumberValue(number)) => {
            Number::from_f64(number).map_or(FilterJson::Null, FilterJson::Number)
        }
        Some(Kind::StringValue(text)) => FilterJson::String(text.into()),
        Some(Kind::BoolValue(flag)) => FilterJson::Bool(flag),
        Some(Kind::StructValue(fields)) => json(fields),
        Some(Kind::ListValue(list)) => FilterJson::Array(list.values.into_iter().map(json_value).collect()),
    }
}

fn metadata_in(given: Struct) -> MetadataFields {
    given.fields.into_iter().map(|(name, value)| (name, metadata_value(value))).collect()
}

fn metadata_value(value: ProtoValue) -> MetadataJson {
    match value.kind {
        None | Some(Kind::NullValue(_)) => MetadataJson::Null,
        Some(Kind::NumberValue(number)) => MetadataJson::Number(number),
        Some(Kind::StringValue(text)) => MetadataJson::String(text),
        Some(Kind::BoolValue(flag)) => MetadataJson::Bool(flag),
        Some(Kind::StructValue(fields)) => MetadataJson::Other(json(fields).to_string()),
        Some(Kind::ListValue(list)) => texts(list),
    }
}

fn texts(list: ListValue) -> MetadataJson {
    fn text(value: &ProtoValue) -> Option<&str> {
        match &value.kind {
            Some(Kind::StringValue(text)) => Some(text),
            _ => None,
        }
    }
    match list.values.iter().map(text).collect() {
        Some(texts) => MetadataJson::Strings(texts),
        None => MetadataJson::Other(
            FilterJson::Array(list.values.into_iter().map(json_value).collect()).to_string(),
        ),
    }
}

fn metadata_out(fields: MetadataFields) -> Struct {
    let value = |value: MetadataJson| {
        let kind = match value {
            MetadataJson::String(text) | MetadataJson::Other(text) => Kind::StringValue(text),
            MetadataJson::Number(number) => Kind::NumberValue(number),
            MetadataJson::Bool(flag) => Kind::BoolValue(flag),
            MetadataJson::Null => Kind::NullValue(0),
            MetadataJson::Strings(texts) => {
                let value = |text: &str| ProtoValue { kind: Some(Kind::StringValue(text.to_owned())) };
                Kind::ListValue(ListValue { values: texts.iter().map(value).collect() })
            }
        };
        ProtoValue { kind: Some(kind) }
    };
    Struct {
        fields: fields.into_iter().map(|(name, field)| (name, value(field))).collect::<BTreeMap<_, _>>(),
    }
}

pub(super) fn records(found: BTreeMap<String, MatchJson>) -> HashMap<String, grpc::Vector> {
    let record = |(id, one): (String, MatchJson)| {
        let vector = grpc::Vector {
            id: one.id,
            values: one.values,
            metadata: one.metadata.map(metadata_out),
            sparse_values: one.sparse_values.map(sparse_out),
        };
        (id, vector)
    };
    found.into_iter().map(record).collect()
}

pub(super) fn scored(one: MatchJson) -> grpc::ScoredVector {
    grpc::ScoredVector {
        id: one.id,
        score: one.score.unwrap_or_default(),
        values: one.values,
        metadata: one.metadata.map(metadata_out),
        sparse_values: one.sparse_values.map(sparse_out),
    }
}

#[allow(deprecated)] // the field is part of the message
pub(super) fn query(given: grpc::QueryRequest) -> Result<QueryRequest, RpcError> {
    if !given.queries.is_empty() {
        return Err(RpcError::invalid("queries are not supported any more: send one query at a time"));
    }
    Ok(QueryRequest {
        // A number that is not there reads as 0.
        top_k: (given.top_k > 0).then(|| i64::from(given.top_k)),
        vector: given.vector,
        id: given.id,
        sparse_vector: given.sparse_vector.map(sparse),
        namespace: given.namespace,
        filter: given.filter.map(json),
        include_values: given.include_values,
        include_metadata: given.include_metadata,
        scan_factor: given.scan_factor.map(f64::from),
        max_candidates: given.max_candidates.map(i64::from),
    })
}

pub(super) fn update(given: grpc::UpdateRequest) -> UpdateRequest {
    UpdateRequest {
        id: given.id,
        values: given.values,
        sparse_values: given.sparse_values.map(sparse),
        set_metadata: given.set_metadata.map(metadata_in),
        filter: given.filter.map(json),
        dry_run: given.dry_run,
        namespace: given.namespace,
    }
}

/// The protocol counts in 32 bits; more is said as the most.
fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) fn stats(done: StatsResponse) -> grpc::DescribeIndexStatsResponse {
    let summary = |(name, one): (String, pinyon_wire::vectors::NamespaceSummary)| {
        (name, grpc::NamespaceSummary { vector_count: count(one.vector_count) })
    };
    grpc::DescribeIndexStatsResponse {
        namespaces: done.namespaces.into_iter().map(summary).collect(),
        dimension: done.dimension,
        index_fullness: done.index_fullness,
        total_vector_count: count(done.total_vector_count),
        metric: Some(done.metric),
        vector_type: Some(done.vector_type),
        memory_fullness: None,
        storage_fullness: None,
    }
}

pub(super) fn namespace(report: NamespaceReport) -> grpc::NamespaceDescription {
    let has_schema = !report.fields.is_empty();
    let field = |name: &String| (name.clone(), grpc::MetadataFieldProperties { filterable: true });
    let fields = report.fields.iter().map(field).collect();
    grpc::NamespaceDescription {
        name: report.name.to_string(),
        record_count: report.records,
        schema: has_schema.then_some(grpc::MetadataSchema { fields }),
        indexed_fields: has_schema.then_some(grpc::IndexedFields { fields: report.fields }),
        size_bytes: report.vector_bytes,
    }
}

#[allow(clippy::unnecessary_wraps)] // fields of messages are optional
pub(super) const fn usage() -> Option<Usage> {
    Some(Usage { read_units: Some(1) })
}

pub(super) fn pagination(given: Option<pinyon_wire::vectors::Pagination>) -> Option<Pagination> {
    given.map(|page| Pagination { next: page.next })
}

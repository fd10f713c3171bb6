//! Reads the requests that make indexes, in every shape.

use super::{
    attributes::{self, Attributes, Deployment, Embed},
    envelope::ControlFailure,
    index_json::{SPARSE_VALUES, VALUES},
    inference_models,
};
use pinyon_core::{IndexRequest, check_index_name};
use pinyon_types::{Dim, Metric};
use pinyon_wire::{
    control::{CreateRequest, LegacyCreateRequest, TagChanges},
    records::CreateForModelRequest,
};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
};

/// Most tags of an index (Pinecone's limit).
const TAGS_MAX: usize = 20;
const TAG_NAME_MAX: usize = 80;
const TAG_VALUE_MAX: usize = 120;

pub(super) fn from_legacy(body: LegacyCreateRequest) -> Result<IndexRequest, ControlFailure> {
    check_index_name(&body.name)?;
    let attributes = attributes::from_spec(&body.spec)?;
    let missing = || ControlFailure::invalid("dimension is missing: dense indexes need one, 1 to 20000");
    let (dim, metric) = match body.vector_type.as_deref() {
        None | Some("dense") => (
            dim(body.dimension.ok_or_else(missing)?)?,
            Metric::from_name(body.metric.as_deref().unwrap_or("cosine"))?,
        ),
        Some("sparse") => {
            check_sparse(&body, &attributes)?;
            (Dim::NONE, Metric::DotProduct)
        }
        Some(other) => {
            return Err(ControlFailure::invalid(format!(
                "vector_type must be dense or sparse, is {other:?}"
            )));
        }
    };
    Ok(IndexRequest {
        dim,
        metric,
        is_protected: is_protected(body.deletion_protection.as_deref())?.unwrap_or(false),
        tags: changed_tags(BTreeMap::new(), body.tags.unwrap_or_default())?,
        name: body.name,
        attributes: attributes.write(),
    })
}

/// What a request for a sparse index must not ask for.
fn check_sparse(body: &LegacyCreateRequest, attributes: &Attributes) -> Result<(), ControlFailure> {
    if body.dimension.is_some() {
        return Err(ControlFailure::invalid("dimension should not be specified for sparse indexes"));
    }
    if body.metric.as_deref().is_some_and(|metric| metric != "dotproduct") {
        return Err(ControlFailure::invalid("Sparse vector indexes must use the metric dotproduct."));
    }
    if matches!(attributes.deployment, Deployment::Pod(_)) {
        return Err(ControlFailure::invalid("Sparse vector type is not supported for pod indexes"));
    }
    Ok(())
}

pub(super) fn from_schema(body: CreateRequest) -> Result<IndexRequest, ControlFailure> {
    let name = body.name.unwrap_or_else(made_up_name);
    check_index_name(&name)?;
    let deployment = attributes::from_deployment(body.deployment.as_ref())?;
    let fields = &body.schema.fields;
    if fields.is_empty() {
        return Err(ControlFailure::invalid(
            "Schema must contain at least one of the following field types: dense_vector, sparse_vector, string with \
             full_text_search",
        ));
    }
    if fields.keys().any(|name| name != VALUES && name != SPARSE_VALUES) {
        return Err(ControlFailure::new(
            501,
            "UNIMPLEMENTED",
            "Indexes of documents are not supported by this server yet: a schema has the fields _values and _sparse_values \
             only.",
        ));
    }
    let (dim, metric) = vectors_of(fields)?;
    let has_sparse_field = fields.len() == 2;
    let attributes =
        Attributes { deployment, read_capacity: body.read_capacity, has_sparse_field, ..Attributes::plain() };
    Ok(IndexRequest {
        name,
        dim,
        metric,
        is_protected: is_protected(body.deletion_protection.as_deref())?.unwrap_or(false),
        tags: changed_tags(BTreeMap::new(), body.tags.unwrap_or_default())?,
        attributes: attributes.write(),
    })
}

/// Dimension and metric that a schema of the reserved fields asks for.
fn vectors_of(fields: &Map<String, Value>) -> Result<(Dim, Metric), ControlFailure> {
    for (name, kind) in [(VALUES, "dense_vector"), (SPARSE_VALUES, "sparse_vector")] {
        let given = fields.get(name).map(|field| field.get("type").and_then(Value::as_str));
        if given.is_some_and(|given| given != Some(kind)) {
            return Err(ControlFailure::invalid(format!("the field {name} must have the type {kind}")));
        }
    }
    let Some(values) = fields.get(VALUES) else { return Ok((Dim::NONE, Metric::DotProduct)) };
    let dimension = values.get("dimension").and_then(Value::as_i64);
    let dimension =
        dimension.ok_or_else(|| ControlFailure::invalid("dimension of _values is missing: 1 to 20000"))?;
    let has_sparse = fields.contains_key(SPARSE_VALUES);
    let default = if has_sparse { Metric::DotProduct.name() } else { Metric::Cosine.name() };
    let metric = Metric::from_name(values.get("metric").and_then(Value::as_str).unwrap_or(default))?;
    if has_sparse && metric != Metric::DotProduct {
        return Err(ControlFailure::invalid(
            "an index with _values and _sparse_values must use the metric dotproduct: scores of both are added",
        ));
    }
    Ok((dim(dimension)?, metric))
}

fn made_up_name() -> String {
    format!("index-{:012x}", RandomState::new().hash_one(0) >> 16)
}

fn dim(dimension: i64) -> Result<Dim, ControlFailure> {
    let refused = || ControlFailure::invalid(format!("dimension must be 1 to 20000, is {dimension}"));
    u32::try_from(dimension).ok().and_then(|dimension| Dim::new(dimension).ok()).ok_or_else(refused)
}

pub(super) fn is_protected(text: Option<&str>) -> Result<Option<bool>, ControlFailure> {
    match text {
        None => Ok(None),
        Some("enabled") => Ok(Some(true)),
        Some("disabled") => Ok(Some(false)),
        Some(other) => Err(ControlFailure::invalid(format!(
            "deletion_protection must be enabled or disabled, is {other:?}"
        ))),
    }
}

/// Reads `create-for-model`.
pub(super) fn for_model(body: CreateForModelRequest) -> Result<IndexRequest, ControlFailure> {
    check_index_name(&body.name)?;
    let asked = body.embed;
    // Without quotes here, with quotes where models are asked: clients match both.
    let missing = || ControlFailure::new(404, "NOT_FOUND", format!("Model {} not found.", asked.model));
    let model = inference_models::embedding(&asked.model).ok_or_else(missing)?;
    let metric = match &asked.metric {
        None => model.metrics[0],
        Some(name) => *model.metrics.iter().find(|metric| metric.name() == name).ok_or_else(|| {
            ControlFailure::invalid(format!("metric '{name}' is invalid for model {}", model.name))
        })?,
    };
    let field = asked.field_map.get("text").and_then(Value::as_str).filter(|field| !field.is_empty());
    let field = field.ok_or_else(|| ControlFailure::invalid("Missing required key 'text' in field_map"))?;
    let mut embed = Embed::new(model.name, field);
    embed.read_parameters.extend(asked.read_parameters.unwrap_or_default());
    embed.write_parameters.extend(asked.write_parameters.unwrap_or_default());
    let attributes = Attributes {
        deployment: attributes::in_region(body.cloud, body.region)?,
        read_capacity: body.read_capacity,
        metadata_schema: body.schema,
        embed: Some(embed),
        has_sparse_field: false,
    };
    Ok(IndexRequest {
        name: body.name,
        dim: model.dim(asked.dimension)?,
        metric,
        is_protected: is_protected(body.deletion_protection.as_deref())?.unwrap_or(false),
        tags: changed_tags(BTreeMap::new(), body.tags.unwrap_or_default())?,
        attributes: attributes.write(),
    })
}

/// Tags with changes over them; an empty or null value takes a tag away.
pub(super) fn changed_tags(
    mut tags: BTreeMap<String, String>,
    changes: TagChanges,
) -> Result<BTreeMap<String, String>, ControlFailure> {
    for (name, value) in changes {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > TAG_NAME_MAX || !name.chars().all(is_name) {
            return Err(ControlFailure::invalid(format!(
                "Tag key must have 1 to {TAG_NAME_MAX} letters, digits, underscores or hyphens, got '{name}'"
            )));
        }
        match value.filter(|value| !value.is_empty()) {
            None => drop(tags.remove(&name)),
            Some(value)
                if value.len() <= TAG_VALUE_MAX && value.bytes().all(|b| (b' '..=b'~').contains(&b)) =>
            {
                tags.insert(name, value);
            }
            Some(_) => {
                return Err(ControlFailure::invalid(format!(
                    "Tag value of '{name}' must have at most {TAG_VALUE_MAX} printable ASCII characters"
                )));
            }
        }
    }
    if tags.len() > TAGS_MAX {
        return Err(ControlFailure::invalid(format!(
            "an index has at most {TAGS_MAX} tags, got {}",
            tags.len()
        )));
    }
    Ok(tags)
}

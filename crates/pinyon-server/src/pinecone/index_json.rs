//! An index as JSON that its clients read: in the legacy shape and in that of 2026-07.

use super::{
    attributes::{Attributes, Deployment},
    version::ApiVersion,
};
use pinyon_core::{Index, IndexDescription};
use serde_json::{Map, Value, json};

/// The reserved field of dense vectors.
pub(super) const VALUES: &str = "_values";
/// The reserved field of sparse vectors.
pub(super) const SPARSE_VALUES: &str = "_sparse_values";

/// An index, as a client of this version reads it.
pub(super) fn index_json(index: &Index, host: &str, version: ApiVersion) -> Value {
    let attributes = Attributes::of(index);
    let index = &index.description;
    if version == ApiVersion::Schema {
        return schema_model(index, &attributes, host);
    }
    let mut model = json!({
        "name": index.name,
        "dimension": index.dim.get(),
        "metric": index.metric.name(),
        "host": host,
        "vector_type": vector_type(index),
        "deletion_protection": protection(index),
        "tags": tags(index),
        "spec": spec(&attributes, version),
        "status": {"ready": true, "state": "Ready"},
    });
    if let Some(embed) = &attributes.embed {
        model["embed"] = json!({
            "model": embed.model,
            "metric": index.metric.name(),
            "dimension": index.dim.get(),
            "vector_type": vector_type(index),
            "field_map": {"text": embed.field},
            "read_parameters": embed.read_parameters,
            "write_parameters": embed.write_parameters,
        });
    }
    // Old clients cannot read a model without a dimension; newer ones take 0 for one.
    if index.dim.is_none() && version > ApiVersion::Before2025 {
        without_dimension(&mut model);
        model.get_mut("embed").map(without_dimension);
    }
    model
}

fn without_dimension(model: &mut Value) {
    if let Some(fields) = model.as_object_mut() {
        fields.remove("dimension");
    }
}

fn vector_type(index: &IndexDescription) -> &'static str {
    if index.dim.is_none() { "sparse" } else { "dense" }
}

/// The fields that were declared: the text of an integrated model, or the reserved ones of vectors.
fn schema_fields(index: &IndexDescription, attributes: &Attributes) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(embed) = &attributes.embed {
        let mut field = json!({
            "type": "semantic_text",
            "model": embed.model,
            "dimension": index.dim.get(),
            "metric": index.metric.name(),
            "read_parameters": embed.read_parameters,
            "write_parameters": embed.write_parameters,
            "description": null,
        });
        if index.dim.is_none() {
            without_dimension(&mut field);
        }
        fields.insert(embed.field.clone(), field);
        return fields;
    }
    if !index.dim.is_none() {
        let field = json!({
            "type": "dense_vector",
            "dimension": index.dim.get(),
            "metric": index.metric.name(),
            "description": null,
        });
        fields.insert(VALUES.into(), field);
    }
    if index.dim.is_none() || attributes.has_sparse_field {
        fields.insert(SPARSE_VALUES.into(), json!({"type": "sparse_vector", "description": null}));
    }
    fields
}

fn schema_model(index: &IndexDescription, attributes: &Attributes, host: &str) -> Value {
    json!({
        "name": index.name,
        "host": host,
        "status": {"ready": true, "state": "Ready"},
        "deployment": deployment(&attributes.deployment),
        "read_capacity": read_capacity(attributes),
        "schema": {"fields": schema_fields(index, attributes)},
        "tags": tags(index),
        "deletion_protection": protection(index),
    })
}

fn protection(index: &IndexDescription) -> &'static str {
    if index.is_protected { "enabled" } else { "disabled" }
}

/// Null when there are none.
fn tags(index: &IndexDescription) -> Value {
    if index.tags.is_empty() { Value::Null } else { json!(index.tags) }
}

fn spec(attributes: &Attributes, version: ApiVersion) -> Value {
    let with_capacity = |mut fields: Map<String, Value>| {
        if version >= ApiVersion::Late2025 {
            fields.insert("read_capacity".into(), read_capacity(attributes));
            if let Some(schema) = &attributes.metadata_schema {
                fields.insert("schema".into(), schema.clone());
            }
        }
        Value::Object(fields)
    };
    let object = |value: Value| if let Value::Object(fields) = value { fields } else { Map::new() };
    match &attributes.deployment {
        Deployment::Managed { cloud, region } => {
            json!({"serverless": with_capacity(object(json!({"cloud": cloud, "region": region})))})
        }
        Deployment::Byoc { environment } => {
            json!({"byoc": with_capacity(object(json!({"environment": environment})))})
        }
        Deployment::Pod(pod) => json!({"pod": pod}),
    }
}

fn deployment(deployment: &Deployment) -> Value {
    match deployment {
        Deployment::Managed { cloud, region } => json!({
            "deployment_type": "managed", "cloud": cloud, "region": region, "environment": "local",
        }),
        Deployment::Byoc { environment } => json!({"deployment_type": "byoc", "environment": environment}),
        Deployment::Pod(pod) => json!({
            "deployment_type": "pod", "environment": pod.environment, "pod_type": pod.pod_type,
            "replicas": pod.replicas, "shards": pod.shards, "pods": pod.pods(),
        }),
    }
}

/// What was asked for, said to be there.
fn read_capacity(attributes: &Attributes) -> Value {
    let mut fields = match &attributes.read_capacity {
        Some(Value::Object(fields)) => fields.clone(),
        _ => Map::new(),
    };
    let manual = fields.get("dedicated").and_then(|dedicated| dedicated.get("manual")).cloned();
    let current = |name: &str| manual.as_ref().and_then(|manual| manual.get(name)).cloned();
    let status = json!({
        "state": "Ready",
        "current_replicas": current("replicas"),
        "current_shards": current("shards"),
    });
    fields.entry("mode").or_insert_with(|| "OnDemand".into());
    fields.insert("status".into(), status);
    Value::Object(fields)
}

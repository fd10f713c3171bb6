//! What `PATCH /indexes/{name}` changes of what an index is said to be, and its integrated model.

use super::{
    attributes::{Attributes, Deployment, Embed},
    envelope::ControlFailure,
    inference_models::{self, EmbeddingModel},
};
use pinyon_core::IndexDescription;
use pinyon_wire::control::ConfigureRequest;
use serde_json::{Map, Value};

type Done = Result<(), ControlFailure>;

/// Applies the changes to what is kept of an index.
pub(super) fn apply(
    attributes: &mut Attributes,
    change: &ConfigureRequest,
    index: &IndexDescription,
) -> Done {
    if let Some(embed) = &change.embed {
        let field = embed.get("field_map").and_then(|map| map.get("text")).and_then(Value::as_str);
        integrate(attributes, embed, field, index)?;
    }
    if let Some(schema) = &change.schema {
        let (field, embed) = semantic_text(&schema.fields)?;
        integrate(attributes, embed, Some(field), index)?;
    }
    let spec = |kind: &str| change.spec.as_ref().and_then(|spec| spec.get(kind)?.as_object());
    if let Some(pods) = spec("pod").or(change.deployment.as_ref()) {
        resize(attributes, pods)?;
    }
    let capacity = ["serverless", "byoc"].iter().find_map(|kind| spec(kind)?.get("read_capacity"));
    let capacity = capacity.filter(|capacity| !capacity.is_null());
    if let Some(capacity) = change.read_capacity.as_ref().or(capacity) {
        attributes.read_capacity = Some(capacity.clone());
    }
    Ok(())
}

fn resize(attributes: &mut Attributes, pods: &Map<String, Value>) -> Done {
    let Deployment::Pod(pod) = &mut attributes.deployment else {
        return Err(ControlFailure::invalid("replicas and pod_type belong to pod indexes; this is none"));
    };
    let replicas = pods.get("replicas").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    pod.replicas = replicas.filter(|n| *n > 0).unwrap_or(pod.replicas);
    if let Some(pod_type) = pods.get("pod_type").and_then(Value::as_str) {
        pod_type.clone_into(&mut pod.pod_type);
    }
    pod.pods = Some(pod.replicas.saturating_mul(pod.shards));
    Ok(())
}

/// The one field that 2026-07 lets a client change.
fn semantic_text(fields: &Map<String, Value>) -> Result<(&str, &Map<String, Value>), ControlFailure> {
    let is_text =
        |field: &&Map<String, Value>| field.get("type").and_then(Value::as_str) == Some("semantic_text");
    let mut given = fields.iter().map(|(name, field)| Some((name.as_str(), field.as_object()?)));
    match (given.next().flatten().filter(|(_, field)| is_text(field)), given.next()) {
        (Some(found), None) => Ok(found),
        _ => Err(ControlFailure::invalid("schema must have exactly one field, of the type semantic_text")),
    }
}

/// Makes an index embed its texts, or changes how it does. The vectors stay, so its model does too.
fn integrate(
    attributes: &mut Attributes,
    change: &Map<String, Value>,
    field: Option<&str>,
    index: &IndexDescription,
) -> Done {
    let asked = change.get("model").and_then(Value::as_str);
    let mut embed = match attributes.embed.take() {
        Some(embed) if asked.is_none_or(|asked| asked == embed.model) => embed,
        Some(embed) => {
            let message = format!("this index embeds with {}; its model cannot be changed", embed.model);
            return Err(ControlFailure::invalid(message));
        }
        None => {
            let field = field.filter(|field| !field.is_empty());
            let missing = || ControlFailure::invalid("Missing required key 'text' in field_map");
            let name = asked.ok_or_else(|| ControlFailure::invalid("embed must have a model"))?;
            Embed::new(fitting(name, index)?.name, field.ok_or_else(missing)?)
        }
    };
    if let Some(field) = field.filter(|field| !field.is_empty()) {
        field.clone_into(&mut embed.field);
    }
    let given = |name: &str| change.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    embed.read_parameters.extend(given("read_parameters"));
    embed.write_parameters.extend(given("write_parameters"));
    attributes.embed = Some(embed);
    Ok(())
}

/// The model, if it makes vectors like those of the index.
fn fitting(name: &str, index: &IndexDescription) -> Result<&'static EmbeddingModel, ControlFailure> {
    let missing = || ControlFailure::new(404, "NOT_FOUND", format!("Model {name} not found."));
    let model = inference_models::embedding(name).ok_or_else(missing)?;
    model.dim(Some(i64::from(index.dim.get())))?;
    if !model.metrics.contains(&index.metric) {
        let metric = index.metric.name();
        return Err(ControlFailure::invalid(format!(
            "metric '{metric}' is invalid for model {}",
            model.name
        )));
    }
    Ok(model)
}

//! What customers say of an index that means nothing to the engine, kept and echoed: cloud, region, pods, read capacity.

use super::envelope::ControlFailure;
use pinyon_core::Index;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Everything that is echoed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Attributes {
    pub(super) deployment: Deployment,
    /// As it was asked for; nothing stands for on demand.
    #[serde(default)]
    pub(super) read_capacity: Option<Value>,
    /// The metadata fields for filters, as they were asked for.
    #[serde(default)]
    pub(super) metadata_schema: Option<Value>,
    /// The integrated model.
    #[serde(default)]
    pub(super) embed: Option<Embed>,
    /// Whether a field of sparse vectors was declared beside the dense one; they are taken without it too.
    #[serde(default)]
    pub(super) has_sparse_field: bool,
}

/// A model that an index embeds its texts with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Embed {
    pub(super) model: String,
    /// The field whose text is embedded.
    pub(super) field: String,
    pub(super) read_parameters: Map<String, Value>,
    pub(super) write_parameters: Map<String, Value>,
}

impl Embed {
    pub(super) fn new(model: &str, field: &str) -> Self {
        let parameters = |kind: &str| {
            let pairs = [("input_type", kind), ("truncate", "END")];
            pairs.map(|(name, value)| (name.to_owned(), Value::from(value))).into_iter().collect()
        };
        Self {
            model: model.into(),
            field: field.into(),
            read_parameters: parameters("query"),
            write_parameters: parameters("passage"),
        }
    }
}

/// Where and on what an index is said to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Deployment {
    Managed { cloud: String, region: String },
    Byoc { environment: String },
    Pod(Pod),
}

/// A pod deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pod {
    pub(super) environment: String,
    #[serde(default = "pod_type_default")]
    pub(super) pod_type: String,
    #[serde(default = "one")]
    pub(super) replicas: u32,
    #[serde(default = "one")]
    pub(super) shards: u32,
    #[serde(default)]
    pub(super) pods: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metadata_config: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source_collection: Option<String>,
}

fn pod_type_default() -> String {
    "p1.x1".into()
}

const fn one() -> u32 {
    1
}

impl Pod {
    pub(super) fn pods(&self) -> u32 {
        self.pods.unwrap_or_else(|| self.replicas.saturating_mul(self.shards))
    }
}

impl Attributes {
    /// What an index that nobody described is said to be: the tenants' own.
    pub(super) fn plain() -> Self {
        Self {
            deployment: Deployment::Managed { cloud: "aws".into(), region: "us-east-1".into() },
            read_capacity: None,
            metadata_schema: None,
            embed: None,
            has_sparse_field: false,
        }
    }

    /// What is known of an index. The tenants' own embeds the field that the tenant API keeps texts in.
    pub(super) fn of(index: &Index) -> Self {
        let mut attributes = Self::read(&index.description.attributes);
        if index.is_of_tenants() {
            attributes.embed = Some(Embed::new(index.engine.settings().embedder.model_id(), "text"));
        }
        attributes
    }

    fn read(text: &str) -> Self {
        // What this program wrote reads back; an empty text is the tenants' index.
        serde_json::from_str(text).unwrap_or_else(|_| Self::plain())
    }

    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

type Read<T> = Result<T, ControlFailure>;

/// Reads a legacy `spec`: exactly one of serverless, pod and byoc.
pub(super) fn from_spec(spec: &Map<String, Value>) -> Read<Attributes> {
    let kinds = ["serverless", "pod", "byoc"];
    let given: Vec<(&str, &Map<String, Value>)> =
        kinds.iter().filter_map(|kind| Some((*kind, spec.get(*kind)?.as_object()?))).collect();
    let [(kind, fields)] = given.as_slice() else {
        return Err(ControlFailure::invalid("spec must have exactly one of serverless, pod and byoc"));
    };
    let deployment = match *kind {
        "serverless" => managed(fields)?,
        "byoc" => Deployment::Byoc { environment: text(fields, "environment")? },
        _ => Deployment::Pod(pod(fields)?),
    };
    Ok(Attributes {
        deployment,
        read_capacity: fields.get("read_capacity").filter(|value| !value.is_null()).cloned(),
        metadata_schema: fields.get("schema").filter(|value| !value.is_null()).cloned(),
        ..Attributes::plain()
    })
}

/// Reads a `deployment` of 2026-07.
pub(super) fn from_deployment(deployment: Option<&Map<String, Value>>) -> Read<Deployment> {
    let Some(fields) = deployment else { return Ok(Attributes::plain().deployment) };
    match fields.get("deployment_type").and_then(Value::as_str) {
        None | Some("managed") => managed(fields),
        Some("byoc") => Ok(Deployment::Byoc { environment: text(fields, "environment")? }),
        Some("pod") => Err(ControlFailure::invalid(
            "deployment_type 'pod' is not supported on this API version. Use managed, or an API version before 2026-07.",
        )),
        Some(other) => {
            Err(ControlFailure::invalid(format!("deployment_type must be managed or byoc, is {other:?}")))
        }
    }
}

fn managed(fields: &Map<String, Value>) -> Read<Deployment> {
    in_region(text(fields, "cloud")?, text(fields, "region")?)
}

/// A serverless deployment in a region that could be one.
pub(super) fn in_region(cloud: String, region: String) -> Read<Deployment> {
    if is_region(&cloud, &region) {
        return Ok(Deployment::Managed { cloud, region });
    }
    let message = format!("Resource cloud: {cloud} region: {region} not found.");
    Err(ControlFailure::new(404, "NOT_FOUND", message))
}

/// Whether a cloud has regions of this form: the list of them grows, their form does not.
fn is_region(cloud: &str, region: &str) -> bool {
    let ends_in_digit = region.ends_with(|c: char| c.is_ascii_digit());
    let is_plain = region.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let parts: Vec<&str> = region.split('-').collect();
    is_plain
        && ends_in_digit
        && match cloud {
            // us-east-1
            "aws" => {
                parts.len() >= 3
                    && parts[0].len() == 2
                    && parts.last().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
            }
            // us-central1
            "gcp" => parts.len() == 2 && parts[1].starts_with(|c: char| c.is_ascii_lowercase()),
            // eastus2
            "azure" => parts.len() == 1,
            _ => false,
        }
}

fn pod(fields: &Map<String, Value>) -> Read<Pod> {
    text(fields, "environment")?;
    let written = Value::Object(fields.clone()).to_string();
    let mut pod: Pod = crate::http::read_json(written.as_bytes()).map_err(|bad| unprocessable(&bad))?;
    if pod.replicas == 0 || pod.shards == 0 {
        return Err(ControlFailure::invalid("replicas and shards must be at least 1"));
    }
    pod.pods = Some(pod.pods());
    Ok(pod)
}

fn text(fields: &Map<String, Value>, name: &str) -> Read<String> {
    let given = fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let missing = || {
        let message =
            format!("Failed to deserialize the JSON body into the target type: missing field `{name}`");
        ControlFailure::new(422, "UNPROCESSABLE_ENTITY", message)
    };
    given.map(str::to_owned).ok_or_else(missing)
}

pub(super) fn unprocessable(error: &impl std::fmt::Display) -> ControlFailure {
    let message = format!("Failed to deserialize the JSON body into the target type: {error}");
    ControlFailure::new(422, "UNPROCESSABLE_ENTITY", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_known_by_their_form() {
        let good =
            [("aws", "us-east-1"), ("aws", "ap-southeast-2"), ("gcp", "europe-west4"), ("azure", "eastus2")];
        assert!(good.iter().all(|(cloud, region)| is_region(cloud, region)));
        let bad = [
            ("aws", "us-west1"),
            ("aws", "nowhere"),
            ("gcp", "us-east-1"),
            ("azure", "east-us-2"),
            ("ibm", "eu-1"),
        ];
        assert!(bad.iter().all(|(cloud, region)| !is_region(cloud, region)));
    }
}

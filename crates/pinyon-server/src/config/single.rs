//! The settings of single-index mode: one word of ours that switches it on, and the names of the vendor's image.

use super::{defaults::LISTEN_DEFAULT, error::ConfigError, partial::Partial};
use crate::pinecone::SingleIndex;
use pinyon_core::check_index_name;
use std::net::SocketAddr;

/// The one index, if one is asked for.
pub(super) fn index(merged: &Partial) -> Result<Option<SingleIndex>, ConfigError> {
    let Some(name) = merged.single_index.clone() else { return Ok(None) };
    check_index_name(&name).map_err(|error| ConfigError::of("single_index", error.problem))?;
    let dimension = merged.image_dimension.as_deref().map(|text| {
        text.parse::<u32>().map_err(|_| ConfigError(format!("DIMENSION must be a whole number, is {text:?}")))
    });
    Ok(Some(SingleIndex {
        name,
        dimension: dimension.transpose()?,
        metric: merged.image_metric.clone(),
        index_type: one_of("INDEX_TYPE", merged.image_index_type.as_deref(), ["serverless", "pod"])?,
        vector_type: one_of("VECTOR_TYPE", merged.image_vector_type.as_deref(), ["dense", "sparse"])?,
    }))
}

fn one_of(
    name: &str,
    given: Option<&str>,
    known: [&'static str; 2],
) -> Result<Option<&'static str>, ConfigError> {
    let find = |given: &str| {
        let [one, other] = known;
        let wrong = || ConfigError(format!("{name} must be {one} or {other}, is {given:?}"));
        known.into_iter().find(|word| *word == given).ok_or_else(wrong)
    };
    given.map(find).transpose()
}

/// Where to listen when nobody says: in single-index mode at the image's port.
pub(super) fn listen_default(merged: &Partial) -> Result<String, ConfigError> {
    let port = merged.image_port.as_deref().filter(|_| merged.single_index.is_some());
    let Some(text) = port else { return Ok(LISTEN_DEFAULT.into()) };
    let port: u16 =
        text.parse().map_err(|_| ConfigError(format!("PORT must be a port's number, is {text:?}")))?;
    Ok(SocketAddr::from(([127, 0, 0, 1], port)).to_string())
}

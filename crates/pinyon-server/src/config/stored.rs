//! The lowest layer of settings: those that the data were made with.

use super::partial::Partial;
use pinyon_core::{Engine, MadeWith};
use std::path::Path;

/// Returns the settings that the data in a directory were made with; none without data. Data that cannot be looked at, because
/// another process has them open or they are damaged, have none either: whoever opens them next says why they cannot.
pub(super) fn layer(data_dir: &Path) -> Partial {
    let MadeWith { shards, dimension, metric, placement, embedder, catalog } =
        Engine::made_with(data_dir).unwrap_or_default();
    let (embedder, openai_model) = embedder.as_deref().map_or((None, None), embedder_of);
    Partial {
        num_shards: shards,
        vector_dimension: dimension,
        metric: metric.map(|metric| metric.name().to_owned()),
        placement,
        catalog: catalog.map(|catalog| catalog.name().to_owned()),
        embedder: embedder.map(str::to_owned),
        openai_model: openai_model.map(str::to_owned),
        ..Partial::default()
    }
}

/// Splits an embedder's id, `hash-v1/384` or `openai:MODEL/384`, into the settings `embedder` and `openai_model`.
fn embedder_of(id: &str) -> (Option<&'static str>, Option<&str>) {
    match id.strip_prefix("openai:").and_then(|rest| rest.rsplit_once('/')) {
        Some((model, _)) => (Some("openai"), Some(model)),
        None if id.starts_with("hash-") => (Some("hash"), None),
        None => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedders_id_is_split_into_its_settings() {
        assert_eq!(embedder_of("hash-v1/384"), (Some("hash"), None));
        assert_eq!(embedder_of("openai:org/model-3/1536"), (Some("openai"), Some("org/model-3")));
        assert_eq!(embedder_of("other"), (None, None));
    }
}

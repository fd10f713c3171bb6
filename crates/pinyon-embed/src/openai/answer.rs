//! What an embeddings endpoint answers, held against what was asked.

use pinyon_types::Dim;
use serde::Deserialize;

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

/// The vectors in the order of the texts.
pub(super) fn read(text: &str, count: usize, dim: Dim) -> Result<Vec<Vec<f32>>, String> {
    let answer: Answer =
        serde_json::from_str(text).map_err(|error| format!("not the JSON expected: {error}"))?;
    if answer.data.len() != count {
        return Err(format!("{} vectors for {count} texts", answer.data.len()));
    }
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; count];
    for Item { index, embedding } in answer.data {
        if embedding.len() != dim.as_usize() {
            return Err(format!("a vector of {} components where {dim} were asked for", embedding.len()));
        }
        if !embedding.iter().all(|component| component.is_finite()) {
            return Err("a vector with a component that is not finite".into());
        }
        let place = vectors.get_mut(index).ok_or_else(|| format!("index {index} of {count} texts"))?;
        *place = Some(embedding);
    }
    vectors.into_iter().collect::<Option<_>>().ok_or_else(|| "two vectors with one index".into())
}

//! Feature hashing: stems and character n-grams, hashed into the components of a vector. It is lexical: texts are near
//! when they share words or parts of words, not when they mean the same.
//!
//! The recipe, version 1. Lower-case; split at what is not alphanumeric. A stop word counts 0.15 as a whole word and
//! has no n-grams. Any other word gives its stem (1.0) and, over the word between `^` and `$`, its character 3-grams
//! (0.25 each) and 4- and 5-grams (0.35 each). A feature that occurs n times counts 1 + ln n times its weight, goes to
//! component `hash mod dimension`, with the hash's top bit as sign. The vector is scaled to length 1. A text without
//! any feature gives a fixed unit vector. Changing any of this needs a new version: stored vectors would no longer fit.

mod features;
mod sparse;
mod stem;
#[cfg(test)]
mod tests;

use crate::{EmbedError, Embedder, InputKind};
pub use sparse::{SparseEmbedding, SparseHashEmbedder};

use features::Features;
use pinyon_types::Dim;

/// Embeds by feature hashing; deterministic on every machine, needs no files and no network.
#[derive(Debug, Clone)]
pub struct HashEmbedder {
    dim: Dim,
    model_id: String,
}

impl HashEmbedder {
    /// An embedder for vectors of `dim` components. 384 suffice; up to 1024 results get better.
    pub fn new(dim: Dim) -> Self {
        Self { dim, model_id: format!("hash-v1/{dim}") }
    }

    fn vector(&self, features: &mut Features, text: &str) -> Vec<f32> {
        if self.dim.is_none() {
            return Vec::new();
        }
        features.collect(text);
        let mut sums = vec![0.0_f64; self.dim.as_usize()];
        for (hash, weight, count) in features.counted() {
            let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
            let component = (hash % u64::from(self.dim.get())) as usize;
            sums[component] += sign * weight * damped(count);
        }
        let length = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
        if length == 0.0 {
            return self.nothing();
        }
        sums.iter().map(|sum| (sum / length) as f32).collect()
    }

    /// What a text without features becomes: cosine knows no zero vector.
    fn nothing(&self) -> Vec<f32> {
        let mut vector = vec![0.0; self.dim.as_usize()];
        vector[0] = 1.0;
        vector
    }
}

impl Embedder for HashEmbedder {
    fn model_id(&self) -> &str {
        &self.model_id
    }

    fn dim(&self) -> Dim {
        self.dim
    }

    fn embed(&self, texts: &[&str], _kind: InputKind) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut features = Features::default();
        Ok(texts.iter().map(|text| self.vector(&mut features, text)).collect())
    }

    fn is_remote(&self) -> bool {
        false
    }
}

/// 1 + ln n from a table that was computed once, because the last bit of a logarithm differs between machines; beyond
/// the table every doubling adds ln 2.
fn damped(count: u32) -> f64 {
    const TABLE: [f64; 17] = [
        0.0,
        1.0,
        1.6931471805599454,
        2.09861228866811,
        2.386294361119891,
        2.6094379124341005,
        2.791759469228055,
        2.9459101490553135,
        3.0794415416798357,
        3.1972245773362196,
        3.302585092994046,
        3.3978952727983707,
        3.4849066497880004,
        3.5649493574615367,
        3.6390573296152584,
        3.70805020110221,
        3.772588722239781,
    ];
    let mut count = count;
    let mut doublings = 0.0;
    while count > 16 {
        count /= 2;
        doublings += std::f64::consts::LN_2;
    }
    TABLE[count as usize] + doublings
}

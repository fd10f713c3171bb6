//! Texts to sparse vectors: a component a stem, weighed as BM25 weighs how often a word occurs.
//!
//! The recipe, version 1. Words and stems as in the dense recipe; stop words are left out. A stem's component is the low 32
//! bits of its hash. In a passage of `length` stems a stem that occurs `n` times weighs `2.2 n / (n + 0.3 + 0.9 length /
//! 100)` (Robertson and Zaragoza, 2009, with k1 = 1.2, b = 0.75 and a typical length of 100 in place of the collection's
//! average); in a query it weighs `n`. What is missing is how rare a word is: one text at a time does not tell. A text
//! without stems gives the one component 0 of weight 1, because an empty vector is none.

use super::features::{is_stop_word, lowered_words, stem_hash};
use crate::{InputKind, hash::stem::stem};
use pinyon_types::{Invalid, SparseVector, limits};
use std::collections::BTreeMap;

const SATURATION: f64 = 1.2;
const LENGTH_SHARE: f64 = 0.75;
const LENGTH_TYPICAL: f64 = 100.0;

/// A text as a sparse vector, with the stems that its components stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseEmbedding {
    /// The vector.
    pub vector: SparseVector,
    /// A stem for each component, in the components' order.
    pub tokens: Vec<String>,
}

/// Embeds by hashing stems; deterministic on every machine, needs no files and no network.
#[derive(Debug, Clone, Copy, Default)]
pub struct SparseHashEmbedder;

impl SparseHashEmbedder {
    /// Recipe and version: equal ids mean comparable vectors.
    pub const MODEL_ID: &'static str = "sparse-hash-v1";

    /// One sparse vector. Of a text with very many stems those that weigh most are kept.
    pub fn embed(&self, text: &str, kind: InputKind) -> SparseEmbedding {
        let mut counts: BTreeMap<u32, (f64, String)> = BTreeMap::new();
        for word in stems(text) {
            counts.entry(stem_hash(&word) as u32).or_insert_with(|| (0.0, word)).0 += 1.0;
        }
        let length: f64 = counts.values().map(|(count, _)| count).sum();
        let weigh = |count: f64| match kind {
            InputKind::Query => count,
            InputKind::Passage => {
                let norm = 1.0 - LENGTH_SHARE + LENGTH_SHARE * length / LENGTH_TYPICAL;
                count * (SATURATION + 1.0) / (count + SATURATION * norm)
            }
        };
        let mut weighed: Vec<(u32, f32, String)> =
            counts.into_iter().map(|(index, (count, word))| (index, weigh(count) as f32, word)).collect();
        if weighed.is_empty() {
            weighed.push((0, 1.0, String::new()));
        }
        weighed.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        weighed.truncate(limits::SPARSE_VALUES_MAX);
        weighed.sort_unstable_by_key(|(index, _, _)| *index);
        let indices = weighed.iter().map(|(index, _, _)| *index).collect();
        let values = weighed.iter().map(|(_, value, _)| *value).collect();
        let vector = SparseVector::new(indices, values)
            .expect("invariant: components are distinct, finite, at least one and not too many");
        SparseEmbedding { vector, tokens: weighed.into_iter().map(|(_, _, word)| word).collect() }
    }

    /// The component that a term has in every text it stands in.
    ///
    /// # Errors
    /// Not exactly one word, or a stop word.
    pub fn term(&self, term: &str) -> Result<u32, Invalid> {
        let mut found = stems(term);
        match (found.next(), found.next()) {
            (Some(word), None) => Ok(stem_hash(&word) as u32),
            _ => Err(Invalid::new(
                "match_terms",
                format!("every term must be one word that is no stop word, not {term:?}"),
            )),
        }
    }
}

fn stems(text: &str) -> impl Iterator<Item = String> + '_ {
    lowered_words(text).filter(|word| !is_stop_word(word)).map(|word| stem(&word).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embed(text: &str, kind: InputKind) -> SparseEmbedding {
        SparseHashEmbedder.embed(text, kind)
    }

    #[test]
    fn passages_that_share_rare_words_with_the_query_score_above_others() {
        let query = embed("how is dark beer brewed", InputKind::Query);
        let score = |text: &str| query.vector.as_ref().dot(embed(text, InputKind::Passage).vector.as_ref());
        let brewing = score("Dark beers are brewed with roasted malt.");
        assert!(brewing > score("The beer was warm.") && score("The beer was warm.") > 0.0);
        assert_eq!(score("A train to the coast."), 0.0);
        // More of the same says less and less, and a long text less than a short one.
        assert!(score("beer beer") < 2.0 * score("beer"));
        assert!(score(&format!("beer {}", "filling ".repeat(200))) < score("beer"));
    }

    #[test]
    fn vectors_are_frozen_and_tokens_stand_beside_their_components() {
        let found = embed("Dark beers, dark nights!", InputKind::Passage);
        assert_eq!(found.tokens.len(), found.vector.as_ref().indices.len());
        let place = found.tokens.iter().position(|token| token == "dark").unwrap();
        assert_eq!(found.vector.as_ref().indices[place], SparseHashEmbedder.term("DARK").unwrap());
        assert_eq!(found.vector.as_ref().values[place], 1.883_561_6);
        assert_eq!(embed("of the", InputKind::Passage).vector.as_ref().indices, [0]);
        assert!(SparseHashEmbedder.term("two words").is_err() && SparseHashEmbedder.term("the").is_err());
        let many: String = (0..3_000).map(|number| format!("word{number} ")).collect();
        assert_eq!(embed(&many, InputKind::Query).tokens.len(), limits::SPARSE_VALUES_MAX);
    }
}

//! Rerankers: a score between 0 and 1 for how well each of a few texts answers a query.

use crate::{EmbedError, Embedder, HashEmbedder, InputKind};
use pinyon_types::Dim;
use std::fmt::Debug;

/// Orders a few candidates more carefully than a search orders many.
pub trait Reranker: Send + Sync + Debug {
    /// One score a document, 0 to 1, in their order.
    ///
    /// # Errors
    /// The model's.
    fn score(&self, query: &str, documents: &[&str]) -> Result<Vec<f32>, EmbedError>;
}

/// Scores by shared words and parts of words: the cosine of hashed features, in so many components that hardly any two
/// features meet.
#[derive(Debug, Clone)]
pub struct LexicalReranker(HashEmbedder);

impl LexicalReranker {
    /// A reranker that needs nothing.
    pub fn new() -> Self {
        const DIMENSION: u32 = 16_384;
        Self(HashEmbedder::new(Dim::new(DIMENSION).expect("invariant: the constant is a dimension")))
    }
}

impl Default for LexicalReranker {
    fn default() -> Self {
        Self::new()
    }
}

impl Reranker for LexicalReranker {
    fn score(&self, query: &str, documents: &[&str]) -> Result<Vec<f32>, EmbedError> {
        let query = self.0.embed(&[query], InputKind::Query)?;
        let query = query.first().map_or(&[][..], Vec::as_slice);
        // One at a time: many long vectors at once would be megabytes.
        let score = |document: &&str| {
            let vectors = self.0.embed(&[document], InputKind::Passage)?;
            let products = vectors.iter().flatten().zip(query).map(|(a, b)| a * b);
            Ok(products.sum::<f32>().clamp(0.0, 1.0))
        };
        documents.iter().map(score).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_share_words_score_higher_and_all_scores_are_shares() {
        let documents = ["brewing dark beer with malt", "the train to the coast", "", "beer"];
        let scores = LexicalReranker::new().score("how is dark beer brewed", &documents).unwrap();
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
        assert!(scores[0] > scores[3] && scores[3] > scores[1] && scores[2] < 0.1, "{scores:?}");
    }
}

//! The trait, and what can go wrong behind it.

use pinyon_types::Dim;
use std::fmt::Debug;

/// What a text is for; some models treat the two differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// A question.
    Query,
    /// Something to be found.
    Passage,
}

/// Why texts were not embedded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// The endpoint gave no answer.
    #[error("embedding endpoint {url} did not answer after {attempts} attempts: {reason}")]
    Unreachable {
        /// The endpoint.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        reason: String,
    },
    /// The endpoint said no.
    #[error("embedding endpoint {url} refused with status {status}: {message}")]
    Refused {
        /// The endpoint.
        url: String,
        /// HTTP status.
        status: u16,
        /// What it said, cut to a bearable length.
        message: String,
    },
    /// The endpoint's answer is not what it should be.
    #[error("embedding endpoint {url} gave a bad answer: {problem}")]
    BadAnswer {
        /// The endpoint.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Turns texts into vectors.
pub trait Embedder: Send + Sync + Debug {
    /// Recipe, version and dimension: equal ids mean comparable vectors.
    fn model_id(&self) -> &str;

    /// Components of every vector it makes.
    fn dim(&self) -> Dim;

    /// One vector per text, in order; components finite.
    ///
    /// # Errors
    /// A remote embedder's; a local one does not fail.
    fn embed(&self, texts: &[&str], kind: InputKind) -> Result<Vec<Vec<f32>>, EmbedError>;

    /// Whether embedding sends the texts to another machine.
    fn is_remote(&self) -> bool;

    /// Whether it can be expected to work. Makes no call: a remote one tells how its last call ended and, before the
    /// first, whether its settings could work.
    fn is_working(&self) -> bool {
        true
    }
}

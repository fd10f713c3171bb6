//! Texts to vectors: one trait, a local embedder that needs nothing, and a client for remote ones.
//!
//! What it must not know: shards, tenants, servers. An embedder's [`Embedder::model_id`] is stored with the data it
//! made, because vectors of two recipes must never be compared.
//!
//! ```
//! use pinyon_embed::{Embedder, HashEmbedder, InputKind};
//! use pinyon_types::Dim;
//! let embedder = HashEmbedder::new(Dim::new(256)?);
//! let vectors = embedder.embed(&["brewing dark beer", "beers that are dark", "rail timetable"], InputKind::Passage)?;
//! let cosine = |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum::<f32>();
//! assert!(cosine(0, 1) > cosine(0, 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod embedder;
mod hash;
mod openai;
mod rerank;

pub use embedder::{EmbedError, Embedder, InputKind};
pub use hash::{HashEmbedder, SparseEmbedding, SparseHashEmbedder};
pub use openai::{ApiKey, OpenAiEmbedder, OpenAiSettings, Pause, ThreadPause};
pub use rerank::{LexicalReranker, Reranker};

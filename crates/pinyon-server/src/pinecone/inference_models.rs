//! Pinecone's models by name. Behind each stands what this server is configured with: the hashing embedder in any
//! dimension, or a remote one in its own; behind sparse models an embedder of words. The names promise the vendor's interface, not its quality.

use super::{envelope::ControlFailure, record_vectors::RecordVectors};
use pinyon_core::{EngineError, Index};
use pinyon_embed::{Embedder, HashEmbedder, InputKind, SparseHashEmbedder};
use pinyon_types::{Dim, Metric};
use serde_json::{Value, json};
use std::sync::Arc;

/// A model for embeddings.
#[derive(Debug)]
pub(super) struct EmbeddingModel {
    pub(super) name: &'static str,
    /// The first is the default. None: its vectors are sparse.
    pub(super) dimensions: &'static [u32],
    pub(super) metrics: &'static [Metric],
    provider: &'static str,
    description: &'static str,
    tokens_max: u32,
}

const EMBEDDING: [EmbeddingModel; 4] = [
    EmbeddingModel {
        name: "multilingual-e5-large",
        dimensions: &[1024],
        metrics: &[Metric::Cosine, Metric::Euclidean],
        provider: "Microsoft",
        description: "Stands for multilingual-e5-large; answered by this server's own embedder.",
        tokens_max: 507,
    },
    EmbeddingModel {
        name: "llama-text-embed-v2",
        dimensions: &[1024, 384, 512, 768, 2048],
        metrics: &[Metric::Cosine, Metric::DotProduct],
        provider: "NVIDIA",
        description: "Stands for llama-text-embed-v2; answered by this server's own embedder.",
        tokens_max: 2048,
    },
    EmbeddingModel {
        name: "pinecone-sparse-english-v0",
        dimensions: &[],
        metrics: &[Metric::DotProduct],
        provider: "Pinecone",
        description: "Stands for pinecone-sparse-english-v0; answered by this server's own embedder of words.",
        tokens_max: 2048,
    },
    EmbeddingModel {
        name: "pinecone-sparse-multilingual-v0",
        dimensions: &[],
        metrics: &[Metric::DotProduct],
        provider: "Pinecone",
        description: "Stands for pinecone-sparse-multilingual-v0; answered by this server's own embedder of words.",
        tokens_max: 2048,
    },
];

/// The model that searches may demand terms of.
pub(super) const MODEL_WITH_TERMS: &str = "pinecone-sparse-english-v0";

/// A model for reranking: its name, its provider, and how many fields it ranks by.
const RERANKING: [(&str, &str, usize); 3] = [
    ("bge-reranker-v2-m3", "BAAI", 1),
    ("cohere-rerank-3.5", "Cohere", 64),
    ("pinecone-rerank-v0", "Pinecone", 1),
];

/// Most texts in one request (Pinecone's limit).
pub(super) const INPUTS_MAX: usize = 96;

pub(super) fn embedding(name: &str) -> Option<&'static EmbeddingModel> {
    EMBEDDING.iter().find(|model| model.name == name)
}

/// How many fields a reranking model ranks by.
pub(super) fn rank_fields_max(name: &str) -> Result<usize, ControlFailure> {
    let found = RERANKING.iter().find(|(model, _, _)| *model == name);
    found.map(|(_, _, fields)| *fields).ok_or_else(|| missing(name))
}

pub(super) fn missing(name: &str) -> ControlFailure {
    ControlFailure::new(404, "NOT_FOUND", format!("Model '{name}' not found"))
}

impl EmbeddingModel {
    pub(super) const fn is_sparse(&self) -> bool {
        self.dimensions.is_empty()
    }

    pub(super) const fn vector_type(&self) -> &'static str {
        if self.is_sparse() { "sparse" } else { "dense" }
    }

    /// The dimension that was asked for, if the model has it.
    pub(super) fn dim(&self, asked: Option<i64>) -> Result<Dim, ControlFailure> {
        if self.is_sparse() {
            return match asked {
                None => Ok(Dim::NONE),
                Some(_) => {
                    Err(ControlFailure::invalid(format!("{} is sparse and has no dimension", self.name)))
                }
            };
        }
        let asked = asked.unwrap_or_else(|| i64::from(self.dimensions[0]));
        let known = self.dimensions.iter().find(|known| i64::from(**known) == asked);
        let refused = || {
            ControlFailure::invalid(format!(
                "dimension {asked} is not one of {}'s: {:?}",
                self.name, self.dimensions
            ))
        };
        Ok(Dim::new(*known.ok_or_else(refused)?)?)
    }
}

/// What embeds the texts of an index.
#[derive(Debug)]
pub(super) enum TextEmbedder {
    Dense(Arc<dyn Embedder>),
    /// Of an index of sparse vectors.
    Sparse(SparseHashEmbedder),
}

impl TextEmbedder {
    pub(super) fn of(index: &Index, configured: &Arc<dyn Embedder>) -> Result<Self, ControlFailure> {
        match index.description.dim {
            Dim::NONE => Ok(Self::Sparse(SparseHashEmbedder)),
            dim => Ok(Self::Dense(embedder(configured, dim)?)),
        }
    }

    /// One for each text, in their order.
    pub(super) fn embed(&self, texts: &[&str], kind: InputKind) -> Result<Vec<RecordVectors>, EngineError> {
        Ok(match self {
            Self::Dense(embedder) => {
                let vectors = embedder.embed(texts, kind)?.into_iter();
                vectors.map(|dense| RecordVectors { dense, sparse: None }).collect()
            }
            Self::Sparse(embedder) => {
                let vectors = texts.iter().map(|text| embedder.embed(text, kind).vector);
                vectors.map(|sparse| RecordVectors { dense: Vec::new(), sparse: Some(sparse) }).collect()
            }
        })
    }
}

/// What embeds texts into vectors of a dimension: the configured embedder.
pub(super) fn embedder(
    configured: &Arc<dyn Embedder>,
    dim: Dim,
) -> Result<Arc<dyn Embedder>, ControlFailure> {
    if configured.dim() == dim {
        return Ok(Arc::clone(configured));
    }
    if configured.is_remote() {
        let message = format!(
            "the configured embedder {} makes vectors of {}, not of {dim}: set VECTOR_DIMENSION={dim}, or EMBEDDER=hash",
            configured.model_id(),
            configured.dim()
        );
        return Err(ControlFailure::new(400, "FAILED_PRECONDITION", message));
    }
    Ok(Arc::new(HashEmbedder::new(dim)))
}

/// Every model, for `GET /models`.
pub(super) fn all() -> Vec<Value> {
    let embedding = EMBEDDING.iter().map(embedding_info);
    embedding.chain(RERANKING.iter().map(|(name, provider, _)| reranking_info(name, provider))).collect()
}

fn embedding_info(model: &EmbeddingModel) -> Value {
    let metrics: Vec<&str> = model.metrics.iter().map(|metric| metric.name()).collect();
    let one_of = |parameter: &str, values: Value, default: Value, required: bool| {
        let kind = if values[0].is_number() { "integer" } else { "string" };
        json!({
            "parameter": parameter, "type": "one_of", "value_type": kind, "required": required,
            "allowed_values": values, "default": default,
        })
    };
    let mut parameters = vec![
        one_of("input_type", json!(["query", "passage"]), Value::Null, true),
        one_of("truncate", json!(["END", "NONE"]), json!("END"), false),
    ];
    if model.is_sparse() {
        parameters.push(json!({
            "parameter": "return_tokens", "type": "any", "value_type": "boolean", "required": false, "default": false,
        }));
    } else {
        parameters.push(one_of("dimension", json!(model.dimensions), json!(model.dimensions[0]), false));
    }
    let mut info = json!({
        "model": model.name,
        "short_description": model.description,
        "type": "embed",
        "vector_type": model.vector_type(),
        "modality": "text",
        "max_sequence_length": model.tokens_max,
        "max_batch_size": INPUTS_MAX,
        "provider_name": model.provider,
        "supported_metrics": metrics,
        "supported_parameters": parameters,
    });
    if let Some(default) = model.dimensions.first() {
        info["default_dimension"] = json!(default);
        info["supported_dimensions"] = json!(model.dimensions);
    }
    info
}

fn reranking_info(name: &str, provider: &str) -> Value {
    json!({
        "model": name,
        "short_description": format!("Stands for {name}; answered by this server's own reranker."),
        "type": "rerank",
        "modality": "text",
        "max_sequence_length": 1024,
        "max_batch_size": 100,
        "provider_name": provider,
        "supported_parameters": [{
            "parameter": "truncate", "type": "one_of", "value_type": "string", "required": false,
            "allowed_values": ["END", "NONE"], "default": "NONE",
        }],
    })
}

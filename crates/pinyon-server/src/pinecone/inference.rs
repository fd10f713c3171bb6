//! `/embed`, `/rerank`, `/models`.

use super::{control_body::ControlBody, envelope::ControlFailure, inference_models};
use crate::http::App;
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use pinyon_embed::{InputKind, LexicalReranker, Reranker, SparseEmbedding, SparseHashEmbedder};
use pinyon_wire::records::{
    EmbedTextsRequest, EmbedTextsResponse, Embedding, RankedDocument, RerankRequest, RerankResponse,
    RerankUsage, TokenUsage,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Most documents in one reranking (Pinecone's limit).
const DOCUMENTS_MAX: usize = 100;
/// Most characters of a client's own text in a message.
const SHOWN_MAX: usize = 80;

type Answered = Result<Response, ControlFailure>;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/embed", post(embed))
        .route("/rerank", post(rerank))
        .route("/models", get(list))
        .route("/models/{name}", get(describe))
}

async fn list(Query(wanted): Query<BTreeMap<String, String>>) -> Response {
    let fits = |model: &Value| {
        ["type", "vector_type"].iter().all(|field| {
            wanted.get(*field).is_none_or(|value| model.get(*field).and_then(Value::as_str) == Some(value))
        })
    };
    let models: Vec<Value> = inference_models::all().into_iter().filter(fits).collect();
    Json(json!({"models": models})).into_response()
}

async fn describe(Path(name): Path<String>) -> Answered {
    let found = inference_models::all().into_iter().find(|model| model["model"] == name);
    Ok(Json(found.ok_or_else(|| inference_models::missing(&name))?).into_response())
}

/// Words, as a stand-in for a tokenizer's tokens.
pub(super) fn words(texts: &[&str]) -> u32 {
    let words = texts.iter().map(|text| text.split_whitespace().count()).sum::<usize>();
    u32::try_from(words.max(1)).unwrap_or(u32::MAX)
}

fn text_of(value: &Value) -> Result<String, ControlFailure> {
    let text = value.as_str().or_else(|| value.get("text")?.as_str()).map(str::to_owned);
    let found = || value.to_string().chars().take(SHOWN_MAX).collect::<String>();
    text.ok_or_else(|| ControlFailure::invalid(format!("every input must have a text, got {}", found())))
}

async fn embed(State(app): State<App>, body: ControlBody) -> Answered {
    let request: EmbedTextsRequest = body.read_proto()?;
    let model = inference_models::embedding(&request.model)
        .ok_or_else(|| inference_models::missing(&request.model))?;
    if request.inputs.is_empty() || request.inputs.len() > inference_models::INPUTS_MAX {
        let message = format!(
            "inputs must be 1 to {} texts, are {}",
            inference_models::INPUTS_MAX,
            request.inputs.len()
        );
        return Err(ControlFailure::invalid(message));
    }
    let texts: Vec<String> = request.inputs.iter().map(text_of).collect::<Result<_, _>>()?;
    let kind = input_kind(&request)?;
    let dim = model.dim(request.parameters.get("dimension").and_then(Value::as_i64))?;
    let total_tokens = words(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let data = if model.is_sparse() {
        let with_tokens = request.parameters.get("return_tokens").and_then(Value::as_bool).unwrap_or(false);
        app.run(move |_| Ok(texts.iter().map(|text| sparse_embedding(text, kind, with_tokens)).collect()))
            .await?
    } else {
        let embedder = inference_models::embedder(&app.indexes().tenants().settings().embedder, dim)?;
        let vectors = app.run(move |_| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            Ok(embedder.embed(&texts, kind)?)
        });
        let dense = |values| Embedding::Dense { values, vector_type: "dense" };
        vectors.await?.into_iter().map(dense).collect()
    };
    let usage = TokenUsage { total_tokens };
    let response = EmbedTextsResponse { model: request.model, vector_type: model.vector_type(), data, usage };
    Ok(Json(response).into_response())
}

/// What the texts are, by the request's `input_type`.
fn input_kind(request: &EmbedTextsRequest) -> Result<InputKind, ControlFailure> {
    match request.parameters.get("input_type").and_then(Value::as_str) {
        Some("query") => Ok(InputKind::Query),
        Some("passage") | None => Ok(InputKind::Passage),
        Some(other) => {
            Err(ControlFailure::invalid(format!("input_type must be query or passage, is {other:?}")))
        }
    }
}

fn sparse_embedding(text: &str, kind: InputKind, with_tokens: bool) -> Embedding {
    let SparseEmbedding { vector, tokens } = SparseHashEmbedder.embed(text, kind);
    let components = vector.as_ref();
    Embedding::Sparse {
        sparse_values: components.values.to_vec(),
        sparse_indices: components.indices.to_vec(),
        sparse_tokens: with_tokens.then_some(tokens),
        vector_type: "sparse",
    }
}

async fn rerank(State(app): State<App>, body: ControlBody) -> Answered {
    let request: RerankRequest = body.read_proto()?;
    let fields = request.rank_fields.unwrap_or_else(|| vec!["text".into()]);
    check_rank_fields(&request.model, &fields)?;
    if request.documents.is_empty() || request.documents.len() > DOCUMENTS_MAX {
        let message = format!("documents must be 1 to {DOCUMENTS_MAX}, are {}", request.documents.len());
        return Err(ControlFailure::invalid(message));
    }
    if request.top_n == Some(0) {
        return Err(ControlFailure::invalid("top_n must be at least 1"));
    }
    let texts = rank_texts(&request.documents, &fields)?;
    let order = ranked(&app, request.query, texts, request.top_n).await?;
    let with_documents = request.return_documents.unwrap_or(true);
    let document = |at: usize| {
        let given = &request.documents[at];
        given.as_str().map_or_else(|| given.clone(), |text| json!({"text": text}))
    };
    let data = order.into_iter().map(|(index, score)| RankedDocument {
        index,
        score,
        document: with_documents.then(|| document(index)),
    });
    let usage = RerankUsage { rerank_units: 1 };
    Ok(Json(RerankResponse { model: request.model, data: data.collect(), usage }).into_response())
}

/// What documents are ranked by; a plain string is its own text.
fn rank_texts(documents: &[Value], fields: &[String]) -> Result<Vec<String>, ControlFailure> {
    let texts = documents.iter().enumerate().map(|(at, document)| {
        let field = |name: &str| document.get(name).and_then(Value::as_str);
        let text = document.as_str().map(str::to_owned).or_else(|| joined(fields, field));
        text.ok_or_else(|| {
            let missing = fields.iter().find(|name| field(name).is_none()).map_or("", String::as_str);
            ControlFailure::invalid(format!("field '{missing}' not found in document at index {at}"))
        })
    });
    texts.collect()
}

/// Refuses an unknown model, and more fields than it ranks by.
pub(super) fn check_rank_fields(model: &str, fields: &[String]) -> Result<(), ControlFailure> {
    let most = inference_models::rank_fields_max(model)?;
    if fields.is_empty() {
        return Err(ControlFailure::invalid("rank_fields must have at least one field"));
    }
    if fields.len() > most {
        let message = format!("Only one rank field is supported for model {model}");
        return Err(ControlFailure::invalid(message));
    }
    Ok(())
}

/// The texts of fields, one after the other; nothing if one is missing.
pub(super) fn joined<'a>(fields: &[String], text: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let texts: Option<Vec<&str>> = fields.iter().map(|field| text(field)).collect();
    texts.map(|texts| texts.join("\n"))
}

/// Places and scores of the best texts, best first.
pub(super) async fn ranked(
    app: &App,
    query: String,
    texts: Vec<String>,
    top_n: Option<usize>,
) -> Result<Vec<(usize, f32)>, ControlFailure> {
    let reranker: Arc<dyn Reranker> = Arc::new(LexicalReranker::new());
    let scores = app.run(move |_| {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        Ok(reranker.score(&query, &texts)?)
    });
    let mut order: Vec<(usize, f32)> = scores.await?.into_iter().enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    order.truncate(top_n.unwrap_or(usize::MAX));
    Ok(order)
}

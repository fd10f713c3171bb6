//! Records of indexes with an integrated model: texts come in, the server embeds them.

use super::{
    attributes::{Attributes, Embed},
    control_body::ControlBody,
    convert::{self, Shape},
    data_exchange::answer,
    envelope::{ControlFailure, sentence_of},
    inference,
    inference_models::{self, TextEmbedder},
    position::{Position, WRITTEN_AT},
    record_vectors::RecordVectors,
};
use crate::http::{App, body_bytes, lend_for_answer, read_json};
use axum::{
    Extension, Router,
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use pinyon_core::{Change, EngineError, Index, RecordQuery, of_record};
use pinyon_embed::{InputKind, SparseHashEmbedder};
use pinyon_types::{Invalid, Metadata, Record, RecordId, SeqNo, TopK, Vector};
use pinyon_wire::{
    json::{MetadataFields, MetadataJson},
    records::{
        MatchTerms, RecordLine, Rerank, SearchHit, SearchQuery, SearchRequest, SearchResponse, SearchResult,
        SearchUsage, SearchVector,
    },
    vectors::SparseValues,
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const SEARCH_TIME_MAX: Duration = Duration::from_secs(20);
/// Most terms that a search may demand.
const TERMS_MAX: usize = 64;

type Answered = Result<Response, ControlFailure>;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/records/namespaces/{namespace}/upsert", post(upsert))
        .route("/records/namespaces/{namespace}/search", post(search))
}

fn named(path: &BTreeMap<String, String>) -> Result<String, ControlFailure> {
    Ok(convert::namespace(path.get("namespace").map_or("", String::as_str))?.to_owned())
}

/// The index's model, or the refusal that it has none.
fn integrated(index: &Index) -> Result<Embed, ControlFailure> {
    Attributes::of(index).embed.ok_or_else(|| {
        ControlFailure::invalid(
            "Integrated inference is not configured for this index: create one with create-for-model, or send vectors.",
        )
    })
}

async fn upsert(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    Path(path): Path<BTreeMap<String, String>>,
    request: Request,
) -> Answered {
    let namespace = named(&path)?;
    let embed = integrated(&index)?;
    let body = body_bytes(request, &app).await?;
    let records = app.transform(body.len(), move || read_records(&body, &embed.field)).await??;
    let dim = index.description.dim;
    let embedder = TextEmbedder::of(&index, &app.indexes().tenants().settings().embedder)?;
    let receipt = app.write(index, namespace, move |_| {
        let texts: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
        let vectors = embedder.embed(&texts, InputKind::Passage)?;
        let records = records.into_iter().zip(vectors).map(|(given, RecordVectors { dense, sparse })| {
            let vector =
                Vector::new(dense, dim).map_err(|invalid| of_record(invalid, "", given.id.as_str()))?;
            Ok(Record { id: given.id, vector, sparse, metadata: given.metadata })
        });
        Ok(Change::Upsert(records.collect::<Result<_, Invalid>>()?))
    });
    let mut response = StatusCode::CREATED.into_response();
    response.headers_mut().insert(WRITTEN_AT, HeaderValue::from(receipt.await?.seq.get()));
    Ok(response)
}

/// A record whose text is still to be embedded.
struct TextRecord {
    id: RecordId,
    text: String,
    metadata: Metadata,
}

/// Reads records, one a line.
fn read_records(body: &[u8], text_field: &str) -> Result<Vec<TextRecord>, ControlFailure> {
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    // Counted first: many records that are too many are not read one by one.
    let count = lines.clone().count();
    if count == 0 || count > convert::BATCH_MAX {
        return Err(ControlFailure::invalid(format!(
            "records must be 1 to {}, are {count}",
            convert::BATCH_MAX
        )));
    }
    let records = (1..).zip(lines).map(|(number, line): (usize, &[u8])| {
        let refused = |problem: &str| ControlFailure::invalid(format!("record {number}: {problem}"));
        let line: RecordLine = read_json(line).map_err(|bad| refused(&bad.to_string()))?;
        let (id, fields) = line.into_parts().map_err(refused)?;
        text_record(&id, fields, text_field)
            .map_err(|invalid| refused(&sentence_of(of_record(invalid, "", &id))))
    });
    records.collect()
}

fn text_record(id: &str, fields: MetadataFields, text_field: &str) -> Result<TextRecord, Invalid> {
    let text = match fields.get(text_field) {
        Some(MetadataJson::String(text)) => text.clone(),
        _ => {
            let problem =
                format!("The field '{text_field}' must be there and be a string: it is what is embedded");
            return Err(Invalid::new(text_field, problem));
        }
    };
    Ok(TextRecord { id: convert::record_id(id)?, text, metadata: convert::metadata(Some(fields))? })
}

/// What the hits of a search have in common.
struct Sought {
    near: Near,
    /// Indices of terms that every hit has.
    required: Vec<u32>,
}

/// What a search is near to.
enum Near {
    Text(String),
    Vectors(RecordVectors),
    Record(RecordId),
}

async fn search(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    Path(path): Path<BTreeMap<String, String>>,
    body: ControlBody,
) -> Answered {
    let namespace = named(&path)?;
    let request: SearchRequest = body.read_proto()?;
    let near = near(&request.query, &index)?;
    let required = required(request.query.match_terms.as_ref(), &index)?;
    if let Some(rerank) = &request.rerank {
        inference::check_rank_fields(&rerank.model, &rerank.rank_fields)?;
    }
    let text = if let Near::Text(text) = &near { Some(text.clone()) } else { None };
    let (seen, hits) = find(&app, index, namespace, Sought { near, required }, &request.query).await?;
    let rerank_units = request.rerank.as_ref().map(|_| 1);
    let embed_total_tokens = text.as_deref().map(|text| inference::words(&[text]));
    let mut hits = match request.rerank {
        Some(rerank) => reranked(&app, hits, rerank, text).await?,
        None => hits,
    };
    if let Some(fields) =
        request.fields.filter(|fields| !fields.is_empty() && !fields.iter().any(|field| field == "*"))
    {
        hits.iter_mut().for_each(|hit| hit.fields.retain(|name, _| fields.contains(name)));
    }
    let usage = SearchUsage { read_units: 1, embed_total_tokens, rerank_units };
    let response = SearchResponse { result: SearchResult { hits }, usage };
    Ok(answer(&response, Position::Seen(seen)))
}

fn near(query: &SearchQuery, index: &Index) -> Result<Near, ControlFailure> {
    match (&query.inputs, &query.vector, &query.id) {
        (Some(inputs), None, None) => {
            integrated(index)?;
            let text = inputs.get("text").and_then(Value::as_str).filter(|text| !text.is_empty());
            let missing = || ControlFailure::invalid("inputs must have a text");
            Ok(Near::Text(text.ok_or_else(missing)?.to_owned()))
        }
        (None, Some(vector), None) => given_vectors(vector, Shape::of(index)).map(Near::Vectors),
        (None, None, Some(id)) => Ok(Near::Record(convert::stored_id(id)?)),
        _ => Err(ControlFailure::invalid("query must have exactly one of inputs, vector and id")),
    }
}

/// The vectors of a search that brings its own.
fn given_vectors(given: &SearchVector, shape: Shape) -> Result<RecordVectors, ControlFailure> {
    let dense = given.values.clone().unwrap_or_default();
    let sparse = match (given.sparse_indices.clone(), given.sparse_values.clone()) {
        (Some(indices), Some(values)) => Some(SparseValues { indices, values }),
        (None, None) => None,
        _ => {
            let message = "vector must have both sparse_indices and sparse_values, or neither";
            return Err(ControlFailure::invalid(message));
        }
    };
    convert::refuse_dense(&dense, shape)?;
    let sparse = convert::sparse_vector(sparse, shape)?;
    match shape.dim.is_none() {
        true if sparse.is_none() => Err(ControlFailure::invalid(
            "vector must have sparse_indices and sparse_values: this index is sparse",
        )),
        false if dense.is_empty() => {
            Err(ControlFailure::invalid("vector must have values: this index is dense"))
        }
        _ => Ok(RecordVectors { dense, sparse }),
    }
}

/// The indices of terms that every hit must have.
fn required(terms: Option<&MatchTerms>, index: &Index) -> Result<Vec<u32>, ControlFailure> {
    let Some(terms) = terms else { return Ok(Vec::new()) };
    if Attributes::of(index).embed.is_none_or(|embed| embed.model != inference_models::MODEL_WITH_TERMS) {
        let message = format!("match_terms is only supported with {}", inference_models::MODEL_WITH_TERMS);
        return Err(ControlFailure::invalid(message));
    }
    if terms.strategy.as_deref().is_some_and(|strategy| strategy != "all") {
        return Err(ControlFailure::invalid("match_terms.strategy must be all"));
    }
    if terms.terms.is_empty() || terms.terms.len() > TERMS_MAX {
        let message = format!("match_terms.terms must be 1 to {TERMS_MAX} terms, are {}", terms.terms.len());
        return Err(ControlFailure::invalid(message));
    }
    let indices = terms.terms.iter().map(|term| SparseHashEmbedder.term(term));
    Ok(indices.collect::<Result<_, _>>()?)
}

async fn find(
    app: &App,
    index: Arc<Index>,
    namespace: String,
    sought: Sought,
    query: &SearchQuery,
) -> Result<(SeqNo, Vec<SearchHit>), ControlFailure> {
    let Sought { near, required } = sought;
    let top_k = query.top_k.and_then(|top_k| u32::try_from(top_k).ok());
    let top_k = top_k.ok_or_else(|| ControlFailure::invalid("top_k must be given, 1 to 10000"))?;
    let top_k = TopK::new(top_k).map_err(EngineError::from)?;
    let filter = convert::optional_filter(query.filter.as_ref())?;
    let embedder = TextEmbedder::of(&index, &app.indexes().tenants().settings().embedder)?;
    let shape = Shape::of(&index);
    let found = app.run_in(index, move |engine| {
        let tenant = engine.tenant(&namespace)?;
        let seen = tenant.visible_seq()?;
        let vectors = match near {
            Near::Vectors(vectors) => Some(vectors),
            Near::Text(text) => embedder.embed(&[&text], InputKind::Query)?.pop(),
            Near::Record(id) => RecordVectors::of(&tenant, id, shape)?,
        };
        let Some(RecordVectors { dense, sparse }) = vectors else { return Ok((seen, Vec::new())) };
        let query = RecordQuery::dense(dense, top_k);
        let timeout = Some(SEARCH_TIME_MAX);
        let query = RecordQuery { sparse, required, filter, timeout, ..query };
        let hits = tenant.query(query)?.hits;
        let bytes = hits.iter().map(|(_, hit)| hit.bytes(false, true)).sum();
        engine.check_answer(bytes)?;
        lend_for_answer(bytes)?;
        let hit = |(score, hit): &(pinyon_types::Score, pinyon_core::Hit)| SearchHit {
            id: hit.id().to_string(),
            score: score.get(),
            fields: convert::metadata_json(hit.metadata()).unwrap_or_default(),
        };
        Ok((seen, hits.iter().map(hit).collect()))
    });
    Ok(found.await?)
}

async fn reranked(
    app: &App,
    hits: Vec<SearchHit>,
    rerank: Rerank,
    text: Option<String>,
) -> Result<Vec<SearchHit>, ControlFailure> {
    let missing = || ControlFailure::invalid("rerank.query is needed when the search is not by text");
    let query = rerank.query.or(text).ok_or_else(missing)?;
    let texts = hits.iter().map(|hit| {
        let field = |name: &str| match hit.fields.get(name) {
            Some(MetadataJson::String(text)) => Some(text.as_str()),
            _ => None,
        };
        inference::joined(&rerank.rank_fields, field).ok_or_else(|| {
            ControlFailure::invalid(format!(
                "record {} has no field {:?} to rank by",
                hit.id, rerank.rank_fields
            ))
        })
    });
    let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
    let order = inference::ranked(app, query, texts, rerank.top_n).await?;
    Ok(order.into_iter().map(|(at, score)| SearchHit { score, ..hits[at].clone() }).collect())
}

//! The tenant API's requests and answers.

use super::{explain::explained, filter, metadata};
use crate::ApiError;
use pinyon_core::{
    Document, Engine, EngineError, IngestReport, Match, QueryAnswer, Reach, ShardOutcome, TextQuery,
    VectorQuery, of_record,
};
use pinyon_types::{Effort, ShardId};
use pinyon_wire::tenant::{
    IngestRequest, IngestResponse, QueryMatch, QueryRequest, QueryResponse, ShardTiming,
};
use std::time::Duration;

/// Time for a query that asks for none: nothing runs for ever (LIM-1).
const TIMEOUT_MS_DEFAULT: u64 = 30_000;
/// Longest time a query may ask for.
pub(crate) const TIMEOUT_MS_MAX: u64 = 60_000;

/// A query by text or by vector.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// By text.
    Text(TextQuery),
    /// By vector.
    Vector(VectorQuery),
}

/// Reads the documents of an ingest.
///
/// # Errors
/// Metadata that cannot be kept; the message names the document.
pub fn documents(request: IngestRequest) -> Result<(String, Vec<Document>), ApiError> {
    let read = |(at, document): (usize, pinyon_wire::tenant::Document)| {
        let metadata =
            metadata::from_json(document.metadata.unwrap_or_default(), |name| format!("metadata.{name}"));
        let named = |invalid| of_record(invalid, "", &document.id).within(format!("documents[{at}]"));
        let metadata = metadata.map_err(named)?;
        Ok(Document { id: document.id, text: document.text, metadata })
    };
    let documents = request.documents.into_iter().enumerate().map(read).collect::<Result<_, ApiError>>()?;
    Ok((request.tenant_id, documents))
}

/// Writes what an ingest did.
pub fn ingested(report: IngestReport) -> IngestResponse {
    IngestResponse { success: true, shard: report.index_name, count: report.count, skipped: false }
}

/// Reads a query.
///
/// # Errors
/// Fields that are missing, contradict each other, or are out of range.
pub fn query(request: QueryRequest) -> Result<Query, ApiError> {
    let reach = reach(&request)?;
    let filter = request.filter.as_ref().map(filter::from_json).transpose()?.flatten();
    let timeout = Some(timeout(request.timeout_ms.unwrap_or(TIMEOUT_MS_DEFAULT))?);
    let top_k = request.top_k;
    let effort = Effort::new(request.scan_factor, request.max_candidates, top_k as usize)?;
    let explain = request.explain;
    match (request.query_text, request.vector) {
        (Some(text), None) if !text.is_empty() => {
            Ok(Query::Text(TextQuery { text, reach, top_k, filter, timeout, effort, explain }))
        }
        (Some(_), None) => Err(ApiError::invalid("query_text", "must not be empty")),
        (None, Some(vector)) => Ok(Query::Vector(VectorQuery {
            filter,
            timeout,
            effort,
            explain,
            ..VectorQuery::dense(vector, reach, top_k)
        })),
        (Some(_), Some(_)) => Err(ApiError::invalid("vector", "give either query_text or vector, not both")),
        (None, None) => Err(ApiError::invalid("query_text", "is missing; give query_text or vector")),
    }
}

fn reach(request: &QueryRequest) -> Result<Reach, ApiError> {
    match (&request.tenant_id, &request.tenant_ids, request.cross_shard) {
        (Some(tenant), None, false) => Ok(Reach::Tenant(tenant.clone())),
        (None, None, true) => Ok(Reach::All),
        (None, Some(tenants), true) => Ok(Reach::Tenants(tenants.clone())),
        (Some(_), _, true) => Err(ApiError::invalid(
            "tenant_id",
            "a query is in one tenant or cross_shard, not both; for some tenants give tenant_ids with cross_shard",
        )),
        (Some(_), Some(_), false) => {
            Err(ApiError::invalid("tenant_ids", "give either tenant_id or tenant_ids, not both"))
        }
        (None, Some(_), false) => Err(ApiError::invalid("tenant_ids", "needs cross_shard: true")),
        (None, None, false) => {
            Err(ApiError::invalid("tenant_id", "is missing; give tenant_id or cross_shard: true"))
        }
    }
}

fn timeout(timeout_ms: u64) -> Result<Duration, ApiError> {
    if (1..=TIMEOUT_MS_MAX).contains(&timeout_ms) {
        return Ok(Duration::from_millis(timeout_ms));
    }
    Err(ApiError::invalid("timeout_ms", format!("must be 1 to {TIMEOUT_MS_MAX}, is {timeout_ms}")))
}

/// Answers a query, whose results `lend` gives room for by their bytes. A tenant that was never written to is placed nowhere,
/// and the answer says that nobody knows it.
///
/// # Errors
/// As [`query`]; the engine's; no room.
pub fn answer(
    engine: &Engine,
    request: QueryRequest,
    lend: impl FnOnce(usize) -> Result<(), EngineError>,
) -> Result<QueryResponse, ApiError> {
    let is_single = request.tenant_id.is_some();
    let mut answer = match query(request)? {
        Query::Text(query) => engine.query_text(&query)?,
        Query::Vector(query) => engine.query_vector(query)?,
    };
    lend(answer.results.iter().map(result_bytes).sum())?;
    let unknown = std::mem::take(&mut answer.unknown);
    let tenant_known = is_single.then_some(unknown.is_empty());
    let unknown_tenants = match is_single {
        true => Vec::new(),
        false => unknown.iter().map(ToString::to_string).collect(),
    };
    let home = answer.home.map(|shard| engine.index_name(shard));
    let response = answered(answer, home, |shard| engine.index_name(ShardId::new(shard)));
    Ok(QueryResponse { tenant_known, unknown_tenants, ..response })
}

fn result_bytes(result: &Match) -> usize {
    result.id.as_str().len() + result.text.as_ref().map_or(0, String::len) + result.metadata.memory_bytes()
}

/// Writes an answer. `home` is the tenant's shard in a single-tenant answer, nothing in a cross-shard one.
fn answered(answer: QueryAnswer, home: Option<String>, index_name: impl Fn(u32) -> String) -> QueryResponse {
    let is_cross_shard = home.is_none();
    let explain = explained(&answer).map(Box::new);
    let results = answer.results.into_iter().map(|one| QueryMatch {
        id: one.id.to_string(),
        score: one.score.get(),
        text: one.text.unwrap_or_default(),
        metadata: metadata::to_json(one.metadata),
        shard: is_cross_shard.then(|| index_name(one.shard.get())),
        tenant_id: is_cross_shard.then(|| one.tenant.to_string()),
    });
    let shards: Vec<ShardTiming> = answer.shards.into_iter().map(timing).collect();
    let missing = shards.iter().filter(|shard| shard.status != "ok");
    let missing: Vec<String> =
        missing.map(|shard| format!("{} {}", shard.index_name, shard.status)).collect();
    QueryResponse {
        results: results.collect(),
        latency_ms: millis(answer.latency),
        shard: home,
        shards_queried: is_cross_shard.then(|| u32::try_from(shards.len()).unwrap_or(u32::MAX)),
        tenant_known: None,
        unknown_tenants: Vec::new(),
        skipped: false,
        reason: answer.is_partial.then(|| missing.join(", ")),
        partial: answer.is_partial,
        cached: answer.is_cached,
        shards: if is_cross_shard { shards } else { Vec::new() },
        explain,
    }
}

/// How a shard's part ended, as a word.
pub(super) const fn status(outcome: &ShardOutcome) -> &'static str {
    match outcome {
        ShardOutcome::Answered => "ok",
        ShardOutcome::TimedOut => "timed_out",
        ShardOutcome::Failed(_) => "failed",
    }
}

fn timing(report: pinyon_core::ShardReport) -> ShardTiming {
    let status = status(&report.outcome);
    let reason = match report.outcome {
        ShardOutcome::Answered | ShardOutcome::TimedOut => None,
        ShardOutcome::Failed(error) => Some(error.message),
    };
    ShardTiming {
        shard_id: report.shard.get(),
        index_name: report.index_name,
        latency_ms: millis(report.latency),
        status: status.into(),
        reason,
    }
}

/// Milliseconds with three decimals.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

//! Handlers of our own API: each decodes, calls the engine on a thread that may block, encodes.

use super::{
    App,
    gate::{Purpose, lend_for_answer, room_for_answer},
    moves::{OfIndex, begin_in, index_of},
    request::JsonBody,
};
use crate::{
    ApiError,
    convert::{disk, documents, recall, reports, tenant},
    metrics_text::{self, IndexesNumbers, MoveNumbers},
};
use axum::{
    Json,
    extract::{Path, Query as UrlQuery, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use pinyon_core::{Change, Engine, EngineError, ErrorCode};
use pinyon_wire::{
    admin::{AdviceRequest, AssignRequest, IndexList, IndexSettings, PlaceRequest, TenantInfo, TenantList},
    documents::{DeleteRequest, DeleteResponse, FetchRequest},
    tenant::{IngestRequest, QueryRequest, ShardResponse},
};

pub(super) async fn ingest(
    State(app): State<App>,
    JsonBody(body): JsonBody<IngestRequest>,
) -> Result<Response, ApiError> {
    let (tenant_id, documents) = tenant::documents(body)?;
    let (index, tenant) = (index_of(&app, None)?, tenant_id.clone());
    let name = tenant_id.clone();
    let embedded = move |engine: &Engine| Ok(Change::Upsert(engine.embed_documents(&name, documents)?));
    let count = app.write(index, tenant, embedded).await?.records;
    let report = app.run(move |engine| engine.ingested(&tenant_id, count)).await?;
    Ok(Json(tenant::ingested(report)).into_response())
}

pub(super) async fn query(
    State(app): State<App>,
    JsonBody(body): JsonBody<QueryRequest>,
) -> Result<Response, ApiError> {
    let answer = app.run(move |engine| Ok(tenant::answer(engine, body, lend_for_answer)));
    Ok(Json(answer.await??).into_response())
}

pub(super) async fn fetch(
    State(app): State<App>,
    JsonBody(body): JsonBody<FetchRequest>,
) -> Result<Response, ApiError> {
    let found =
        app.run(move |engine| Ok(documents::fetch(engine, &body, room_for_answer(), lend_for_answer)));
    Ok(Json(found.await??).into_response())
}

pub(super) async fn delete(
    State(app): State<App>,
    JsonBody(body): JsonBody<DeleteRequest>,
) -> Result<Response, ApiError> {
    let change = documents::deletion(&body)?;
    let tenant = body.tenant_id.clone();
    let found = app.run(move |engine| documents::home(engine, &tenant)).await?;
    let count = app.write(index_of(&app, None)?, body.tenant_id, |_| Ok(change)).await?.records;
    Ok(Json(DeleteResponse { count, ..found }).into_response())
}

/// Looks at flags only, so it needs no place among the requests: a server that is busy is not ill. Who has a key, or needs none,
/// is told as well the shape of the data, how good answers are and how full the disk is if there is a place to find that out in.
pub(super) async fn health(State(app): State<App>, headers: HeaderMap) -> Response {
    let indexes = app.shared_indexes();
    let mut health = reports::health(indexes.tenants().settings(), indexes.services());
    if !app.admits(&headers) {
        health.config = None;
        return Json(health).into_response();
    }
    health.quarantined = reports::quarantined(&indexes);
    if let Ok(_place) = app.gate().enter(Purpose::Read, None)
        && let Ok(((parts, below), (disk, warnings))) =
            app.run(move |_| Ok((recall::of_all(&indexes), disk::report(&indexes)))).await
    {
        (health.disk, health.warnings) = (disk, warnings);
        health.warnings.extend(recall::warnings(&parts));
        (health.recall, health.recall_below_target) = (parts, Some(below));
    }
    Json(health).into_response()
}

/// What somebody wants to be ready for.
#[derive(serde::Deserialize)]
pub(super) struct Readiness {
    /// `1` if writes are to be taken as well.
    writes: Option<String>,
}

/// Ready while some shard is served; for writes, while every shard that is served takes them.
pub(super) async fn readyz(State(app): State<App>, UrlQuery(wanted): UrlQuery<Readiness>) -> Response {
    let indexes = app.shared_indexes();
    let is_ready = match wanted.writes.as_deref() {
        None | Some("0") => indexes.answers_reads(),
        Some(_) => indexes.answers_reads() && indexes.takes_writes(),
    };
    if is_ready {
        return "ok".into_response();
    }
    ApiError::new(503, "UNAVAILABLE", "not ready: /health says what is wrong").into_response()
}

/// JSON for who asks for it, Prometheus text for everybody else.
pub(super) async fn metrics(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let indexes = app.shared_indexes();
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains("application/json") {
        let metrics = app.run(move |engine| Ok(reports::metrics(engine, recall::of_all(&indexes).0))).await?;
        return Ok(Json(metrics).into_response());
    }
    let door = app.door().clone();
    let text = app.run(move |engine| {
        let numbers = IndexesNumbers {
            quarantined: reports::quarantined(&indexes),
            scrubbed: indexes.scrubbed(),
            resident: indexes.resident(),
            disk: indexes.disk().and_then(|disk| disk.look()),
            moves: MoveNumbers::of(&indexes),
            recalls: recall::of_all(&indexes),
        };
        metrics_text::render(engine, &numbers, &door)
            .map_err(|error| EngineError::new(ErrorCode::Internal, error.to_string()))
    });
    let kind = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    Ok((kind, text.await?).into_response())
}

pub(super) async fn shard(
    State(app): State<App>,
    Path(tenant_id): Path<String>,
) -> Result<Response, ApiError> {
    let response = app.run(move |engine| {
        let tenant = engine.tenant(&tenant_id)?;
        let (placed, shard) = (tenant.is_known(), tenant.shard()?);
        Ok(ShardResponse { placed, ..shard_response(engine, tenant_id, shard) })
    });
    Ok(Json(response.await?).into_response())
}

fn shard_response(engine: &Engine, tenant_id: String, shard: pinyon_types::ShardId) -> ShardResponse {
    ShardResponse { tenant_id, shard_id: shard.get(), index_name: engine.index_name(shard), placed: true }
}

pub(super) async fn tenants(State(app): State<App>) -> Result<Response, ApiError> {
    let tenants = app.run(|engine| Ok(reports::tenants(engine))).await?;
    Ok(Json(tenants).into_response())
}

pub(super) async fn place(
    State(app): State<App>,
    JsonBody(body): JsonBody<PlaceRequest>,
) -> Result<Response, ApiError> {
    let count = body.tenants.len();
    if count > pinyon_types::limits::BATCH_RECORDS_MAX {
        let problem = format!("must be at most {}, are {count}", pinyon_types::limits::BATCH_RECORDS_MAX);
        return Err(ApiError::invalid("tenants", problem));
    }
    let placed = app.run(move |engine| {
        let assignments = engine.place_all(&body.tenants)?;
        let info = |(tenant_id, one): (String, pinyon_core::Assignment)| TenantInfo {
            tenant_id,
            shard_id: one.shard.get(),
            index_name: engine.index_name(one.shard),
            ..TenantInfo::default()
        };
        Ok(TenantList { tenants: body.tenants.into_iter().zip(assignments).map(info).collect() })
    });
    Ok(Json(placed.await?).into_response())
}

/// Places a tenant on a shard; one that lives on another begins to move.
pub(super) async fn assign(
    State(app): State<App>,
    Path(tenant_id): Path<String>,
    JsonBody(body): JsonBody<AssignRequest>,
) -> Result<Response, ApiError> {
    let index = index_of(&app, None)?;
    let lives_elsewhere =
        index.engine.lookup(&tenant_id)?.is_some_and(|home| home.shard.get() != body.shard_id);
    if lives_elsewhere {
        return begin_in(&app, index, tenant_id, (body.shard_id, String::new())).await;
    }
    let response = app.run(move |engine| {
        let assignment = engine.assign(&tenant_id, body.shard_id)?;
        Ok(shard_response(engine, tenant_id, assignment.shard))
    });
    Ok(Json(response.await?).into_response())
}

pub(super) async fn erase(
    State(app): State<App>,
    Path(tenant_id): Path<String>,
    UrlQuery(of): UrlQuery<OfIndex>,
) -> Result<Response, ApiError> {
    let (indexes, index) = (app.shared_indexes(), index_of(&app, of.index.as_deref())?);
    let names = (tenant_id, index.description.name.clone());
    let erased = app.run_in(index, move |engine| {
        let report = engine.erase(&names.0)?;
        Ok(reports::erased(names, report, Some(indexes.data_dir())))
    });
    Ok(Json(erased.await?).into_response())
}

pub(super) async fn indexes(State(app): State<App>) -> Response {
    let all = app.indexes().all();
    Json(IndexList { indexes: all.iter().map(|index| reports::index(index)).collect() }).into_response()
}

pub(super) async fn index(State(app): State<App>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let missing = || ApiError::new(404, "NOT_FOUND", format!("Index {name} not found."));
    Ok(Json(reports::index(&*app.indexes().get(&name).ok_or_else(missing)?)).into_response())
}

pub(super) async fn configure_index(
    State(app): State<App>,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<IndexSettings>,
) -> Result<Response, ApiError> {
    let changed = app.change_indexes(move |indexes, _| {
        indexes.change(&name, |description| {
            description.scan_factor = body.scan_factor;
            Ok(())
        })
    });
    Ok(Json(reports::index(&*changed.await?)).into_response())
}

pub(super) async fn reopen(
    State(app): State<App>,
    Path((name, shard)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let missing = || ApiError::new(404, "NOT_FOUND", format!("Index {name} not found."));
    let index = app.indexes().get(&name).ok_or_else(missing)?;
    let reopened = app.run_in(index, move |engine| engine.reopen(&shard)).await?;
    Ok(Json(reports::reopened(&name, reopened)).into_response())
}

pub(super) async fn shards(State(app): State<App>) -> Result<Response, ApiError> {
    let shards = app.run(|engine| Ok(reports::shards(engine))).await?;
    Ok(Json(shards).into_response())
}

pub(super) async fn advise(
    State(app): State<App>,
    JsonBody(body): JsonBody<AdviceRequest>,
) -> Result<Response, ApiError> {
    reports::check_advice(&body)?;
    let advice = app.run(move |engine| Ok(reports::advice(engine.advise_on(&reports::given_numbers(body)))));
    Ok(Json(advice.await?).into_response())
}

pub(super) async fn doctor(State(app): State<App>) -> Result<Response, ApiError> {
    let indexes = app.shared_indexes();
    let diagnose = move |_: &Engine| {
        let of_each = indexes.all().into_iter();
        let of_each = of_each.map(|index| (index.description.name.clone(), index.engine.diagnose()));
        Ok(reports::diagnosis(of_each.collect()))
    };
    let diagnosis = app.run(diagnose).await?;
    Ok(Json(diagnosis).into_response())
}

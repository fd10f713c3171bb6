//! Handlers of moves.

use super::{App, request::JsonBody};
use crate::{ApiError, convert::moves};
use axum::{
    Json,
    extract::{Path, Query as UrlQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use pinyon_core::Index;
use pinyon_wire::moves::{MoveList, MoveRequest};
use std::sync::Arc;

/// Which index a request is about.
#[derive(serde::Deserialize)]
pub(super) struct OfIndex {
    /// The tenants' own if none is named; in lists, all.
    pub(super) index: Option<String>,
}

/// An index by its name, or the tenants' own.
pub(super) fn index_of(app: &App, name: Option<&str>) -> Result<Arc<Index>, ApiError> {
    let indexes = app.shared_indexes();
    let found = name.map_or_else(|| indexes.tenants_index(), |name| indexes.get(name));
    let missing =
        || ApiError::new(404, "NOT_FOUND", format!("Index {} not found.", name.unwrap_or("of the tenants")));
    found.ok_or_else(missing)
}

pub(super) async fn begin(
    State(app): State<App>,
    JsonBody(body): JsonBody<MoveRequest>,
) -> Result<Response, ApiError> {
    let index = index_of(&app, body.index.as_deref())?;
    let MoveRequest { tenant_id, shard_id, request_id, .. } = body;
    begin_in(&app, index, tenant_id, (shard_id, request_id.unwrap_or_default())).await
}

/// Begins to move a tenant of an index to a shard, by a request's name.
pub(super) async fn begin_in(
    app: &App,
    index: Arc<Index>,
    tenant_id: String,
    (shard_id, request_id): (u32, String),
) -> Result<Response, ApiError> {
    let (id, name) = (index.description.id, index.description.name.clone());
    let begun = app.run_in(index, move |engine| engine.move_tenant(&tenant_id, shard_id, &request_id));
    Ok((StatusCode::ACCEPTED, Json(moves::report(id, &name, begun.await?))).into_response())
}

pub(super) async fn list(
    State(app): State<App>,
    UrlQuery(of): UrlQuery<OfIndex>,
) -> Result<Response, ApiError> {
    let indexes = match of.index.as_deref() {
        Some(name) => vec![index_of(&app, Some(name))?],
        None => app.indexes().all(),
    };
    let list = MoveList { moves: indexes.iter().flat_map(|index| moves::of_index(index)).collect() };
    Ok(Json(list).into_response())
}

pub(super) async fn one(State(app): State<App>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let (index, id) = find(&app, &name)?;
    let report = index.engine.find_move(id).ok_or_else(|| missing(&name))?;
    Ok(Json(moves::report(index.description.id, &index.description.name, report)).into_response())
}

pub(super) async fn abort(State(app): State<App>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let (index, id) = find(&app, &name)?;
    index.engine.find_move(id).ok_or_else(|| missing(&name))?;
    let (number, index_name) = (index.description.id, index.description.name.clone());
    let aborted = app.run_in(index, move |engine| engine.abort_move(id)).await?;
    Ok((StatusCode::ACCEPTED, Json(moves::report(number, &index_name, aborted))).into_response())
}

/// The index of a move, and its number there.
fn find(app: &App, name: &str) -> Result<(Arc<Index>, u64), ApiError> {
    let (number, id) = moves::parse(name).ok_or_else(|| missing(name))?;
    let mut all = app.indexes().all().into_iter();
    let index = all.find(|index| index.description.id == number).ok_or_else(|| missing(name))?;
    Ok((index, id))
}

fn missing(name: &str) -> ApiError {
    ApiError::new(404, "NOT_FOUND", format!("There is no move {name}: GET /admin/v1/moves lists them."))
}

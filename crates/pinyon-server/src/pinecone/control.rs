//! The control plane: indexes made, described, configured, deleted.

use super::{
    attributes::Attributes, collections, configure as changes, control_body::ControlBody, create,
    envelope::ControlFailure, hosts::Caller, index_json::index_json, inference, listed_index::known,
    version::ApiVersion,
};
use crate::http::{App, close_index_port, open_index_port};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use pinyon_core::{Index, IndexRequest, Indexes};
use pinyon_wire::control::ConfigureRequest;
use serde_json::{Value, json};

type Answered = Result<Response, ControlFailure>;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/indexes", get(list).post(create_index))
        .route("/indexes/{index}", get(describe).patch(configure).delete(remove))
        .route("/indexes/create-for-model", post(create_for_model))
        .route("/indexes/{index}/backups", any(not_yet))
        .route("/indexes/{index}/backup-schedules", any(not_yet))
        .route("/backups", any(not_yet))
        .route("/backups/{*rest}", any(not_yet))
        .route("/restore-jobs", any(not_yet))
        .route("/restore-jobs/{*rest}", any(not_yet))
        .route("/backup-schedules/{*rest}", any(not_yet))
        .merge(collections::router())
        .merge(inference::router())
}

async fn not_yet() -> ControlFailure {
    ControlFailure::new(501, "UNIMPLEMENTED", "This operation is not supported by this server yet.")
}

fn shown(app: &App, index: &Index, caller: &Caller) -> Value {
    index_json(index, &app.hosts().of(&index.description, caller), ApiVersion::of(&caller.headers))
}

async fn list(State(app): State<App>, caller: Caller) -> Response {
    let indexes = app.indexes().all().into_iter().filter(|index| index.is_listed());
    let indexes: Vec<Value> = indexes.map(|index| shown(&app, &index, &caller)).collect();
    Json(json!({"indexes": indexes})).into_response()
}

async fn describe(State(app): State<App>, Path(name): Path<String>, caller: Caller) -> Answered {
    Ok(Json(shown(&app, &*known(&app, &name)?, &caller)).into_response())
}

async fn create_index(State(app): State<App>, caller: Caller, body: ControlBody) -> Answered {
    let request = match ApiVersion::of(&caller.headers) {
        ApiVersion::Schema => create::from_schema(body.read()?)?,
        _ => create::from_legacy(body.read()?)?,
    };
    make(app, request, &caller).await
}

async fn create_for_model(State(app): State<App>, caller: Caller, body: ControlBody) -> Answered {
    make(app, create::for_model(body.read()?)?, &caller).await
}

async fn make(app: App, request: IndexRequest, caller: &Caller) -> Answered {
    let made = app
        .change_indexes(move |indexes: &Indexes, ports| indexes.create(request, |taken| ports.pick(taken)));
    let made = made.await?;
    open_index_port(&app, &made.description.name, made.description.port);
    Ok((StatusCode::CREATED, Json(shown(&app, &made, caller))).into_response())
}

async fn configure(
    State(app): State<App>,
    Path(name): Path<String>,
    caller: Caller,
    body: ControlBody,
) -> Answered {
    let change: ConfigureRequest = body.read()?;
    let old = known(&app, &name)?;
    let protected = create::is_protected(change.deletion_protection.as_deref())?;
    let tags = create::changed_tags(old.description.tags.clone(), change.tags.clone().unwrap_or_default())?;
    let mut attributes = Attributes::of(&old);
    changes::apply(&mut attributes, &change, &old.description)?;
    let changed = app.change_indexes(move |indexes, _| {
        indexes.change(&name, |description| {
            description.is_protected = protected.unwrap_or(description.is_protected);
            description.tags = tags;
            description.attributes = attributes.write();
            Ok(())
        })
    });
    let changed = changed.await?;
    let status = match ApiVersion::of(&caller.headers) {
        ApiVersion::Schema => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    Ok((status, Json(shown(&app, &changed, &caller))).into_response())
}

async fn remove(State(app): State<App>, Path(name): Path<String>) -> Answered {
    let index = known(&app, &name)?;
    app.change_indexes(move |indexes, _| indexes.delete(&name)).await?;
    // The tenants' index is emptied, and begins anew on the same port.
    if !index.is_of_tenants() {
        close_index_port(&app, index.description.port);
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

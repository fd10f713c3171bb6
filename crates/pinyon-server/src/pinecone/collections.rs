//! Collections: copies of pod indexes. There are none here, and each way of asking for one says so in its own words.

use super::{
    attributes::{Attributes, Deployment},
    control_body::ControlBody,
    envelope::ControlFailure,
    listed_index,
    version::ApiVersion,
};
use crate::http::App;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::get,
};
use pinyon_core::check_index_name;
use pinyon_wire::control::CreateCollectionRequest;
use serde_json::json;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/collections", get(list).post(create))
        .route("/collections/{name}", get(missing).delete(missing))
}

async fn list() -> Response {
    Json(json!({"collections": []})).into_response()
}

async fn create(State(app): State<App>, headers: HeaderMap, body: ControlBody) -> ControlFailure {
    match refusal(&app, &headers, &body) {
        Ok(refusal) | Err(refusal) => refusal,
    }
}

/// Why no collection is made; what is wrong with the request comes first.
fn refusal(app: &App, headers: &HeaderMap, body: &ControlBody) -> Result<ControlFailure, ControlFailure> {
    let CreateCollectionRequest { name, source } = body.read()?;
    // The same rule; its sentence begins with what is named.
    check_index_name(&name)
        .map_err(|refused| ControlFailure::invalid(refused.problem.replacen("Index", "Collection", 1)))?;
    let index = listed_index::find(app, &source).ok_or_else(|| not_found(headers, "Index", &source))?;
    Ok(match Attributes::of(&index).deployment {
        Deployment::Pod(_) => ControlFailure::new(
            501,
            "UNIMPLEMENTED",
            "Collections of pod indexes are not supported by this server yet.",
        ),
        Deployment::Managed { .. } | Deployment::Byoc { .. } => ControlFailure::invalid(format!(
            "Collections are made of pod indexes, and index {source} is serverless."
        )),
    })
}

async fn missing(Path(name): Path<String>, headers: HeaderMap) -> ControlFailure {
    not_found(&headers, "Collection", &name)
}

/// To 2025-10 everything was a resource.
fn not_found(headers: &HeaderMap, what: &str, name: &str) -> ControlFailure {
    let message = if ApiVersion::of(headers) <= ApiVersion::Late2025 {
        format!("Resource {name} not found")
    } else {
        format!("{what} {name} not found.")
    };
    ControlFailure::new(404, "NOT_FOUND", message)
}

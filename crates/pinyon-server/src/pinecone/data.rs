//! The data plane of one index: its routes, and how the index is found that a request is for.

use super::{
    envelope::{ControlFailure, RpcCode, RpcError, data_refusal},
    namespaces, records, vectors,
};
use crate::http::{App, admit_data, pass};
use axum::{
    RequestPartsExt, Router,
    extract::{Path, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::any,
};
use std::{collections::BTreeMap, sync::Arc};

/// The routes of the data plane; who mounts it says which index by an extension.
pub(crate) fn router() -> Router<App> {
    vectors::router()
        .merge(namespaces::router())
        .merge(records::router())
        .route("/namespaces/{namespace}/documents/{operation}", any(not_yet))
        .route("/namespace-aliases", any(not_yet_rpc))
        .route("/namespace-aliases/{alias}", any(not_yet_rpc))
        .route("/bulk/imports", any(not_yet_rpc))
        .route("/bulk/imports/{id}", any(not_yet_rpc))
}

const NOT_YET: &str = "This operation is not supported by this server yet.";

async fn not_yet() -> ControlFailure {
    ControlFailure::new(501, "UNIMPLEMENTED", NOT_YET)
}

async fn not_yet_rpc() -> RpcError {
    RpcError::new(RpcCode::Unimplemented, NOT_YET)
}

/// Lets in who may, and finds the index that the path names.
pub(crate) async fn by_path(State(app): State<App>, request: Request, next: Next) -> Response {
    if let Err(refused) = admit_data(&app, &request) {
        return *refused;
    }
    let (mut parts, body) = request.into_parts();
    let parameters =
        parts.extract::<Path<BTreeMap<String, String>>>().await.map(|path| path.0).unwrap_or_default();
    let name = parameters.get("index").map_or("", String::as_str);
    let Some(index) = app.indexes().get(name) else {
        return RpcError::new(RpcCode::NotFound, format!("Index {name} not found.")).into_response();
    };
    parts.extensions.insert(index);
    pass(app.gate(), Request::from_parts(parts, body), next, data_refusal).await
}

/// The index that a port serves.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) app: App,
    pub(crate) index: Arc<str>,
}

/// Lets in who may, and finds the index that the port serves: what is remembered of it may have changed since the last
/// request.
pub(crate) async fn by_name(State(named): State<Named>, mut request: Request, next: Next) -> Response {
    if let Err(refused) = admit_data(&named.app, &request) {
        return *refused;
    }
    let Some(index) = named.app.indexes().get(&named.index) else {
        return RpcError::new(RpcCode::NotFound, format!("Index {} not found.", named.index)).into_response();
    };
    request.extensions_mut().insert(index);
    pass(named.app.gate(), request, next, data_refusal).await
}

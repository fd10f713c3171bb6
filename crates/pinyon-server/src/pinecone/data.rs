//! The data plane of one index: its routes, how its requests are read, how its answers are written.

use super::{
    envelope::{ControlFailure, RpcCode, RpcError, data_refusal},
    namespaces,
    position::Position,
    records, vectors,
};
use crate::http::{App, BadBody, admit_data, body_bytes, pass, read_proto_json};
use axum::{
    RequestPartsExt, Router,
    body::Body,
    extract::{FromRequest, Path, Request, State},
    http::{HeaderValue, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::any,
};
use pinyon_wire::lenient::whole_number;
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, sync::Arc};

/// Records on a page when nobody says, and most ids on a page of a listing.
pub(super) const PAGE_DEFAULT: i64 = 100;

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

/// A JSON body, with errors in the data plane's envelope. An empty one counts as `{}`.
pub(super) struct RpcBody<T>(pub(super) T);

impl<T: DeserializeOwned + Send + 'static> FromRequest<App> for RpcBody<T> {
    type Rejection = RpcError;

    async fn from_request(request: Request, app: &App) -> Result<Self, RpcError> {
        let bytes = body_bytes(request, app).await?;
        let read = app.transform(bytes.len(), move || read_proto_json(or_empty_object(&bytes)));
        read.await?.map(RpcBody).map_err(|bad| not_json(&bad))
    }
}

/// The same, but `{}` for nothing.
pub(super) fn or_empty_object(body: &[u8]) -> &[u8] {
    if body.is_empty() { b"{}" } else { body }
}

pub(super) fn not_json(bad: &BadBody) -> RpcError {
    if bad.has_no_room() {
        return RpcError::new(RpcCode::ResourceExhausted, bad.to_string());
    }
    RpcError::invalid(format!("Failed to parse the JSON body: {bad}"))
}

/// An answer, with the log position that it wrote or saw.
pub(super) fn answer(body: &impl Serialize, position: Position) -> Response {
    written(serde_json::to_vec(body).unwrap_or_default(), position)
}

/// The same for what may have many vectors of this many components together.
pub(super) async fn answer_vectors(
    app: &App,
    components: usize,
    body: impl Serialize + Send + 'static,
    position: Position,
) -> Result<Response, RpcError> {
    // About as many bytes as a component has digits.
    let bytes = app.transform(components * 12, move || serde_json::to_vec(&body).unwrap_or_default());
    Ok(written(bytes.await?, position))
}

fn written(bytes: Vec<u8>, position: Position) -> Response {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some((name, value)) = position.header() {
        response.headers_mut().insert(name, value);
    }
    response
}

/// The pairs of a query string, decoded.
pub(super) fn parameters(uri: &Uri) -> Result<Vec<(String, String)>, RpcError> {
    axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map(|pairs| pairs.0)
        .map_err(|error| RpcError::invalid(format!("the query string cannot be read: {error}")))
}

pub(super) fn parameter<'a>(pairs: &'a [(String, String)], names: &[&str]) -> Option<&'a str> {
    pairs.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value.as_str())
}

pub(super) fn page_size(limit: Option<i64>, most: i64) -> Result<usize, RpcError> {
    let limit = limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=most).contains(&limit) {
        return Err(RpcError::invalid(format!("limit must be 1 to {most}, is {limit}")));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// A whole number among the parameters.
pub(super) fn number(pairs: &[(String, String)], name: &str) -> Result<Option<i64>, RpcError> {
    let given = parameter(pairs, &[name]).filter(|text| !text.is_empty());
    let read = given.map(|text| {
        let refused = || RpcError::invalid(format!("{name} must be a whole number, is {text:?}"));
        whole_number(text).ok_or_else(refused)
    });
    read.transpose()
}

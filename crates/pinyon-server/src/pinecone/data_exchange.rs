//! Requests and answers of the data plane over REST: how their bodies and parameters are read, how answers are written.

use super::{
    envelope::{RpcCode, RpcError},
    position::Position,
};
use crate::http::{App, BadBody, body_bytes, read_proto_json};
use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderValue, Uri, header},
    response::Response,
};
use pinyon_wire::lenient::whole_number;
use serde::{Serialize, de::DeserializeOwned};

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

/// A whole number among the parameters.
pub(super) fn number(pairs: &[(String, String)], name: &str) -> Result<Option<i64>, RpcError> {
    let given = parameter(pairs, &[name]).filter(|text| !text.is_empty());
    let read = given.map(|text| {
        let refused = || RpcError::invalid(format!("{name} must be a whole number, is {text:?}"));
        whole_number(text).ok_or_else(refused)
    });
    read.transpose()
}

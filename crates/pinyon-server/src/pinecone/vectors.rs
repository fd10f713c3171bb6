//! The data plane's vector operations over REST.

use super::{
    data::{RpcBody, answer, not_json, number, parameter, parameters},
    envelope::RpcError,
    operations,
};
use crate::http::{App, body_bytes, read_json};
use axum::{
    Extension, Router,
    extract::{Request, State},
    http::Uri,
    response::Response,
    routing::{get, post},
};
use pinyon_core::Index;
use pinyon_wire::vectors::{FetchRequest, ListRequest, QueryRequest};
use std::sync::Arc;

type Answered = Result<Response, RpcError>;

/// A handler that reads a JSON body, runs the operation of its name, and writes what that gives.
macro_rules! by_body {
    ($($operation:ident: $request:ident,)*) => {
        $(async fn $operation(
            State(app): State<App>,
            Extension(index): Extension<Arc<Index>>,
            RpcBody(body): RpcBody<pinyon_wire::vectors::$request>,
        ) -> Answered {
            let (response, position) = operations::$operation(&app, index, body).await?;
            Ok(answer(&response, position))
        })*
    };
}

by_body! {
    upsert: UpsertRequest,
    fetch_by_metadata: FetchByMetadataRequest,
    update: UpdateRequest,
    delete: DeleteRequest,
    stats: StatsRequest,
}

/// As the others, with a reader of its own: most of a query is one long array of numbers.
async fn query(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    request: Request,
) -> Answered {
    let body = body_bytes(request, app.limits()).await?;
    let body = if body.is_empty() { b"{}" } else { &*body };
    let body = match QueryRequest::read_plain(body) {
        Some(body) => body,
        None => read_json(body).map_err(|bad| not_json(&bad))?,
    };
    let (response, position) = operations::query(&app, index, body).await?;
    Ok(answer(&response, position))
}

/// The routes of vector operations.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/vectors/upsert", post(upsert))
        .route("/query", post(query))
        .route("/vectors/fetch", get(fetch))
        .route("/vectors/fetch_by_metadata", post(fetch_by_metadata))
        .route("/vectors/update", post(update))
        .route("/vectors/delete", post(delete).delete(delete))
        .route("/vectors/list", get(list))
        .route("/describe_index_stats", post(stats).get(stats))
}

async fn fetch(State(app): State<App>, Extension(index): Extension<Arc<Index>>, uri: Uri) -> Answered {
    let pairs = parameters(&uri)?;
    let ids = pairs.iter().filter(|(name, _)| name == "ids").map(|(_, id)| id.clone()).collect();
    let namespace = parameter(&pairs, &["namespace"]).unwrap_or_default().to_owned();
    let (response, position) = operations::fetch(&app, index, FetchRequest { ids, namespace }).await?;
    Ok(answer(&response, position))
}

async fn list(State(app): State<App>, Extension(index): Extension<Arc<Index>>, uri: Uri) -> Answered {
    let pairs = parameters(&uri)?;
    let text = |names: &[&str]| parameter(&pairs, names).map(str::to_owned);
    let request = ListRequest {
        prefix: text(&["prefix"]).unwrap_or_default(),
        limit: number(&pairs, "limit")?,
        pagination_token: text(&["paginationToken", "pagination_token"]),
        namespace: text(&["namespace"]).unwrap_or_default(),
    };
    let (response, position) = operations::list(&app, index, request).await?;
    Ok(answer(&response, position))
}

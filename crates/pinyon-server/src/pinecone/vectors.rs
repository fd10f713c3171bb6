//! The data plane's vector operations over REST.

use super::{
    data_exchange::{
        RpcBody, answer, answer_vectors, not_json, number, or_empty_object, parameter, parameters,
    },
    envelope::RpcError,
    operations,
    position::Position,
    version::ApiVersion,
};
use crate::http::{App, body_bytes, read_proto_json};
use axum::{
    Extension, Router,
    extract::{Request, State},
    http::Uri,
    response::Response,
    routing::{get, post},
};
use pinyon_core::Index;
use pinyon_wire::vectors::{
    DeleteRequest, FetchByMetadataRequest, FetchRequest, FetchResponse, ListRequest, QueryRequest,
    StatsRequest, UpdateRequest, UpsertRequest,
};
use std::sync::Arc;

type Answered = Result<Response, RpcError>;

async fn upsert(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    version: ApiVersion,
    RpcBody(body): RpcBody<UpsertRequest>,
) -> Answered {
    let (response, position) = operations::upsert(&app, index, body, version).await?;
    Ok(answer(&response, position))
}

async fn update(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    version: ApiVersion,
    RpcBody(body): RpcBody<UpdateRequest>,
) -> Answered {
    let (response, position) = operations::update(&app, index, body, version).await?;
    Ok(answer(&response, position))
}

async fn delete(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    RpcBody(body): RpcBody<DeleteRequest>,
) -> Answered {
    let (response, position) = operations::delete(&app, index, body).await?;
    Ok(answer(&response, position))
}

async fn stats(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    version: ApiVersion,
    RpcBody(body): RpcBody<StatsRequest>,
) -> Answered {
    let (response, position) = operations::stats(&app, index, body, version).await?;
    Ok(answer(&response, position))
}

/// As the others, with a reader of its own: most of a query is one long array of numbers.
async fn query(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    request: Request,
) -> Answered {
    let body = body_bytes(request, &app).await?;
    let read = app.transform(body.len(), move || {
        QueryRequest::read_plain(&body).map_or_else(|| read_proto_json(or_empty_object(&body)), Ok)
    });
    let body = read.await?.map_err(|bad| not_json(&bad))?;
    let (response, position) = operations::query(&app, index, body).await?;
    let components = response.matches.iter().map(|one| one.values.len()).sum();
    answer_vectors(&app, components, response, position).await
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
    fetched(&app, response, position).await
}

async fn fetch_by_metadata(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    RpcBody(body): RpcBody<FetchByMetadataRequest>,
) -> Answered {
    let (response, position) = operations::fetch_by_metadata(&app, index, body).await?;
    fetched(&app, response, position).await
}

async fn fetched(app: &App, response: FetchResponse, position: Position) -> Answered {
    let components = response.vectors.values().map(|one| one.values.len()).sum();
    answer_vectors(app, components, response, position).await
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

//! Routes of the control port, of the port for health and metrics, and of single-index mode's one port.

use super::{
    App,
    by_host::ByHost,
    docs,
    encoding::compress,
    fallbacks::{method_not_allowed, not_found, panicked},
    guard,
    handlers::{
        advise, assign, configure_index, delete, doctor, erase, fetch, health, index, indexes, ingest,
        metrics, place, query, readyz, reopen, shard, shards, tenants,
    },
    index_router::index_router,
    moves,
};
use crate::{ApiError, pinecone};
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use tower_http::catch_panic::CatchPanicLayer;

/// A refusal of the HTTP layer in each API's envelope.
type Refuse = fn(ApiError) -> Response;
const OWN: Refuse = ApiError::into_response;
const CONTROL: Refuse = pinecone::control_refusal;

/// The control port's routes.
pub(crate) fn router(app: App) -> Router {
    let control = pinecone::control_router()
        .route_layer(from_fn_with_state(CONTROL, guard::readable))
        .route_layer(from_fn_with_state(app.clone(), guard::authenticate_control))
        .layer(from_fn(guard::number));
    let data = pinecone::data_router()
        .route_layer(from_fn_with_state(app.clone(), pinecone::by_path))
        .layer(from_fn(guard::number));
    let router = Router::new()
        .merge(own_routes(&app))
        .merge(control)
        .nest("/indexes/{index}", data)
        .route("/health", get(health))
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .merge(docs::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(app.clone(), compress))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(app.clone());
    Router::new().fallback_service(ByHost::new(app, router))
}

/// The routes of our own API, for who has a key.
fn own_routes(app: &App) -> Router<App> {
    Router::new()
        .route("/ingest", post(ingest))
        .route("/query", post(query))
        .route("/fetch", post(fetch))
        .route("/delete", post(delete))
        .route("/metrics", get(metrics))
        .route("/shard/{tenant_id}", get(shard))
        .route("/admin/v1/tenants", get(tenants).post(place))
        .route("/admin/v1/tenants/{tenant_id}", put(assign))
        .route("/admin/v1/tenants/{tenant_id}/erase", post(erase))
        .route("/admin/v1/moves", get(moves::list).post(moves::begin))
        .route("/admin/v1/moves/{id}", get(moves::one).delete(moves::abort))
        .route("/admin/v1/indexes", get(indexes))
        .route("/admin/v1/indexes/{name}", get(index).put(configure_index))
        .route("/admin/v1/indexes/{name}/shards/{shard}/reopen", post(reopen))
        .route("/admin/v1/shards", get(shards))
        .route("/admin/v1/advise", post(advise))
        .route("/admin/v1/doctor", get(doctor))
        .route_layer(from_fn_with_state(OWN, guard::readable))
        .route_layer(from_fn_with_state(app.clone(), guard::authenticate))
}

/// The routes of the port for health and metrics.
pub(crate) fn ops_router(app: &App) -> Router {
    let keyed = Router::new()
        .route("/metrics", get(metrics))
        .route_layer(from_fn_with_state(app.clone(), guard::authenticate));
    keyed
        .route("/health", get(health))
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(app.clone(), compress))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(app.clone())
}

/// The routes of single-index mode's one port.
pub(crate) fn single_router(app: &App, index: &str) -> Router {
    let named = pinecone::Named { app: app.clone(), index: index.into() };
    let control = pinecone::single_control_router(named)
        .route_layer(from_fn_with_state(CONTROL, guard::readable))
        .route_layer(from_fn_with_state(app.clone(), guard::authenticate_control))
        .layer(from_fn_with_state(app.clone(), compress))
        .layer(from_fn(guard::number));
    index_router(app, index)
        .merge(control)
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz).with_state(app.clone()))
}

//! Routes of one index: its data plane over REST and gRPC, as its own port serves them.

use super::{
    App,
    encoding::compress,
    fallbacks::{panicked, wrong_method_of_index},
    guard,
};
use crate::pinecone;
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use tower_http::catch_panic::CatchPanicLayer;

/// The routes of one index's port.
pub(crate) fn index_router(app: &App, index: &str) -> Router {
    let named = pinecone::Named { app: app.clone(), index: index.into() };
    // By path, because no route of REST begins like this; every side keeps its own answer to what it does not know.
    let grpc = Router::new()
        .route_service("/VectorService/{method}", pinecone::grpc_service(named.clone()))
        .route_layer(from_fn_with_state(app.clone(), pinecone::grpc_guard));
    pinecone::data_router()
        .route_layer(from_fn_with_state(named, pinecone::by_name))
        .merge(grpc)
        .fallback(pinecone::nothing_there)
        .method_not_allowed_fallback(wrong_method_of_index)
        .layer(from_fn_with_state(app.clone(), compress))
        .layer(from_fn(guard::number))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(app.clone())
}

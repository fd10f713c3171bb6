//! A server's life: open, listen, serve, stop.

use crate::{
    config::Settings,
    http::{App, Limits, router, serve_connections},
};
use pinyon_core::{Engine, EngineError, ErrorCode};
use std::{future::Future, net::SocketAddr};
use tokio::net::TcpListener;

/// What a caller of [`serve`] wants to know and decide.
pub struct ServeOptions<Ready, Stop> {
    /// Called once, when requests are answered, with the address that was bound.
    pub ready: Ready,
    /// Ends the server when done.
    pub stop: Stop,
}

/// Opens the engine and serves it until `stop` is done; then finishes running requests and ends every log cleanly.
///
/// # Errors
/// The engine's, or an address that cannot be listened on.
pub async fn serve<Ready, Stop>(
    settings: Settings,
    options: ServeOptions<Ready, Stop>,
) -> Result<(), EngineError>
where
    Ready: FnOnce(SocketAddr),
    Stop: Future<Output = ()>,
{
    let Settings { data_dir, listen, keys, engine, .. } = settings;
    // Listen first: a port in use is known at once, and nobody waits for data that will not be served.
    let refused = |error: std::io::Error| {
        EngineError::new(ErrorCode::Internal, format!("cannot listen on {listen}: {error}"))
    };
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let opened = tokio::task::spawn_blocking(move || Engine::open(&data_dir, engine)).await;
    let engine = opened.map_err(|error| EngineError::new(ErrorCode::Internal, error.to_string()))??;
    let limits = Limits::server();
    let app = App::new(engine.clone(), keys, limits);
    (options.ready)(address);
    serve_connections(listener, router(app), limits, options.stop).await;
    let closed = tokio::task::spawn_blocking(move || engine.close()).await;
    closed.map_err(|error| EngineError::new(ErrorCode::Internal, error.to_string()))?
}

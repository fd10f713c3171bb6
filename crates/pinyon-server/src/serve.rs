//! A server's life: open, listen, serve, stop.

use crate::{
    config::Settings,
    http::{App, Limits, Listeners, router, serve_connections},
    pinecone::Hosts,
};
use pinyon_core::{EngineError, EngineSettings, ErrorCode, Indexes};
use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc};
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
    let Settings { data_dir, listen, keys, engine, pinecone, .. } = settings;
    // Listen first: a port in use is known at once, and nobody waits for data that will not be served.
    let refused = |error: std::io::Error| {
        EngineError::new(ErrorCode::Internal, format!("cannot listen on {listen}: {error}"))
    };
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let limits = Limits::server();
    let first_port = pinecone.index_port_first.unwrap_or_else(|| address.port().saturating_add(1));
    let listeners = Arc::new(Listeners::new(address.ip(), first_port, limits));
    let indexes = open_indexes(data_dir, engine, pinecone.tenants_index, Arc::clone(&listeners)).await?;
    let hosts = Hosts::new(pinecone.host_format, pinecone.advertised_host);
    let app = App::new(Arc::clone(&indexes), Arc::clone(&listeners), hosts, keys, limits);
    for index in indexes.all() {
        listeners.open(&app, &index.description.name, index.description.port);
    }
    (options.ready)(address);
    serve_connections(listener, router(app), limits, options.stop).await;
    listeners.close_all().await;
    blocking(move || indexes.close()).await
}

async fn open_indexes(
    data_dir: PathBuf,
    engine: EngineSettings,
    tenants_index: String,
    listeners: Arc<Listeners>,
) -> Result<Arc<Indexes>, EngineError> {
    let open = move || {
        let pick = |taken: &[u16]| listeners.pick_for_tenants(taken);
        Indexes::open(&data_dir, engine, &tenants_index, pick).map(Arc::new)
    };
    blocking(open).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| EngineError::new(ErrorCode::Internal, error.to_string()))?
}

//! A server's life: open, listen, serve, stop.

use crate::{
    config::Settings,
    http::{App, Door, Limits, Listeners, Workers, port_taken, router, serve_connections, single_router},
    pinecone::{Hosts, SingleIndex},
    strangers::{Reached, Rules, Strangers},
    tls::{self, Tls},
};
use axum::Router;
use pinyon_core::{EngineError, EngineSettings, ErrorCode, Indexes};
use std::{future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// Where a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// The control port's address as it was bound.
    pub address: SocketAddr,
    /// The one index that is served, in single-index mode.
    pub index: Option<String>,
    /// The file with the certificate that clients must trust to speak TLS, if the server has an authority of its own.
    pub authority: Option<PathBuf>,
}

/// What a caller of [`serve`] wants to know and decide.
pub struct ServeOptions<Ready, Stop> {
    /// Called once, when requests are answered.
    pub ready: Ready,
    /// Ends the server when done.
    pub stop: Stop,
}

/// Opens the engine and serves it until `stop` is done; then finishes running requests and ends every log cleanly.
///
/// # Errors
/// The engine's, an address that cannot be listened on, certificates that cannot be used.
pub async fn serve<Ready, Stop>(
    settings: Settings,
    options: ServeOptions<Ready, Stop>,
) -> Result<(), EngineError>
where
    Ready: FnOnce(Listening),
    Stop: Future<Output = ()>,
{
    let Settings { data_dir, listen, keys, allowed, engine, pinecone, tls, .. } = settings;
    // Listen first: a port in use is known at once, and nobody waits for data that will not be served.
    let refused = |error: std::io::Error| cannot_listen(listen, &error);
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let first_port = pinecone.index_port_first.unwrap_or_else(|| address.port().saturating_add(1));
    let listeners = Arc::new(Listeners::new(address.ip(), first_port));
    let indexes =
        open_indexes(data_dir.clone(), engine, pinecone.tenants_index, Arc::clone(&listeners)).await?;
    // Only now: whoever has the data open has the directory, and with it the authority, for himself.
    let names = tls::names(address.ip(), pinecone.advertised_host.as_ref());
    let tls = blocking(move || Tls::open(&tls, &data_dir, names)).await?;
    let authority = tls.as_ref().and_then(|tls| tls.authority.clone());
    let only_port = pinecone.single_index.as_ref().map(|_| address.port());
    let advertised = pinecone.advertised_host.clone();
    let reached = Reached { listen: address.ip(), advertised, is_keyless: keys.is_open() };
    let strangers = Arc::new(Strangers::new(Rules::new(reached, allowed)));
    let hosts = Hosts::new(pinecone.host_format, pinecone.advertised_host, only_port);
    let door = Door { limits: Limits::server(), tls, strangers, workers: start_workers()? };
    let filter = pinecone.stats_filter;
    let app = App::new(Arc::clone(&indexes), Arc::clone(&listeners), hosts, keys, filter, door.clone());
    let index = pinecone.single_index.as_ref().map(|single| single.name.clone());
    let router = match pinecone.single_index {
        Some(single) => single_index(&app, single).await?,
        None => every_index(app),
    };
    (options.ready)(Listening { address, index, authority });
    let patience = door.limits.shutdown_time_max + Duration::from_secs(1);
    serve_connections(listener, router, door, options.stop).await;
    listeners.close_all(patience).await;
    blocking(move || indexes.close()).await
}

fn start_workers() -> Result<Workers, EngineError> {
    Workers::start().map_err(|error| EngineError::new(ErrorCode::Internal, error.to_string()))
}

fn cannot_listen(listen: SocketAddr, error: &io::Error) -> EngineError {
    let problem = match error.kind() {
        io::ErrorKind::AddrInUse => {
            let remedy = "stop that one, or listen elsewhere: --listen ADDRESS:PORT or PINYON_LISTEN";
            format!("{}: {remedy}", port_taken(listen.port()))
        }
        _ => error.to_string(),
    };
    EngineError::new(ErrorCode::Internal, format!("cannot listen on {listen}: {problem}"))
}

/// Opens every index's own port.
fn every_index(app: App) -> Router {
    for index in app.indexes().all() {
        app.listeners().open(&app, &index.description.name, index.description.port);
    }
    router(app)
}

/// Opens the one index; no port but the one that was listened on is kept.
async fn single_index(app: &App, single: SingleIndex) -> Result<Router, EngineError> {
    let name = single.name.clone();
    app.change_indexes(move |indexes, ports| single.open(indexes, |taken| ports.pick(taken))).await?;
    app.listeners().forget_picked();
    Ok(single_router(app, &name))
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

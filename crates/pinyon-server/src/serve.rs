//! A server's life: open, listen, serve, stop.

use crate::{
    KeyRing,
    config::Settings,
    http::{App, Door, Limits, Listeners, Sockets, Workers, ops_router, raise_limit, router, single_router},
    pinecone::{Hosts, SingleIndex},
    ports::{self, Bound},
    tls::{self, Tls},
};
use axum::Router;
use pinyon_core::{EngineError, EngineSettings, ErrorCode, Indexes};
use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc};

/// Where a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// The control port's address as it was bound.
    pub address: SocketAddr,
    /// The address of the port for health and metrics, if there is one.
    pub ops: Option<SocketAddr>,
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
    let Settings { data_dir, listen, keys, engine, pinecone, tls, sockets, ops_listen, .. } = settings;
    let descriptors_max = raise_limit(); // before files are opened by the thousand
    // Listen first: a port in use is known at once, and nobody waits for data that will not be served.
    let (control, ops) = Bound::both(listen, ops_listen).await?;
    let address = control.address;
    let first_port = pinecone.index_port_first.unwrap_or_else(|| address.port().saturating_add(1));
    let listeners = Arc::new(Listeners::new(address.ip(), first_port));
    let indexes =
        open_indexes(data_dir.clone(), engine, pinecone.tenants_index, Arc::clone(&listeners)).await?;
    // Only now: whoever has the data open has the directory, and with it the authority, for himself.
    let names = tls::names(address.ip(), pinecone.advertised_host.as_ref());
    let tls = blocking(move || Tls::open(&tls, &data_dir, names)).await?;
    let authority = tls.as_ref().and_then(|tls| tls.authority.clone());
    let only_port = pinecone.single_index.as_ref().map(|_| address.port());
    let hosts = Hosts::new(pinecone.host_format, pinecone.advertised_host, only_port);
    // Every index's port takes a descriptor too.
    let descriptors_max = descriptors_max.map(|most| most.saturating_sub(indexes.all().len() as u64));
    let door = make_door(tls, &keys, Sockets::new(sockets, descriptors_max, control.listener()))?;
    let filter = pinecone.stats_filter;
    let app = App::new(Arc::clone(&indexes), Arc::clone(&listeners), hosts, keys, filter, door.clone());
    let index = pinecone.single_index.as_ref().map(|single| single.name.clone());
    let ops_address = ops.as_ref().map(|ops| ops.address);
    let ops = ops.map(|bound| bound.serving(ops_router(&app), &door.sockets.ops));
    let router = match pinecone.single_index {
        Some(single) => single_index(&app, single).await?,
        None => every_index(app),
    };
    (options.ready)(Listening { address, ops: ops_address, index, authority });
    let ports = [Some(control.serving(router, &door.sockets.control)), ops];
    ports::serve(ports, &door, &listeners, options.stop).await;
    blocking(move || indexes.close()).await
}

fn make_door(tls: Option<Tls>, keys: &KeyRing, sockets: Sockets) -> Result<Door, EngineError> {
    let workers =
        Workers::start().map_err(|error| EngineError::new(ErrorCode::Internal, error.to_string()))?;
    let (keys, sockets) = (Arc::new(keys.clone()), Arc::new(sockets));
    Ok(Door { limits: Limits::server(), tls, workers, keys, sockets })
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

//! A server's life: open, listen, serve, stop.

use crate::{
    auth::Access,
    config::Settings,
    http::{
        App, Gate, Listeners, Sockets, Workers, open_index_port, ops_router, raise_limit, router,
        single_router,
    },
    live::{Live, Reloadable},
    pinecone::{Hosts, SingleIndex},
    ports::{self, Bound},
    strangers::{Reached, Rules},
    tls::{self, Tls, TlsDemands, TlsSettings},
};
use axum::Router;
use pinyon_core::{EngineError, EngineSettings, ErrorCode, Indexes, tighten_data_dir};
use std::{
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::mpsc;

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
    /// Settings to take anew while it runs; files are watched without it.
    pub reloads: mpsc::Receiver<Reloadable>,
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
    let Settings { data_dir, keys, engine, pinecone, tls, tls_demands, sockets, .. } = settings;
    tighten_data_dir(&data_dir, settings.data_access);
    let descriptors_max = raise_limit(); // before files are opened by the thousand
    // Listen first: a port in use is known at once, and nobody waits for data that will not be served.
    let (control, ops) = Bound::both(settings.listen, settings.ops_listen)?;
    let address = control.address;
    let listeners = index_listeners(address, pinecone.index_port_first);
    let memory = engine.shard_options.memory.clone();
    let indexes = open_indexes(data_dir.clone(), engine, pinecone.tenants_index, &listeners).await?;
    // Only now: whoever has the data open has the directory for himself.
    let advertised = pinecone.advertised_host;
    let names = tls::names(address.ip(), advertised.as_ref());
    let (is_keyless, needs_tls) = (keys.is_open(), tls_demands.only);
    let tls = blocking(move || open_tls(&tls, tls_demands, &data_dir, names)).await?;
    let reached = Reached { listen: address.ip(), advertised: advertised.clone(), is_keyless, needs_tls };
    let live = Live::new(Access::new(keys, settings.key_source), Rules::new(reached, settings.allowed), tls);
    let authority = live.authority();
    let index = pinecone.single_index.as_ref().map(|single| single.name.clone());
    let hosts = Hosts::new(pinecone.host_format, advertised, index.as_ref().map(|_| address.port()));
    let descriptors_left = left_for_connections(descriptors_max, &indexes);
    let door = live.door(start_workers()?, Sockets::new(sockets, descriptors_left, control.listener()));
    let (ports, gate) = (Arc::clone(&listeners), Gate::within(settings.requests_bytes, memory));
    let app = App::new(Arc::clone(&indexes), ports, hosts, pinecone.stats_filter, door.clone(), gate);
    let listening = Listening { address, ops: ops.as_ref().map(|ops| ops.address), index, authority };
    let ops = ops.map(|bound| bound.serving(ops_router(&app), &door.sockets.ops));
    let router = route(app, pinecone.single_index).await?;
    let watching = tokio::spawn(live.watch(options.reloads));
    (options.ready)(listening);
    let ports = [Some(control.serving(router, &door.sockets.control)), ops];
    ports::serve(ports, &door, &listeners, options.stop).await;
    watching.abort();
    blocking(move || indexes.close()).await
}

/// Every index's port takes a descriptor too.
fn left_for_connections(descriptors_max: Option<u64>, indexes: &Indexes) -> Option<u64> {
    descriptors_max.map(|most| most.saturating_sub(indexes.all().len() as u64))
}

/// Ports of indexes begin behind the control port unless somebody says otherwise.
fn index_listeners(address: SocketAddr, first: Option<u16>) -> Arc<Listeners> {
    Arc::new(Listeners::new(address.ip(), first.unwrap_or_else(|| address.port().saturating_add(1))))
}

async fn route(app: App, single: Option<SingleIndex>) -> Result<Router, EngineError> {
    match single {
        Some(single) => single_index(&app, single).await,
        None => Ok(every_index(app)),
    }
}

/// Makes TLS ready, if it is asked for.
fn open_tls(
    settings: &TlsSettings,
    demands: TlsDemands,
    data_dir: &Path,
    names: Vec<String>,
) -> Result<Option<Tls>, EngineError> {
    let TlsDemands { only: _, client_ca, dir } = demands;
    let dir = match settings {
        TlsSettings::Local => tls::authority_dir(dir.as_deref(), data_dir)?,
        TlsSettings::Off | TlsSettings::Files { .. } => PathBuf::new(),
    };
    let tls = Tls::open(settings, &dir, names)?;
    tls.map(|tls| tls.asking_clients(client_ca)).transpose()
}

/// Opens every index's own port.
fn every_index(app: App) -> Router {
    for index in app.indexes().all() {
        open_index_port(&app, &index.description.name, index.description.port);
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
    listeners: &Arc<Listeners>,
) -> Result<Arc<Indexes>, EngineError> {
    let listeners = Arc::clone(listeners);
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

fn start_workers() -> Result<Workers, EngineError> {
    Workers::start().map_err(|error| EngineError::new(ErrorCode::Internal, error.to_string()))
}

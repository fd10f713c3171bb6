//! A server's life: open, listen, serve, stop.

use crate::{
    auth::Access,
    config::Settings,
    http::{App, Listeners, Workers, port_taken, router, serve_connections, single_router},
    live::{Live, Reloadable},
    pinecone::{Hosts, SingleIndex},
    strangers::{Reached, Rules, Strangers},
    tls::{self, Tls, TlsDemands, TlsSettings},
};
use axum::Router;
use pinyon_core::{EngineError, EngineSettings, ErrorCode, Indexes, tighten_data_dir};
use std::{
    future::Future,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, sync::mpsc};

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
    let Settings { data_dir, listen, keys, engine, pinecone, tls, tls_demands, .. } = settings;
    tighten_data_dir(&data_dir, settings.data_access);
    // Listen first: a port in use is known at once, and nobody waits for data that will not be served.
    let (listener, address) = listen_on(listen).await?;
    let listeners = Arc::new(index_listeners(address, pinecone.index_port_first));
    let indexes =
        open_indexes(data_dir.clone(), engine, pinecone.tenants_index, Arc::clone(&listeners)).await?;
    // Only now: whoever has the data open has the directory for himself.
    let advertised = pinecone.advertised_host;
    let names = tls::names(address.ip(), advertised.as_ref());
    let (is_keyless, needs_tls) = (keys.is_open(), tls_demands.only);
    let tls = blocking(move || open_tls(&tls, tls_demands, &data_dir, names)).await?;
    let authority = tls.as_ref().and_then(|tls| tls.authority.clone());
    let reached = Reached { listen: address.ip(), advertised: advertised.clone(), is_keyless, needs_tls };
    let live = Live {
        access: Arc::new(Access::new(keys, settings.key_source)),
        strangers: Arc::new(Strangers::new(Rules::new(reached, settings.allowed))),
        tls,
    };
    let index = pinecone.single_index.as_ref().map(|single| single.name.clone());
    let hosts = Hosts::new(pinecone.host_format, advertised, index.as_ref().map(|_| address.port()));
    let door = live.door(start_workers()?);
    let (access, filter) = (Arc::clone(&live.access), pinecone.stats_filter);
    let app = App::new(Arc::clone(&indexes), Arc::clone(&listeners), hosts, access, filter, door.clone());
    let router = route(app, pinecone.single_index).await?;
    let watching = tokio::spawn(live.watch(options.reloads));
    (options.ready)(Listening { address, index, authority });
    serve_connections(listener, router, door.clone(), options.stop).await;
    watching.abort();
    listeners.close_all(door.limits.shutdown_time_max + Duration::from_secs(1)).await;
    blocking(move || indexes.close()).await
}

async fn listen_on(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), EngineError> {
    let refused = |error: std::io::Error| cannot_listen(listen, &error);
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// Ports of indexes begin behind the control port unless somebody says otherwise.
fn index_listeners(address: SocketAddr, first: Option<u16>) -> Listeners {
    Listeners::new(address.ip(), first.unwrap_or_else(|| address.port().saturating_add(1)))
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

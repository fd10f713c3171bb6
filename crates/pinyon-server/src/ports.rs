//! The control port and the port for health and metrics: bound first, served last, stopped together with those of indexes.

use crate::http::{Door, Listeners, Places, Port, PortService, port_taken, serve_port};
use axum::Router;
use pinyon_core::{EngineError, ErrorCode};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};
use tokio::{sync::watch, task::JoinHandle};

/// An address that is listened on and not served yet.
pub(crate) struct Bound {
    listener: TcpListener,
    /// As it was bound.
    pub(crate) address: SocketAddr,
}

/// A port that is ready to be served.
pub(crate) struct Serving {
    bound: Bound,
    router: Router,
    places: Arc<Places>,
}

impl Bound {
    /// Listens at both addresses.
    ///
    /// # Errors
    /// An address that cannot be listened on; the message says who holds it and what to do.
    pub(crate) fn both(
        listen: SocketAddr,
        ops_listen: Option<SocketAddr>,
    ) -> Result<(Self, Option<Self>), EngineError> {
        let control = Self::at(listen, "listen")?;
        let ops = match ops_listen {
            Some(listen) => Some(Self::at(listen, "ops-listen")?),
            None => None,
        };
        Ok((control, ops))
    }

    fn at(listen: SocketAddr, flag: &str) -> Result<Self, EngineError> {
        let refused = |error: io::Error| cannot_listen(listen, flag, &error);
        let listener = TcpListener::bind(listen).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    pub(crate) const fn listener(&self) -> &TcpListener {
        &self.listener
    }

    /// Names what the port serves, and whose places its connections take.
    pub(crate) fn serving(self, router: Router, places: &Arc<Places>) -> Serving {
        Serving { bound: self, router, places: Arc::clone(places) }
    }
}

impl Serving {
    fn serve(self, door: Door, mut stopped: watch::Receiver<()>) -> JoinHandle<()> {
        let Self { bound: Bound { listener, address }, router, places } = self;
        let service = PortService { router, door, port: Port { places, number: address.port() } };
        let farewell = service.door.limits.farewell_time_max;
        let stop = async move {
            // An error is a stop too.
            let _ = stopped.changed().await;
            farewell
        };
        serve_port(listener, service, stop)
    }
}

/// Serves until `stop` is done. Then all ports end at the same time, those of indexes too.
pub(crate) async fn serve(
    ports: [Option<Serving>; 2],
    door: &Door,
    listeners: &Listeners,
    stop: impl Future<Output = ()>,
) {
    let (stopping, stopped) = watch::channel(());
    let [control, ops] = ports.map(|port| port.map(|port| port.serve(door.clone(), stopped.clone())));
    let others = async {
        stop.await;
        let _ = stopping.send(());
        listeners.close_all(&door.limits).await;
    };
    tokio::join!(if_any(control), if_any(ops), others);
}

async fn if_any(port: Option<JoinHandle<()>>) {
    if let Some(port) = port {
        // A task that panicked has said so; there is nothing of it to wait for.
        let _ = port.await;
    }
}

fn cannot_listen(listen: SocketAddr, flag: &str, error: &io::Error) -> EngineError {
    let problem = match error.kind() {
        io::ErrorKind::AddrInUse => {
            let variable = flag.to_ascii_uppercase().replace('-', "_");
            let holder = port_taken(listen.port());
            format!(
                "{holder}: stop that one, or listen elsewhere: --{flag} ADDRESS:PORT or PINYON_{variable}"
            )
        }
        _ => error.to_string(),
    };
    EngineError::new(ErrorCode::Internal, format!("cannot listen on {listen}: {problem}"))
}

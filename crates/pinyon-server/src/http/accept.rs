//! The accept loop: it always goes on. Connections get places, deadlines for their first bytes, TLS and plain text told apart
//! by them, and hyper with its own timers.
//! axum's own loop sets neither header timer nor sniffing deadline, so a silent client would hold its place for ever.

mod attended;
mod begins;
mod descriptors;
mod door;
mod drive;
mod frames;
mod held;
mod limits;
mod meter;
mod places;
mod refuse;
mod serve_one;
mod sockets;
mod source;

pub(crate) use descriptors::raise_limit;
pub(crate) use door::{Door, OverTls, PortService};
pub(crate) use limits::Limits;
pub(crate) use places::{Places, PlacesReport};
pub(crate) use sockets::{Port, SocketSettings, Sockets};
pub(crate) use source::AddressRange;

use places::Refusal;
use serve_one::Server;
use std::{future::Future, io, net::SocketAddr, os::fd::AsFd, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, yield_now},
    time::timeout,
};

/// Pause after an error of the system that is not about one connection.
const PAUSE: Duration = Duration::from_millis(10);

/// Connections that may wait to be accepted. Where there is no room the system drops their first packet, and a client sends it again
/// after a second; the standard library asks for 128.
const WAITING_MAX: i32 = 1024;

/// Makes room for [`WAITING_MAX`]; where the system refuses that, there is as much as there was.
fn lengthen_queue(listener: &impl AsFd) {
    let _ = rustix::net::listen(listener, WAITING_MAX);
}

/// Serves a port, as [`serve_connections`] does, on the thread that accepts for all of them.
pub(crate) fn serve_port(
    listener: std::net::TcpListener,
    service: PortService,
    stop: impl Future<Output = Duration> + Send + 'static,
) -> JoinHandle<()> {
    let workers = service.door.workers.clone();
    workers.spawn_accepting(async move {
        let number = service.port.number;
        // A socket belongs to the scheduler on whose thread it was made.
        let listening = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
        match listening {
            Ok(listener) => serve_connections(listener, service, stop).await,
            Err(error) => tracing::error!(port = number, error = %error, "the port is not served"),
        }
    })
}

/// Accepts connections until `stop` is done, then lets running requests finish. For as long as `stop` says, requests that are
/// on their way are answered too.
async fn serve_connections(
    listener: TcpListener,
    service: PortService,
    stop: impl Future<Output = Duration>,
) {
    lengthen_queue(&listener);
    let limits = service.door.limits;
    let (stopping, stopped) = watch::channel(Duration::ZERO);
    let server = Arc::new(Server::new(service));
    tokio::pin!(stop);
    let farewell = loop {
        tokio::select! {
            accepted = listener.accept() => {
                receive(&server, &listener, accepted, &stopped).await;
                // Whoever is served on this thread has his turn between two of a crowd.
                yield_now().await;
            }
            farewell = &mut stop => break farewell,
        }
    };
    // Who is in the queue already was not refused by anybody: he is served.
    while let Ok(accepted @ Ok(_)) = timeout(Duration::ZERO, listener.accept()).await {
        receive(&server, &listener, accepted, &stopped).await;
    }
    drop((listener, stopped));
    let _ = stopping.send(farewell);
    let time_max = farewell + limits.shutdown_time_max;
    if timeout(time_max, stopping.closed()).await.is_err() {
        tracing::warn!("connections were cut because their requests took too long to finish");
    }
}

/// Receives an accepted connection, or refuses it.
async fn receive(
    server: &Arc<Server>,
    listener: &TcpListener,
    accepted: io::Result<(TcpStream, SocketAddr)>,
    stopped: &watch::Receiver<Duration>,
) {
    let (stream, peer) = match accepted {
        Ok(accepted) => accepted,
        Err(error) if descriptors::are_used_up(&error) => return refuse_one(server, listener).await,
        // Whoever connected is gone again.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => return,
        Err(error) => {
            tracing::warn!(error = %error, "connection not accepted");
            return tokio::time::sleep(PAUSE).await;
        }
    };
    let Some(socket) = server.port.places.open_socket() else {
        server.port.places.count_refusal(Refusal::Places);
        return refuse::refuse_at_once(stream);
    };
    let (serving, stopped) = (Arc::clone(server), stopped.clone());
    tokio::spawn(async move { serving.receive(stream, peer, socket, stopped).await });
}

/// Says 503 to whoever is first in the queue: one that is told is better off than one that waits.
async fn refuse_one(server: &Server, listener: &TcpListener) {
    let spare = &server.door.sockets.spare;
    let refused = spare.accept_one(listener).await.map(refuse::refuse_at_once);
    spare.restore(listener);
    server.port.places.count_refusal(Refusal::Descriptors);
    if refused.is_none() {
        tracing::warn!("no file descriptor is left: raise the limit (ulimit -n), or connections wait");
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
pub(super) mod tests;

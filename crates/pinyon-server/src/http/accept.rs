//! The accept loop: bounded connections, a deadline for a connection's first bytes, TLS and plain text told apart by them,
//! and hyper with its own timers.
//! axum's own loop sets neither header timer nor sniffing deadline, so a silent client would hold its place for ever.

use super::{Workers, own_refusals::Explained};
use crate::{
    strangers::{Guarded, Strangers},
    tls::Tls,
};
use axum::{Router, http::Request, response::Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use std::{convert::Infallible, future::Future, io::Cursor, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt};

/// How long and how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once; more wait in the system's queue.
    pub(crate) connections_max: usize,
    /// Time for a connection's first bytes, and from one request's end to the end of the next one's headers.
    pub(crate) header_time_max: Duration,
    /// Time for a request's body.
    pub(crate) body_time_max: Duration,
    /// Time after which a silent HTTP/2 client is sent a ping, and time to answer it.
    pub(crate) ping_time_max: Duration,
    /// Time for which a client may leave what was sent to it unread.
    pub(crate) unread_time_max: Duration,
    /// Time that running requests get when the server stops.
    pub(crate) shutdown_time_max: Duration,
}

impl Limits {
    pub(crate) const fn server() -> Self {
        Self {
            connections_max: 1024,
            // Longer than clients with connection pools pause between requests, mostly: a close that crosses a request
            // on its way looks like a failure to them.
            header_time_max: Duration::from_secs(60),
            body_time_max: Duration::from_secs(30),
            ping_time_max: Duration::from_secs(20),
            unread_time_max: Duration::from_secs(60),
            shutdown_time_max: Duration::from_secs(10),
        }
    }
}

/// First bytes of HTTP/2 without negotiation (RFC 9113, 3.4). All of them are waited for: hyper waits for the rest of a
/// preface without a timer.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// First byte of a ClientHello: the record type of handshakes (RFC 8446, 5.1). No request of HTTP begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a port asks of a connection before HTTP. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) limits: Limits,
    /// Whether TLS is spoken too; plain text always is.
    pub(crate) tls: Option<Tls>,
    /// Who is refused by his request's head.
    pub(crate) strangers: Arc<Strangers>,
    /// Who speaks to it.
    pub(crate) workers: Workers,
}

/// Marks requests that came over TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OverTls;

/// Accepts connections until `stop` is done, then lets running requests finish.
pub(crate) async fn serve_connections(
    listener: TcpListener,
    router: Router,
    door: Door,
    stop: impl Future<Output = ()>,
) {
    let (limits, workers) = (door.limits, door.workers.clone());
    let router = Guarded::new(router, Arc::clone(&door.strangers));
    let server = Arc::new(Server { builder: connection_builder(limits), router, door });
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut stop => break,
        };
        let Some((stream, place)) = accepted else { continue };
        let (server, watcher) = (Arc::clone(&server), graceful.watcher());
        workers.spawn(async move {
            // A socket belongs to the scheduler on whose thread it was made.
            match TcpStream::from_std(stream) {
                Ok(stream) => server.serve_connection(stream, watcher).await,
                Err(error) => tracing::warn!(error = %error, "connection not served"),
            }
            drop(place);
        });
    }
    drop(listener);
    if timeout(limits.shutdown_time_max, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were cut because their requests took too long to finish");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(std::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await.and_then(|(stream, _)| stream.into_std()) {
        Ok(stream) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(error = %error, "connection not accepted");
            // Out of file descriptors, mostly: give connections time to end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

fn connection_builder(limits: Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time_max)
        // The longest URL that can be read, and room for the headers behind it.
        .max_buf_size(96 << 10)
        .max_headers(100);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.ping_time_max)
        .keep_alive_timeout(limits.ping_time_max)
        .max_concurrent_streams(256)
        .max_header_list_size(16 << 10)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    builder
}

/// What all connections of a port share.
struct Server {
    builder: auto::Builder<TokioExecutor>,
    router: Guarded<Router>,
    door: Door,
}

impl Server {
    async fn serve_connection(&self, stream: TcpStream, watcher: Watcher) {
        let limits = self.door.limits;
        let router = self.router.of_peer(stream.peer_addr().ok().map(|peer| peer.ip()));
        let begins = first_bytes(&stream, self.door.tls.is_some());
        let Ok(Some(begins)) = timeout(limits.header_time_max, begins).await else { return };
        let _ = stream.set_nodelay(true);
        // hyper has no timer for writes: a client that does not read would hold its place for ever.
        if let Err(error) = limit_unread(&stream, limits.unread_time_max) {
            tracing::warn!(error = %error, "no limit on unread answers");
        }
        if let (Begins::Tls, Some(tls)) = (begins, &self.door.tls) {
            return self.serve_tls(stream, tls, router, watcher).await;
        }
        match begins {
            Begins::Http2 => self.serve_http(stream, self.builder_of(true), router, watcher).await,
            _ => self.serve_http(Explained::new(stream), self.builder_of(false), router, watcher).await,
        }
    }

    fn builder_of(&self, is_http2: bool) -> auto::Builder<TokioExecutor> {
        let builder = self.builder.clone();
        if is_http2 { builder.http2_only() } else { builder.http1_only() }
    }

    /// Shakes hands, then speaks what was agreed on. A client that agreed on nothing speaks HTTP/1.1.
    async fn serve_tls(&self, stream: TcpStream, tls: &Tls, router: Guarded<Router>, watcher: Watcher) {
        let time_max = self.door.limits.header_time_max;
        let shaken = timeout(time_max, TlsAcceptor::from(tls.config()).accept(stream)).await;
        let mut stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(error = %error, "no TLS connection"),
            Err(_) => return,
        };
        let router = router.over_tls().map_request(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(OverTls);
            request
        });
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return self.serve_http(Explained::new(stream), self.builder_of(false), router, watcher).await;
        }
        // There is no peeking below TLS: the preface is taken, under the timer, and put in front again.
        let mut preface = [0; H2_PREFACE.len()];
        let Ok(Ok(_)) = timeout(time_max, stream.read_exact(&mut preface)).await else { return };
        let (reader, writer) = tokio::io::split(stream);
        let stream = tokio::io::join(Cursor::new(preface).chain(reader), writer);
        self.serve_http(stream, self.builder_of(true), router, watcher).await;
    }

    async fn serve_http<S, T>(
        &self,
        stream: T,
        builder: auto::Builder<TokioExecutor>,
        service: S,
        watcher: Watcher,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let service = TowerToHyperService::new(service);
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(error = %error, "connection ended early");
        }
    }
}

/// What a connection's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begins {
    Tls,
    Http2,
    Http1,
}

/// Looks at the first bytes without taking them; `None` when the connection ends before there are any.
async fn first_bytes(stream: &TcpStream, speaks_tls: bool) -> Option<Begins> {
    let mut first = [0; H2_PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await.ok()?;
        if seen == 0 {
            return None;
        }
        if speaks_tls && first.first() == Some(&TLS_HANDSHAKE) {
            return Some(Begins::Tls);
        }
        let is_preface = first.get(..seen)? == H2_PREFACE.get(..seen)?;
        if !is_preface || seen == first.len() {
            return Some(if is_preface { Begins::Http2 } else { Begins::Http1 });
        }
        // Some of the preface is there: wait for the rest without spinning on what was seen already.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// After this time with bytes that the client does not take, the system ends the connection (tcp(7), TCP_USER_TIMEOUT).
#[cfg(target_os = "linux")]
fn limit_unread(stream: &TcpStream, time_max: Duration) -> std::io::Result<()> {
    let millis = u32::try_from(time_max.as_millis()).unwrap_or(u32::MAX);
    Ok(rustix::net::sockopt::set_tcp_user_timeout(stream, millis)?)
}

/// Other systems have no such option.
#[cfg(not(target_os = "linux"))]
fn limit_unread(_stream: &TcpStream, _time_max: Duration) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;

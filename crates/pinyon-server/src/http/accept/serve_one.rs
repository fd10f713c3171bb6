//! One connection: its place, its protocol, and its life.

use super::{
    Door, Limits, OverTls, Port, PortService,
    attended::Attended,
    begins::{Begins, H2_PREFACE, first_bytes, is_flood},
    drive::{Driven, Speaks},
    held::{Ending, Held},
    meter::Meter,
    places::{Newcomer, Place, Probe, Socket},
    refuse::refuse,
    source::source_of,
};
use crate::{http::own_refusals::Explained, strangers::Guarded, tls::Tls};
use axum::{Router, http::Request, response::Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    convert::Infallible,
    io::Cursor,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::{Service, ServiceExt};

/// What all connections of a port share.
pub(super) struct Server {
    builder: auto::Builder<TokioExecutor>,
    router: Guarded<Router>,
    pub(super) door: Door,
    pub(super) port: Port,
}

/// Requests at once on a connection of HTTP/2; twice the places that a client's pool has, mostly.
const STREAMS_MAX: u32 = 128;
/// Bytes that a client may send before they are read: of one request, and of all on its connection. Bodies that wait to be
/// read are not charged yet, so this is what a connection can make the process hold beside its budget.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;
/// Bytes of a request's answer that wait for the client's window: one piece of a long one.
const SEND_BYTES_MAX: usize = 64 << 10;
/// Streams that were reset before they were looked at; with one more the connection ends (CVE-2023-44487).
const RESET_STREAMS_MAX: usize = 20;

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
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(16 << 10)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        // It would grow to 16 MiB for whoever answers pings quickly.
        .adaptive_window(false)
        .max_send_buf_size(SEND_BYTES_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX);
    builder
}

/// A connection on its way to hyper.
struct Guest {
    driven: Driven,
    from: IpAddr,
    stop: watch::Receiver<Duration>,
    /// Counted until it is closed.
    _socket: Socket,
}

impl Server {
    pub(super) fn new(service: PortService) -> Self {
        let PortService { router, door, port } = service;
        let router = Guarded::new(router, Arc::clone(&door.strangers));
        Self { builder: connection_builder(door.limits), router, door, port }
    }

    /// Gives a connection a place and serves it; without a place it waits for one, and is refused in the end.
    pub(super) async fn receive(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        socket: Socket,
        stop: watch::Receiver<Duration>,
    ) {
        let source = source_of(peer.ip(), &self.door.sockets.trusted);
        let newcomer = Newcomer { held: Arc::new(Held::new()), source, port: self.port.number };
        let guest = self.guest(&newcomer.held, peer.ip(), socket, stop);
        match self.port.places.take(&newcomer) {
            Ok(place) => self.serve(stream, guest, place).await,
            Err(refusal) => {
                if let Some(stream) = self.wait(stream, newcomer, guest).await {
                    self.port.places.count_refusal(refusal);
                    refuse(stream.0, stream.1).await;
                }
            }
        }
    }

    /// Waits in the lobby. Probes are served meanwhile; returns the stream if there was no place.
    async fn wait(
        self: &Arc<Self>,
        stream: TcpStream,
        newcomer: Newcomer,
        mut guest: Guest,
    ) -> Option<(TcpStream, Option<Begins>)> {
        let places = &self.port.places;
        let waiting = places.enter_lobby(&newcomer.held);
        let mut begins = None;
        let patience = sleep(self.door.limits.lobby_time_max);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                biased;
                _ = guest.driven.held.ended() => break,
                place = places.wait(&newcomer) => {
                    drop(waiting);
                    self.serve(stream, guest, place).await;
                    return None;
                }
                seen = first_bytes(&stream, self.door.tls.is_some()), if begins.is_none() => begins = Some(seen?),
                () = &mut patience => break,
                _ = guest.stop.changed() => break,
            }
            if begins == Some(Begins::Probe)
                && let Some(probe) = places.take_probe()
            {
                drop(waiting);
                self.hand_over(stream, move |server, stream| async move {
                    server.serve_probe(stream, guest, probe).await;
                });
                return None;
            }
        }
        Some((stream, begins))
    }

    /// Serves one request, in one of the places that only these have.
    async fn serve_probe(&self, stream: TcpStream, guest: Guest, probe: Probe) {
        guest.driven.held.set_closing();
        let time_max = self.door.limits.first_head_time_max;
        // Ended or not, its place is free.
        let _ = timeout(time_max, self.serve_http1(stream, self.router_for(&guest), guest)).await;
        drop(probe);
    }

    /// Waits for the first bytes, then lets a worker go on.
    async fn serve(self: &Arc<Self>, stream: TcpStream, mut guest: Guest, place: Place) {
        let begins = first_bytes(&stream, self.door.tls.is_some());
        let sniffed = async { timeout(self.door.limits.first_bytes_time_max, begins).await.ok().flatten() };
        let Some(begins) = guest.driven.unless_ended(&mut guest.stop, sniffed).await else { return };
        if begins == Begins::Http2 && is_flood(&stream).await {
            self.port.places.count_ending(Ending::Frames);
            return refuse(stream, Some(begins)).await;
        }
        self.hand_over(stream, move |server, stream| async move {
            server.speak(stream, begins, guest).await;
            drop(place);
        });
    }

    /// Goes on with a connection on a worker.
    fn hand_over<F: Future<Output = ()> + Send>(
        self: &Arc<Self>,
        stream: TcpStream,
        serve: impl FnOnce(Arc<Self>, TcpStream) -> F + Send + 'static,
    ) {
        let (server, stream) = (Arc::clone(self), stream.into_std());
        self.door.workers.spawn(async move {
            // A socket belongs to the scheduler on whose thread it was made.
            match stream.and_then(TcpStream::from_std) {
                Ok(stream) => serve(server, stream).await,
                Err(error) => tracing::warn!(error = %error, "connection not served"),
            }
        });
    }

    /// Speaks what the client began to speak, until the end.
    async fn speak(&self, stream: TcpStream, begins: Begins, guest: Guest) {
        let _ = stream.set_nodelay(true);
        // hyper has no timer for writes: a client that does not read would hold its place for ever.
        if let Err(error) = limit_unread(&stream, self.door.limits.unread_time_max) {
            tracing::warn!(error = %error, "no limit on unread answers");
        }
        match (begins, &self.door.tls) {
            (Begins::Tls, Some(tls)) => self.serve_tls(stream, tls, guest).await,
            (Begins::Http2, _) => self.serve_http2(stream, self.router_for(&guest), guest).await,
            _ => self.serve_http1(stream, self.router_for(&guest), guest).await,
        }
    }

    /// Shakes hands, then speaks what was agreed on. A client that agreed on nothing speaks HTTP/1.1.
    async fn serve_tls(&self, stream: TcpStream, tls: &Tls, mut guest: Guest) {
        let shaken = shake(stream, tls, &self.door.limits);
        let shaken = guest.driven.unless_ended(&mut guest.stop, shaken).await;
        let Some((stream, preface)) = shaken else { return };
        let router = self.router_for(&guest).over_tls().map_request(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(OverTls);
            request
        });
        let Some(preface) = preface else { return self.serve_http1(stream, router, guest).await };
        // There is no peeking below TLS: the preface was taken and is put in front again.
        let (reader, writer) = tokio::io::split(stream);
        let stream = tokio::io::join(Cursor::new(preface).chain(reader), writer);
        self.serve_http2(stream, router, guest).await;
    }

    async fn serve_http1<T, S>(&self, stream: T, service: S, guest: Guest)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
        S::Future: Unpin + Send,
    {
        let stream = Explained::new(Meter::http1(stream, Arc::clone(&guest.driven.held)));
        let connection = self.builder.clone().http1_only();
        let service = self.attended(service, &guest);
        let connection = connection.serve_connection(TokioIo::new(stream), service).into_owned();
        guest.driven.drive(connection, Speaks::Http1, guest.stop).await;
    }

    async fn serve_http2<T, S>(&self, stream: T, service: S, guest: Guest)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
        S::Future: Unpin + Send,
    {
        let stream = Meter::http2(stream, Arc::clone(&guest.driven.held));
        let connection = self.builder.clone().http2_only();
        let service = self.attended(service, &guest);
        let connection = connection.serve_connection(TokioIo::new(stream), service).into_owned();
        guest.driven.drive(connection, Speaks::Http2, guest.stop).await;
    }

    fn attended<S>(&self, service: S, guest: &Guest) -> Attended<S> {
        Attended { service, held: Arc::clone(&guest.driven.held), access: Arc::clone(&self.door.access) }
    }

    fn router_for(&self, guest: &Guest) -> Guarded<Router> {
        self.router.of_peer(Some(guest.from))
    }

    fn guest(
        &self,
        held: &Arc<Held>,
        from: IpAddr,
        socket: Socket,
        stop: watch::Receiver<Duration>,
    ) -> Guest {
        let (held, places) = (Arc::clone(held), Arc::clone(&self.port.places));
        Guest { driven: Driven { held, places, limits: self.door.limits }, from, stop, _socket: socket }
    }
}

/// The handshake of TLS and, where HTTP/2 was agreed on, the preface behind it.
async fn shake(
    stream: TcpStream,
    tls: &Tls,
    limits: &Limits,
) -> Option<(TlsStream<TcpStream>, Option<[u8; H2_PREFACE.len()]>)> {
    let shaken = timeout(limits.hello_time_max, TlsAcceptor::from(tls.config()).accept(stream));
    let mut stream = match shaken.await.ok()? {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(error = %error, "no TLS connection");
            return None;
        }
    };
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Some((stream, None));
    }
    let mut preface = [0; H2_PREFACE.len()];
    timeout(limits.first_head_time_max, stream.read_exact(&mut preface)).await.ok()?.ok()?;
    Some((stream, Some(preface)))
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

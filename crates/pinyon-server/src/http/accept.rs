//! The accept loop: bounded connections, a deadline for a connection's first bytes, and hyper with its own timers.
//! axum's own loop sets neither header timer nor sniffing deadline, so a silent client would hold its place for ever.

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

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

/// Accepts connections until `stop` is done, then lets running requests finish.
pub(crate) async fn serve_connections(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let builder = Arc::new(connection_builder(limits));
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut stop => break,
        };
        let Some((stream, place)) = accepted else { continue };
        let (builder, router, watcher) = (Arc::clone(&builder), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            serve_connection(stream, &builder, router, limits, watcher).await;
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
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
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
        .max_buf_size(64 << 10)
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

async fn serve_connection(
    stream: TcpStream,
    builder: &auto::Builder<TokioExecutor>,
    router: Router,
    limits: Limits,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let Ok(Some(is_http2)) = timeout(limits.header_time_max, speaks_http2(&stream)).await else { return };
    let _ = stream.set_nodelay(true);
    // hyper has no timer for writes: a client that does not read would hold its place for ever.
    if let Err(error) = limit_unread(&stream, limits.unread_time_max) {
        tracing::warn!(error = %error, "no limit on unread answers");
    }
    let builder = if is_http2 { builder.clone().http2_only() } else { builder.clone().http1_only() };
    let service = TowerToHyperService::new(router);
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error = %error, "connection ended early");
    }
}

/// Looks at the first bytes without taking them; `None` when the connection ends before there are any.
async fn speaks_http2(stream: &TcpStream) -> Option<bool> {
    let mut first = [0; H2_PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await.ok()?;
        if seen == 0 {
            return None;
        }
        let begins = first.get(..seen)? == H2_PREFACE.get(..seen)?;
        if !begins || seen == first.len() {
            return Some(begins);
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

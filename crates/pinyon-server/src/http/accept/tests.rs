//! Clients that are slow, silent or do not read: each is cut after its time, and the place it held is free again.

use super::{Limits, serve_connections};
use axum::{Router, routing::get};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::Instant,
};

const HEADER_TIME: Duration = Duration::from_millis(300);

const LIMITS: Limits = Limits {
    connections_max: 1,
    header_time_max: HEADER_TIME,
    body_time_max: HEADER_TIME,
    ping_time_max: HEADER_TIME,
    unread_time_max: Duration::from_millis(300),
    shutdown_time_max: Duration::from_secs(1),
};

/// A server that has one place for a connection, until the sender is dropped.
async fn start() -> (SocketAddr, oneshot::Sender<()>) {
    let large = "x".repeat(32 << 20);
    let router = Router::new().route("/", get(|| async { "good" })).route("/large", get(|| async { large }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(serve_connections(listener, router, LIMITS, async { drop(stopped.await) }));
    (address, stop)
}

/// How long a server keeps a connection whose client sends this and nothing more.
async fn held(address: SocketAddr, sent: &[u8]) -> Duration {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut answer).await;
    began.elapsed()
}

async fn is_served(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.ends_with("good")
}

#[tokio::test]
async fn a_client_that_stops_half_way_is_cut_and_its_place_is_free() {
    let (address, _stop) = start().await;
    let beginnings: [&[u8]; 6] = [
        b"",
        b"PR",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-",
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    ];
    for beginning in beginnings {
        let held = tokio::time::timeout(Duration::from_secs(20), held(address, beginning)).await;
        let what = String::from_utf8_lossy(beginning).into_owned();
        let held = held.unwrap_or_else(|_| panic!("{what:?} holds its place for ever"));
        println!("{what:?} held {held:?}");
        assert!(held >= HEADER_TIME / 2, "{what:?} was cut after {held:?}");
        assert!(held < Duration::from_secs(5), "{what:?} was cut only after {held:?}");
        assert!(is_served(address).await);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut() {
    let (address, _stop) = start().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let served = tokio::time::timeout(Duration::from_secs(20), is_served(address)).await;
    assert_eq!(served, Ok(true));
    drop(stream);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_408() {
    let dir = std::env::temp_dir().join(format!("pinyon-server-{}-slow-body", std::process::id()));
    let settings = pinyon_core::EngineSettings::offline(1, 16).unwrap();
    let listeners = Arc::new(crate::http::Listeners::new([127, 0, 0, 1].into(), 0, LIMITS));
    let indexes = Arc::new(pinyon_core::Indexes::open(&dir, settings, "tenants", |_| 0).unwrap());
    let hosts = crate::pinecone::Hosts::new(crate::pinecone::HostFormat::Auto, None);
    let app = crate::http::App::new(indexes, listeners, hosts, crate::KeyRing::default(), LIMITS);
    let router = crate::http::router(app);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_connections(listener, router, LIMITS, std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let half = b"POST /query HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"query_text\":";
    stream.write_all(half).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("did not arrive within"), "{answer}");
    std::fs::remove_dir_all(&dir).unwrap();
}

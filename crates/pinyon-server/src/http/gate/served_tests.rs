//! What clients see of a gate that is shut, over real connections.

use super::*;
use crate::http::{
    App, Door, Limits, Listeners,
    accept::tests::{door, service},
    router, serve_port,
};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than any answer takes, and shorter than bodies are waited for.
const SOON: Duration = Duration::from_secs(10);

async fn start(name: &str, gate: Arc<Gate>) -> (SocketAddr, PathBuf) {
    let (address, dir, _) = start_behind(door(), name, gate).await;
    (address, dir)
}

pub(super) async fn start_behind(
    door: Door,
    name: &str,
    gate: Arc<Gate>,
) -> (SocketAddr, PathBuf, Arc<pinyon_core::Indexes>) {
    let dir = std::env::temp_dir().join(format!("pinyon-server-{}-{name}", std::process::id()));
    let settings = pinyon_core::EngineSettings::offline(1, 16).unwrap();
    let listeners = Arc::new(Listeners::new([127, 0, 0, 1].into(), 0));
    let indexes = Arc::new(pinyon_core::Indexes::open(&dir, settings, "tenants", |_| 0).unwrap());
    let hosts = crate::pinecone::Hosts::new(crate::pinecone::HostFormat::Auto, None, None);
    let door = Door { limits: Limits::server(), ..door };
    let filter = crate::pinecone::StatsFilter::Deny;
    let app = App::new(Arc::clone(&indexes), listeners, hosts, filter, door.clone(), gate);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    serve_port(listener, service(door, router(app)), std::future::pending());
    (address, dir, indexes)
}

/// The head of a request with a body of so many bytes.
fn head(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n")
}

pub(super) fn whole(path: &str, body: &str) -> String {
    head(path, body.len()) + body
}

pub(super) async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// One answer, which is short, as text; empty if the connection has ended.
pub(super) async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut bytes = [0; 4096];
    while !text.contains("\r\n\r\n") || text.ends_with("\r\n\r\n") {
        let read = timeout(SOON, stream.read(&mut bytes)).await.unwrap().unwrap();
        if read == 0 {
            break;
        }
        text += std::str::from_utf8(&bytes[..read]).unwrap();
    }
    text
}

const INGEST: &str = r#"{"tenant_id": "t", "documents": [{"id": "d", "text": "beer"}]}"#;
pub(super) const QUERY: &str = r#"{"tenant_id": "t", "query_text": "beer"}"#;

#[tokio::test]
async fn a_writer_without_a_place_is_refused_before_its_body_and_served_on_the_same_connection_later() {
    let gate = Gate::new(1 << 20);
    let (address, dir) = start("shut-gate", Arc::clone(&gate)).await;
    let writers: Vec<_> = std::iter::from_fn(|| gate.enter(Purpose::Write, None).ok()).collect();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // One byte of the body is there; the answer does not wait for the others.
    send(&mut stream, &(head("/ingest", 100) + "{")).await;
    let refusal = answer(&mut stream).await;
    assert!(refusal.starts_with("HTTP/1.1 429") && refusal.contains("retry-after: 1\r\n"), "{refusal}");
    assert!(refusal.contains("RESOURCE_EXHAUSTED") && !refusal.contains("connection: close"), "{refusal}");
    send(&mut stream, &" ".repeat(99)).await;
    // Reads have places of their own.
    let mut reader = TcpStream::connect(address).await.unwrap();
    send(&mut reader, &whole("/query", QUERY)).await;
    assert!(answer(&mut reader).await.starts_with("HTTP/1.1 200"));
    drop(writers);
    send(&mut stream, &whole("/ingest", INGEST)).await;
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!((gate.writers.free(), gate.bytes.free()), (WRITERS_MAX, 1 << 20));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn behind_a_refused_body_that_is_long_the_connection_ends_without_a_reset() {
    let gate = Gate::new(16 << 20);
    let (address, dir) = start("long-refused", Arc::clone(&gate)).await;
    let _writers: Vec<_> = std::iter::from_fn(|| gate.enter(Purpose::Write, None).ok()).collect();
    let mut stream = TcpStream::connect(address).await.unwrap();
    send(&mut stream, &head("/ingest", 1 << 20)).await;
    // As much as lies in the buffers between the two when the refusal is written.
    send(&mut stream, &" ".repeat(64 << 10)).await;
    let refusal = answer(&mut stream).await;
    assert!(refusal.starts_with("HTTP/1.1 429") && refusal.contains("connection: close\r\n"), "{refusal}");
    assert_eq!(answer(&mut stream).await, "");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn a_silent_body_gives_its_place_up_and_its_bytes_with_its_connection() {
    let gate = Gate::new(1 << 20);
    let (address, dir) = start("silent-body", Arc::clone(&gate)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    send(&mut stream, &(head("/ingest", INGEST.len()) + &INGEST[..10])).await;
    let until = |is_so: fn(&Gate) -> bool| {
        let gate = Arc::clone(&gate);
        async move {
            while !is_so(&gate) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    timeout(SOON, until(|gate| gate.writers.free() < WRITERS_MAX)).await.unwrap();
    timeout(SOON, until(|gate| gate.writers.free() == WRITERS_MAX)).await.unwrap();
    assert_eq!(gate.bytes.free(), (1 << 20) - 10 * WRITE_FACTOR);
    // It comes in the end and is served.
    send(&mut stream, &INGEST[10..]).await;
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(gate.bytes.free(), 1 << 20);
    send(&mut stream, &(head("/ingest", 100) + "{")).await;
    timeout(SOON, until(|gate| gate.bytes.free() < 1 << 20)).await.unwrap();
    drop(stream);
    timeout(SOON, until(|gate| gate.bytes.free() == 1 << 20)).await.unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}

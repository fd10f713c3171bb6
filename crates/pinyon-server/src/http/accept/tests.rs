//! Clients that are slow, silent or do not read: each is cut after its time, and the place it held is free again.

use super::{Door, Limits, Port, PortService, SocketSettings, Sockets, serve_connections, serve_port};
use crate::{
    KeyRing,
    auth::{Access, KeySource},
    http::Workers,
    strangers::{Allowed, Reached, Rules, Strangers},
    tls::{Tls, TlsSettings},
};
use axum::{Router, routing::get};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::Instant,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

mod floods;
mod short_of_places;
mod stops;

/// Places of a server under test.
const PLACES: usize = 2;

const HEADER_TIME: Duration = Duration::from_millis(300);

const LIMITS: Limits = Limits {
    first_bytes_time_max: HEADER_TIME,
    hello_time_max: HEADER_TIME,
    first_head_time_max: HEADER_TIME,
    header_time_max: HEADER_TIME,
    body_time_max: HEADER_TIME,
    ping_time_max: HEADER_TIME,
    new_idle_time_max: HEADER_TIME,
    idle_time_max: Duration::from_secs(1),
    unread_time_max: Duration::from_millis(300),
    lobby_time_max: Duration::from_millis(500),
    goaway_time_max: Duration::from_millis(100),
    farewell_time_max: Duration::from_millis(200),
    shutdown_time_max: Duration::from_secs(1),
};

#[test]
fn many_connections_wait_in_line_while_nobody_accepts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    super::lengthen_queue(&listener);
    let address = listener.local_addr().unwrap();
    // A dropped packet is sent again after a second.
    let connect = |_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(500)).unwrap();
    let waiting: Vec<_> = (0..600).map(connect).collect();
    assert_eq!(waiting.len(), 600);
}

/// A door without TLS or keys.
pub(in crate::http) fn door() -> Door {
    let listen = [127, 0, 0, 1].into();
    let reached = Reached { listen, advertised: None, is_keyless: true, needs_tls: false };
    let strangers = Arc::new(Strangers::new(Rules::new(reached, Allowed::default())));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = SocketSettings { connections_max: Some(PLACES), ..SocketSettings::default() };
    let sockets = Arc::new(Sockets::new(settings, None, &listener));
    let access = Arc::new(Access::new(KeyRing::default(), KeySource::default()));
    Door { limits: LIMITS, tls: None, strangers, workers: Workers::start().unwrap(), access, sockets }
}

/// What a control port of this door serves.
pub(in crate::http) fn service(door: Door, router: Router) -> PortService {
    let port = Port { places: Arc::clone(&door.sockets.control), number: 0 };
    PortService { router, door, port }
}

/// A door with a certificate of an authority that nobody but this test knows.
fn tls_door(dir: &Path) -> Door {
    let tls = Tls::open(&TlsSettings::Local, &dir.join("tls"), vec!["localhost".into()]).unwrap();
    Door { tls, ..door() }
}

/// A server that has two places for connections, until the sender is dropped.
async fn start(door: Door) -> (SocketAddr, oneshot::Sender<()>) {
    let large = "x".repeat(32 << 20);
    let router = Router::new().route("/", get(|| async { "good" })).route("/large", get(|| async { large }));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    serve_port(listener, service(door, router), async {
        let _ = stopped.await;
        LIMITS.farewell_time_max
    });
    (address, stop)
}

/// How long a server keeps a connection whose client sends this and nothing more.
async fn held(address: SocketAddr, sent: &[u8]) -> Duration {
    held_by(TcpStream::connect(address).await.unwrap(), sent).await
}

async fn held_by(mut stream: impl AsyncRead + AsyncWrite + Unpin, sent: &[u8]) -> Duration {
    let began = Instant::now();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut answer).await;
    began.elapsed()
}

async fn is_served(address: SocketAddr) -> bool {
    is_good(TcpStream::connect(address).await.unwrap()).await
}

async fn is_good(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> bool {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.ends_with("good")
}

#[tokio::test]
async fn a_client_that_stops_half_way_is_cut_and_its_place_is_free() {
    let (address, _stop) = start(door()).await;
    let beginnings: [&[u8]; 6] = [
        b"",
        b"PR",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx-",
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
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

/// A handshake with a server whose authority is in this directory.
async fn shake(address: SocketAddr, dir: &Path, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("tls/ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = versions.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn tls_and_plain_text_are_told_apart_and_half_a_handshake_is_cut() {
    let dir = std::env::temp_dir().join(format!("pinyon-server-{}-tls", std::process::id()));
    let (address, _stop) = start(tls_door(&dir)).await;
    assert!(is_served(address).await);
    assert!(is_good(shake(address, &dir, b"http/1.1").await.unwrap()).await);
    // A record of 512 bytes with a ClientHello is announced; ten of them come.
    let half_a_hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 10]].concat();
    for beginning in [&half_a_hello[..1], &half_a_hello] {
        assert_cut(held(address, beginning), address).await;
    }
    for (protocol, beginning) in [("http/1.1", ""), ("http/1.1", "GET / HT"), ("h2", ""), ("h2", "PRI * HT")]
    {
        let stream = shake(address, &dir, protocol.as_bytes()).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
        assert_cut(held_by(stream, beginning.as_bytes()), address).await;
    }
    assert!(shake(address, &dir, b"spdy").await.is_err());
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The connection ends after its time, not before, and its place is free.
async fn assert_cut(held: impl Future<Output = Duration>, address: SocketAddr) {
    let held = tokio::time::timeout(Duration::from_secs(20), held).await.unwrap();
    assert!(held >= HEADER_TIME / 2 && held < Duration::from_secs(5), "cut after {held:?}");
    assert!(is_served(address).await);
}

#[tokio::test]
async fn without_tls_a_handshake_is_a_bad_request() {
    let (address, _stop) = start(door()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut() {
    let (address, _stop) = start(door()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let served = tokio::time::timeout(Duration::from_secs(20), is_served(address)).await;
    assert_eq!(served, Ok(true));
    drop(stream);
}

/// A window of 0 lets no piece of an answer be sent, and the client says nothing that would end it.
#[tokio::test]
async fn an_http2_client_that_takes_no_piece_of_its_answer_is_cut() {
    let (address, _stop) = start(door()).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) =
        h2::client::Builder::new().initial_window_size(0).handshake::<_, &[u8]>(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = axum::http::Request::get("http://localhost/large").body(()).unwrap();
    let began = Instant::now();
    let response = client.send_request(request, true).unwrap().0.await.unwrap();
    assert_eq!(response.status(), 200);
    let _ = tokio::time::timeout(Duration::from_secs(20), connection).await.unwrap();
    assert!(began.elapsed() >= LIMITS.unread_time_max, "{:?}", began.elapsed());
    assert!(is_served(address).await);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_408() {
    let dir = std::env::temp_dir().join(format!("pinyon-server-{}-slow-body", std::process::id()));
    let settings = pinyon_core::EngineSettings::offline(1, 16).unwrap();
    let listeners = Arc::new(crate::http::Listeners::new([127, 0, 0, 1].into(), 0));
    let indexes = Arc::new(pinyon_core::Indexes::open(&dir, settings, "tenants", |_| 0).unwrap());
    let hosts = crate::pinecone::Hosts::new(crate::pinecone::HostFormat::Auto, None, None);
    let app = crate::http::App::new(
        indexes,
        listeners,
        hosts,
        crate::pinecone::StatsFilter::Deny,
        door(),
        crate::http::Gate::new(1 << 20),
    );
    let router = crate::http::router(app);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_connections(listener, service(door(), router), std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let half = b"POST /query HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{\"query_text\":";
    stream.write_all(half).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("did not arrive within"), "{answer}");
    std::fs::remove_dir_all(&dir).unwrap();
}

//! Ports whose places are all taken.

use super::*;
use crate::{KeyRing, http::accept::held::Class};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server all of whose places are taken by requests for `/slow`. They are answered once the sender is dropped.
async fn start_full(door: Door) -> (SocketAddr, tokio::sync::watch::Sender<()>, Vec<TcpStream>) {
    let (finish, wait) = tokio::sync::watch::channel(());
    let (begins, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let slow = move || {
        let (mut wait, begins) = (wait.clone(), begins.clone());
        async move {
            begins.send(()).unwrap();
            let _ = wait.changed().await;
            "slow"
        }
    };
    let router = Router::new()
        .route("/", get(|| async { "good" }))
        .route("/livez", get(|| async { "ok" }))
        .route("/slow", get(slow));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_connections(listener, service(door, router), std::future::pending()));
    let mut running = Vec::new();
    for _ in 0..PLACES {
        running
            .push(ask(address, b"GET /slow HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await);
        begun.recv().await.unwrap();
    }
    (address, finish, running)
}

async fn ask(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn silent_connections_make_room_for_ones_that_ask() {
    let (address, _stop) = start(door()).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(address).await.unwrap());
        assert!(timeout(HEADER_TIME, is_served(address)).await.unwrap(), "nobody waits for a silent one");
    }
}

#[tokio::test]
async fn beside_running_requests_probes_are_served_and_others_get_503_or_the_next_place() {
    let door = door();
    let places = Arc::clone(&door.sockets.control);
    let (address, finish, running) = start_full(door).await;
    let refused = answer(ask(address, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    assert!(refused.contains("no place for another connection"), "{refused}");
    for _ in 0..20 {
        let probe = answer(ask(address, b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await).await;
        assert!(probe.starts_with("HTTP/1.1 200 ") && probe.contains("\r\nconnection: close\r\n"), "{probe}");
        assert!(probe.ends_with("ok"), "{probe}");
    }
    let waits = ask(address, b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    drop(finish);
    assert!(answer(waits).await.ends_with("good"), "who waits has the place that becomes free");
    for one in running {
        assert!(answer(one).await.ends_with("slow"));
    }
    assert!(places.report().refused.iter().map(|(_, count)| count).sum::<u64>() >= 1);
}

#[tokio::test]
async fn http2_without_a_place_is_told_goaway() {
    let (address, _finish, _running) = start_full(door()).await;
    let mut stream = ask(address, super::super::begins::H2_PREFACE).await;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert_eq!((answer.len(), answer[3], answer[9 + 3], answer[25]), (26, 4, 7, 11), "{answer:?}");
}

#[tokio::test]
async fn places_come_back() {
    let door = door();
    let places = Arc::clone(&door.sockets.control);
    let (address, _stop) = start(door).await;
    for _ in 0..20 {
        assert!(is_served(address).await);
    }
    let all = async {
        while places.report().connections.iter().any(|(_, count)| *count > 0) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all).await.unwrap();
}

#[tokio::test]
async fn a_connection_is_admitted_by_its_key_or_by_success_where_none_is_asked_for() {
    for (key, header, path, expected) in [
        (None, "", "/", Class::Admitted),
        (None, "", "/nothing", Class::Refused),
        (Some("secret-one"), "", "/", Class::Refused),
        (Some("secret-one"), "api-key: secret-two\r\n", "/", Class::Refused),
        (Some("secret-one"), "authorization: Bearer secret-one\r\n", "/nothing", Class::Admitted),
    ] {
        let keys = KeyRing::of_texts(key.into_iter()).unwrap();
        let door = Door { access: Arc::new(Access::new(keys, KeySource::default())), ..door() };
        let places = Arc::clone(&door.sockets.control);
        let (address, _stop) = start(door).await;
        let mut stream =
            ask(address, format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{header}\r\n").as_bytes()).await;
        assert!(timeout(PATIENCE, stream.read(&mut [0; 4096])).await.unwrap().unwrap() > 0);
        let classes = places.report().connections;
        let expected = Class::ALL.map(|class| (class, usize::from(class == expected)));
        assert_eq!(classes, expected, "{key:?} {header:?} {path}");
    }
}

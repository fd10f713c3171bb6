//! More requests than there is room for: refused before their bodies are sent, fast, and without harm to those that are let
//! in. `PINYON_TEST_OVERLOAD=SECONDS` measures goodput with few and with ten times as many clients, and prints it.

use crate::server::{Server, scratch};
use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Places of requests that write.
const WRITERS: usize = 256;
const DIM: usize = 128;
const KEY: &str = "overload-key";

fn start(name: &str, environment: &[(&str, &str)]) -> (PathBuf, Server) {
    let dir = scratch(name);
    let server = Server::start_with(&dir, &["--vector-dimension", &DIM.to_string()], environment);
    (dir, server)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
    )
}

fn whole(path: &str, body: &str) -> Vec<u8> {
    format!("{}\r\n{body}", head(path, body.len())).into_bytes()
}

/// One answer: its status, its head, its body. Leaves the connection where the next one begins.
fn answer(stream: &mut TcpStream) -> std::io::Result<(u16, String, String)> {
    let mut seen = [0; 4096];
    let length = loop {
        let bytes = stream.peek(&mut seen)?;
        if let Some(at) = seen[..bytes].windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
        if bytes == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        assert!(bytes < seen.len(), "a head of 4 KiB");
        std::thread::sleep(Duration::from_millis(1));
    };
    let mut head = vec![0; length];
    stream.read_exact(&mut head)?;
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length =
        head.split_once("content-length: ").map_or("0", |(_, rest)| rest.split("\r\n").next().unwrap());
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body)?;
    Ok((head[9..12].parse().unwrap(), head, String::from_utf8(body).unwrap()))
}

fn ask(stream: &mut TcpStream, request: &[u8]) -> (u16, String, String) {
    stream.write_all(request).unwrap();
    answer(stream).unwrap()
}

/// Waits until a request is answered with 200.
fn until_served(server: &Server, request: &[u8]) {
    let until = Instant::now() + Duration::from_secs(20);
    while ask(&mut connect(server), request).0 != 200 {
        assert!(Instant::now() < until, "still refused");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn refusals_come_in_their_order_and_before_the_body() {
    let (dir, server) = start("overload-order", &[("PINYON_REQUESTS_MIB", "16"), ("PINYON_API_KEYS", KEY)]);
    let with_key = |path: &str, length: usize| format!("{}api-key: {KEY}\r\n\r\n", head(path, length));
    let huge = 6 << 20;
    // No byte of any of these bodies is sent.
    let (status, _, _) = ask(&mut connect(&server), format!("{}\r\n", head("/ingest", huge)).as_bytes());
    assert_eq!(status, 401);
    let (status, _, body) = ask(&mut connect(&server), with_key("/indexes/none/query", huge).as_bytes());
    assert!(status == 404 && body.contains("Index none not found"), "{status} {body}");
    let (status, head, body) = ask(&mut connect(&server), with_key("/ingest", huge).as_bytes());
    assert!(
        status == 413 && head.contains("connection: close") && body.contains("5592405 bytes"),
        "{head}{body}"
    );
    // A body that is nearly there holds its bytes.
    let mut holds = connect(&server);
    holds.write_all(with_key("/ingest", 5 << 20).as_bytes()).unwrap();
    holds.write_all(&vec![b' '; (5 << 20) - 1]).unwrap();
    let request = with_key("/ingest", 2 << 20);
    let until = Instant::now() + Duration::from_secs(20);
    let (head, body) = loop {
        assert!(Instant::now() < until, "bytes are not charged");
        let mut stream = connect(&server);
        stream.write_all(request.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        if let Ok((429, head, body)) = answer(&mut stream) {
            break (head, body);
        }
    };
    assert!(head.contains("retry-after: 1") && body.contains("REQUESTS_MIB"), "{head}{body}");
    let small = format!("{}api-key: {KEY}\r\n\r\n{{}}", self::head("/ingest", 2));
    assert_eq!(ask(&mut connect(&server), small.as_bytes()).0, 400);
    drop(holds);
    let body = r#"{"tenant_id": "t", "documents": [{"id": "d", "text": "beer"}]}"#;
    let padded = format!("{body}{}", " ".repeat(2 << 20));
    until_served(&server, format!("{}{padded}", with_key("/ingest", padded.len())).as_bytes());
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// What clients that try again at once get done.
#[derive(Debug, Default)]
struct Counts {
    served: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
}

fn run_client(server: &Server, request: &[u8], counts: &Counts, is_over: &AtomicBool) {
    let mut stream = connect(server);
    while !is_over.load(Ordering::Relaxed) {
        let answered = stream.write_all(request).and_then(|()| answer(&mut stream));
        let count = match &answered {
            Ok((200, ..)) => &counts.served,
            Ok((429, ..)) => &counts.refused,
            Ok((status, head, body)) => panic!("{status} {head} {body}"),
            Err(_) => &counts.broken,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if answered.is_err() {
            stream = connect(server);
        }
    }
}

/// Requests served, refused and broken a second.
fn goodput(
    server: &Server,
    clients: usize,
    seconds: u64,
    request: &(impl Fn(usize) -> Vec<u8> + Sync),
) -> [f64; 3] {
    let (counts, is_over) = (Counts::default(), AtomicBool::new(false));
    let mut elapsed = 1.0;
    std::thread::scope(|scope| {
        for client in 0..clients {
            let (counts, is_over) = (&counts, &is_over);
            scope.spawn(move || run_client(server, &request(client), counts, is_over));
        }
        std::thread::sleep(Duration::from_millis(500));
        let before =
            [&counts.served, &counts.refused, &counts.broken].map(|count| count.load(Ordering::Relaxed));
        let began = Instant::now();
        std::thread::sleep(Duration::from_secs(seconds));
        elapsed = began.elapsed().as_secs_f64();
        for (count, before) in [&counts.served, &counts.refused, &counts.broken].into_iter().zip(before) {
            count.fetch_sub(before, Ordering::Relaxed);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    [counts.served, counts.refused, counts.broken].map(|count| count.into_inner() as f64 / elapsed)
}

/// The address of an index's port.
fn upsert_to(index: &str) -> impl Fn(usize) -> Vec<u8> + Sync {
    let index = index.to_owned();
    move |client| {
        let values = vec!["0.125"; DIM].join(",");
        let vectors: Vec<String> =
            (0..20).map(|row| format!(r#"{{"id":"c{client}-{row}","values":[{values}]}}"#)).collect();
        let body = format!(r#"{{"namespace":"n{}","vectors":[{}]}}"#, client % 8, vectors.join(","));
        whole(&format!("/indexes/{index}/vectors/upsert"), &body)
    }
}

fn query_of(index: &str) -> impl Fn(usize) -> Vec<u8> + Sync {
    let index = index.to_owned();
    move |client| {
        let values = vec!["0.125"; DIM].join(",");
        let body = format!(r#"{{"namespace":"n{}","topK":10,"vector":[{values}]}}"#, client % 8);
        whole(&format!("/indexes/{index}/query"), &body)
    }
}

#[test]
fn goodput_under_overload() {
    let seconds: u64 = std::env::var("PINYON_TEST_OVERLOAD").map_or(1, |seconds| seconds.parse().unwrap());
    let is_whole = std::env::var_os("PINYON_TEST_OVERLOAD").is_some();
    let (few, many) = if is_whole { (40, 400) } else { (8, WRITERS + 64) };
    let (dir, server) = start("overload-goodput", &[]);
    let made = server.post(
        "/indexes",
        &serde_json::json!({"name": "o", "dimension": DIM, "metric": "cosine",
            "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}}}),
    );
    assert_eq!(made.unwrap().0, 201);
    let check = |what: &str, request: &(dyn Fn(usize) -> Vec<u8> + Sync)| {
        let [alone, ..] = goodput(&server, few, seconds, &request);
        let [crowded, refused, broken] = goodput(&server, many, seconds, &request);
        println!(
            "{what}: {alone:.0}/s with {few} clients; {crowded:.0}/s with {many}, {refused:.0} refused/s, {broken:.1} broken/s"
        );
        assert!(broken == 0.0, "{what}: {broken} connections a second broke");
        // Counts, not speed, where other tests run beside: work goes on, and refusals are rarer than a client that tries
        // again at once would have them.
        assert!(crowded > 0.0 && refused < many as f64 * 30.0, "{what}: {crowded} {refused}");
        if is_whole {
            assert!(crowded >= alone * 0.9, "{what}: goodput falls from {alone} to {crowded}");
        }
    };
    check("upserts of 20 x 128", &upsert_to("o"));
    check("queries", &query_of("o"));
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

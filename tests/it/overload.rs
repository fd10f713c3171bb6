//! More requests than there is room for: refused before their bodies are sent, fast, and without harm to those that are let
//! in. `PINYON_TEST_OVERLOAD=SECONDS` measures goodput with few and with ten times as many clients, and prints it: to be run with
//! `--release`, or the clients are what is measured.

use crate::{
    elsewhere::be_elsewhere,
    server::{Server, scratch},
};
use std::{
    convert::Infallible,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};

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

/// Asks over and over; a client is no thread, because as many of these as clients would be what is measured.
async fn run_client(address: String, request: Vec<u8>, counts: Arc<Counts>) {
    loop {
        let Err(error) = ask_over_one(&address, &request, &counts).await;
        println!("a connection broke: {error}");
        counts.broken.fetch_add(1, Ordering::Relaxed);
    }
}

/// Asks over one connection until that breaks, or is answered what it should not be.
async fn ask_over_one(address: &str, request: &[u8], counts: &Counts) -> std::io::Result<Infallible> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufStream::new(stream);
    loop {
        match ask_again(&mut stream, request).await? {
            200 => counts.served.fetch_add(1, Ordering::Relaxed),
            429 => counts.refused.fetch_add(1, Ordering::Relaxed),
            status => return Err(std::io::Error::other(format!("status {status}"))),
        };
    }
}

/// The status of the answer to a request, which is read to its end.
async fn ask_again(stream: &mut BufStream<tokio::net::TcpStream>, request: &[u8]) -> std::io::Result<u16> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let (mut line, mut status, mut length) = (String::new(), None, 0);
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        status = status.or_else(|| line.split(' ').nth(1)?.parse().ok());
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.trim_end().parse().unwrap();
        }
    }
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(status.unwrap())
}

/// Requests served, refused and broken a second.
fn goodput(server: &Server, clients: usize, seconds: u64, request: &dyn Fn(usize) -> Vec<u8>) -> [f64; 3] {
    let counts = Arc::new(Counts::default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .on_thread_start(be_elsewhere)
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let address = server.url.trim_start_matches("http://");
    for client in 0..clients {
        runtime.spawn(run_client(address.to_owned(), request(client), Arc::clone(&counts)));
    }
    let now =
        || [&counts.served, &counts.refused, &counts.broken].map(|one| one.load(Ordering::Relaxed) as f64);
    std::thread::sleep(Duration::from_millis(500));
    let (before, began) = (now(), Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    let (after, elapsed) = (now(), began.elapsed().as_secs_f64());
    runtime.shutdown_timeout(Duration::from_secs(10));
    let [served, refused] = [0, 1].map(|at| (after[at] - before[at]) / elapsed);
    // From the first moment on.
    [served, refused, after[2] / elapsed]
}

/// The address of an index's port.
fn upsert_to(index: &str) -> impl Fn(usize) -> Vec<u8> {
    let index = index.to_owned();
    move |client| {
        let values = vec!["0.125"; DIM].join(",");
        let vectors: Vec<String> =
            (0..20).map(|row| format!(r#"{{"id":"c{client}-{row}","values":[{values}]}}"#)).collect();
        let body = format!(r#"{{"namespace":"n{}","vectors":[{}]}}"#, client % 8, vectors.join(","));
        whole(&format!("/indexes/{index}/vectors/upsert"), &body)
    }
}

fn query_of(index: &str) -> impl Fn(usize) -> Vec<u8> {
    let index = index.to_owned();
    move |client| {
        let values = vec!["0.125"; DIM].join(",");
        let body = format!(r#"{{"namespace":"n{}","topK":10,"vector":[{values}]}}"#, client % 8);
        whole(&format!("/indexes/{index}/query"), &body)
    }
}

/// What few clients get done, and what many do, are refused and lose, a second, measured in turn.
fn compare(rounds: u32, few: &dyn Fn() -> [f64; 3], many: &dyn Fn() -> [f64; 3]) -> [f64; 4] {
    if rounds > 1 {
        // The first records meet an empty index: afterwards there are merges to do.
        few();
    }
    let mut sums = [0.0; 4];
    for _ in 0..rounds {
        let ([alone, ..], [crowded, refused, broken]) = (few(), many());
        for (sum, one) in sums.iter_mut().zip([alone, crowded, refused, broken]) {
            *sum += one / f64::from(rounds);
        }
    }
    sums
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
    let check = |what: &str, request: &dyn Fn(usize) -> Vec<u8>| {
        let rounds = if is_whole { 3 } else { 1 };
        let measure = |clients| goodput(&server, clients, seconds, request);
        let [alone, crowded, refused, broken] = compare(rounds, &|| measure(few), &|| measure(many));
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

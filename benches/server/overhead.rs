//! What a query costs the server beside the search: CPU time of the real binary per query of 1536 components, over REST and
//! over gRPC, in an index of one record. Prints one JSON line a case with the median of the rounds and all of them.
//!
//! Each is measured twice: with one query in flight, where the server falls asleep and is woken for every one of them, and with
//! sixteen on as many connections, as under load.
//!
//! What the search itself takes is measured in this process, in an engine of the same one record, and is told apart.
//!
//! CPU time is read from `/proc`, in steps of 10 ms: a round is long enough for that to be below one in a hundred.

use pinyon_benches::report as lines;
use pinyon_core::{Change, Engine, EngineSettings, RecordQuery};
use pinyon_types::{Metadata, Record, RecordId, SeededRng, TopK};
use pinyon_wire::grpc::{QueryRequest, QueryResponse};
use prost::Message;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Instant,
};

const DIM: usize = 1536;
const QUERIES: usize = 20_000;
const ROUNDS: usize = 5;
/// Queries in flight at once, each on a connection of its own.
const IN_FLIGHT: [usize; 2] = [1, 16];
/// Ticks of CPU time in a second, as Linux counts them for programs.
const TICKS: f64 = 100.0;

struct Server {
    child: Child,
    control: String,
    data_dir: PathBuf,
    search_us: f64,
}

impl Server {
    fn start() -> Self {
        let bench = std::env::current_exe().expect("a bench knows where it is");
        let target = bench.ancestors().nth(2).expect("benches lie below target/release/deps").to_owned();
        let build = ["build", "--quiet", "--release", "--package", "pinyon-cli", "--bin", "pinyon"];
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        assert!(Command::new(cargo).args(build).status().is_ok_and(|status| status.success()));
        let data_dir = std::env::temp_dir().join(format!("pinyon-overhead-{}", std::process::id()));
        let mut child = Command::new(target.join("pinyon"))
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data_dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("it was asked for");
        BufReader::new(output).read_line(&mut line).expect("the server says where it is");
        let said: serde_json::Value = serde_json::from_str(&line).expect("in JSON");
        let control =
            said["url"].as_str().expect("with its address").trim_start_matches("http://").to_owned();
        Self { child, control, data_dir, search_us: search_us() }
    }

    /// CPU time so far, in seconds: fields 14 and 15 of proc_pid_stat(5).
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux");
        let (_, fields) = stat.rsplit_once(") ").expect("the name ends");
        let field = |at: usize| fields.split(' ').nth(at).and_then(|ticks| ticks.parse().ok()).unwrap_or(0.0);
        (field(11) + field(12)) / TICKS
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data_dir);
    }
}

/// One connection, kept.
struct Rest {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Rest {
    fn connect(host: &str) -> Self {
        let stream = TcpStream::connect(host).expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream: BufReader::new(stream), host: host.to_owned() }
    }

    fn post(&mut self, path: &str, body: &str) -> serde_json::Value {
        self.send(path, body);
        self.receive()
    }

    fn send(&mut self, path: &str, body: &str) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all(&[head.as_bytes(), body.as_bytes()].concat()).expect("sent");
    }

    fn receive(&mut self) -> serde_json::Value {
        let (mut line, mut length) = (String::new(), 0);
        self.stream.read_line(&mut line).expect("a status");
        let is_good = line.contains(" 200 ") || line.contains(" 201 ");
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("a header");
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).expect("a body");
        assert!(is_good, "{}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).expect("JSON")
    }
}

fn vector(rng: &mut SeededRng) -> Vec<f32> {
    (0..DIM).map(|_| (rng.unit() - 0.5) as f32 / 10.0).collect()
}

/// Components as Python writes them: as doubles, with up to 17 digits.
fn json_query(rng: &mut SeededRng) -> String {
    let components: Vec<String> = vector(rng).iter().map(|one| f64::from(*one).to_string()).collect();
    format!(
        r#"{{"topK":10,"includeValues":false,"includeMetadata":true,"vector":[{}]}}"#,
        components.join(",")
    )
}

/// CPU time of the search alone, in microseconds a query.
fn search_us() -> f64 {
    let dir = std::env::temp_dir().join(format!("pinyon-overhead-search-{}", std::process::id()));
    let settings = EngineSettings::offline(4, DIM as u32).expect("the settings are good");
    let engine = Engine::open(&dir, settings).expect("the engine opens");
    let mut rng = SeededRng::new(1536);
    let record = Record {
        id: RecordId::new("a").expect("the id is good"),
        vector: pinyon_types::Vector::new(vector(&mut rng), engine.settings().dim)
            .expect("the vector is good"),
        sparse: None,
        metadata: Metadata::default(),
    };
    engine.write("t", Change::Upsert(vec![record])).expect("the write succeeds");
    let queries: Vec<Vec<f32>> = (0..200).map(|_| vector(&mut rng)).collect();
    let top_k = TopK::new(10).expect("so many may be asked for");
    let ask = || {
        for query in queries.iter().cycle().take(QUERIES) {
            let query = RecordQuery::dense(query.clone(), top_k);
            let found = engine.tenant("t").and_then(|tenant| tenant.query(query)).expect("an answer");
            assert_eq!(found.hits.len(), 1);
        }
    };
    ask();
    let began = Instant::now();
    ask();
    let took = began.elapsed().as_secs_f64() / QUERIES as f64 * 1e6;
    drop(engine);
    let _ = std::fs::remove_dir_all(&dir);
    took
}

fn report(case: &str, in_flight: usize, server: &Server, mut round: impl FnMut()) {
    round();
    let mut costs = Vec::new();
    let began = Instant::now();
    for _ in 0..ROUNDS {
        let before = server.cpu();
        round();
        costs.push((server.cpu() - before) / QUERIES as f64 * 1e6);
    }
    let wall = began.elapsed().as_secs_f64() / (ROUNDS * QUERIES) as f64 * 1e6;
    let mut sorted = costs.clone();
    sorted.sort_by(f64::total_cmp);
    lines::say(serde_json::json!({
        "bench": "overhead", "case": case, "in_flight": in_flight, "queries": QUERIES, "cpu_us_per_query": sorted[ROUNDS / 2],
        "cpu_us_beside_search": sorted[ROUNDS / 2] - server.search_us,
        "rounds": costs, "wall_us_per_query": wall,
    }));
}

fn rest(server: &Server, host: &str, in_flight: usize) {
    let mut rng = SeededRng::new(1536);
    let mut connections: Vec<Rest> = (0..in_flight).map(|_| Rest::connect(host)).collect();
    let bodies: Vec<String> = (0..200).map(|_| json_query(&mut rng)).collect();
    let mut bodies = bodies.iter().cycle();
    report("rest_query_1536", in_flight, server, || {
        for _ in 0..QUERIES / in_flight {
            for (connection, body) in connections.iter_mut().zip(&mut bodies) {
                connection.send("/query", body);
            }
            for connection in &mut connections {
                assert_eq!(connection.receive()["matches"][0]["id"], "a");
            }
        }
    });
}

/// One connection of HTTP/2 (RFC 9113) that knows enough of it to ask: a client that does more costs more than the server,
/// which then sleeps between queries.
struct Grpc {
    stream: BufReader<TcpStream>,
    /// The next request's number: odd ones are the client's.
    next: u32,
    headers: Vec<u8>,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header that is in no table, with a new name (RFC 7541, 6.2.2); both are shorter than 127 bytes.
fn header(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

impl Grpc {
    fn connect(host: &str) -> Self {
        let mut stream = TcpStream::connect(host).expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        let window = 0x7fff_0000_u32.to_be_bytes();
        let greeting = [frame(SETTINGS, 0, 0, &[]), frame(WINDOW_UPDATE, 0, 0, &window)].concat();
        stream
            .write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &greeting].concat())
            .expect("sent");
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/VectorService/Query"),
            (":authority", host),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "bench"),
        ];
        let headers = headers.into_iter().flat_map(|(name, value)| header(name, value)).collect();
        Self { stream: BufReader::new(stream), next: 1, headers }
    }

    fn send(&mut self, message: &[u8]) {
        let length = u32::try_from(message.len()).expect("a small message").to_be_bytes();
        let body = [&[0], length.as_slice(), message].concat();
        let request = [
            frame(HEADERS, END_HEADERS, self.next, &self.headers),
            frame(DATA, END_STREAM, self.next, &body),
        ];
        self.next += 2;
        self.stream.get_mut().write_all(&request.concat()).expect("sent");
    }

    /// The message of the one answer that is awaited.
    fn receive(&mut self) -> QueryResponse {
        let mut message = Vec::new();
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).expect("a frame");
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.stream.read_exact(&mut payload).expect("a whole frame");
            let (kind, flags) = (head[3], head[4]);
            match kind {
                SETTINGS | PING if flags & ACK == 0 => {
                    let echo = if kind == PING { payload.as_slice() } else { &[] };
                    self.stream.get_mut().write_all(&frame(kind, ACK, 0, echo)).expect("sent");
                }
                DATA => message.extend(payload),
                HEADERS if flags & END_STREAM != 0 => break,
                _ => {}
            }
        }
        QueryResponse::decode(message.get(5..).expect("a message")).expect("an answer")
    }
}

fn grpc(server: &Server, host: &str, in_flight: usize) {
    let mut rng = SeededRng::new(1536);
    let query = |rng: &mut SeededRng| {
        let query =
            QueryRequest { vector: vector(rng), top_k: 10, include_metadata: true, ..Default::default() };
        query.encode_to_vec()
    };
    let queries: Vec<Vec<u8>> = (0..200).map(|_| query(&mut rng)).collect();
    let mut queries = queries.iter().cycle();
    let mut connections: Vec<Grpc> = (0..in_flight).map(|_| Grpc::connect(host)).collect();
    report("grpc_query_1536", in_flight, server, || {
        for _ in 0..QUERIES / in_flight {
            for (connection, query) in connections.iter_mut().zip(&mut queries) {
                connection.send(query);
            }
            for connection in &mut connections {
                assert_eq!(connection.receive().matches[0].id, "a");
            }
        }
    });
}

/// An index of one record, and where it is served.
fn fill(server: &Server) -> String {
    let mut rng = SeededRng::new(1);
    let mut control = Rest::connect(&server.control);
    let spec = r#""spec":{"serverless":{"cloud":"aws","region":"us-east-1"}}"#;
    let made = control.post("/indexes", &format!(r#"{{"name":"overhead","dimension":{DIM},{spec}}}"#));
    let host = made["host"].as_str().expect("a host").trim_start_matches("http://").to_owned();
    let upsert = format!(r#"{{"vectors":[{{"id":"a","values":{:?}}}]}}"#, vector(&mut rng));
    Rest::connect(&host).post("/vectors/upsert", &upsert);
    host
}

fn main() {
    lines::begin();
    let server = Server::start();
    let host = fill(&server);
    // `-- 16` for one of them.
    let chosen: Option<usize> = std::env::args().find_map(|argument| argument.parse().ok());
    for in_flight in IN_FLIGHT.into_iter().filter(|one| chosen.is_none_or(|chosen| chosen == *one)) {
        rest(&server, &host, in_flight);
        grpc(&server, &host, in_flight);
    }
}

//! Hostile sockets beside good clients, from a seed (`PINYON_TEST_SEED`): good clients are answered, hostile connections
//! end, and their places come back. `PINYON_TEST_SOCKETS_MINUTES=N` runs 2,000 of them for so long and compares the good
//! client's latency with that of a server left alone, on a machine on which as many bother another one: what they send over the
//! loopback takes the machine's time whoever it is for.

mod good;
mod hostile;

use crate::{
    elsewhere::be_elsewhere,
    server::{Server, scratch},
};
use good::{Good, latencies};
use hostile::{Fates, Kind, Target, bother};
use serde_json::json;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Hostile clients of the whole run.
const HOSTILE: usize = 2_000;
/// Hostile clients of a kind in the gate.
const HOSTILE_OF_A_KIND: usize = 4;
/// Longer than the server's longest limit for connections that were never admitted, ten seconds.
const GATE_TIME: Duration = Duration::from_secs(13);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .on_thread_start(be_elsewhere)
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn filled(name: &str, environment: &[(&str, &str)]) -> (Server, std::path::PathBuf) {
    let dir = scratch(name);
    let server = Server::start_with(&dir, &["--vector-dimension", "16", "--tls", "local"], environment);
    let documents: Vec<_> = (0..50)
        .map(|number| json!({"id": format!("d{number}"), "text": format!("dark beer {number}")}))
        .collect();
    let body = json!({"tenant_id": "acme", "documents": documents});
    assert_eq!(server.post("/ingest", &body).unwrap().0, 200);
    (server, dir)
}

fn address(server: &Server) -> SocketAddr {
    server.url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// Waits until no connection is left but those of who asks.
fn assert_places_return(server: &Server) {
    let (began, mut left) = (Instant::now(), f64::MAX);
    while left > 1.0 {
        left = server.metric(&["pinyon_connections{ports=\"control\""]);
        assert!(began.elapsed() < Duration::from_secs(15), "{left} connections stay");
    }
}

/// Hostile clients by kind, until dropped.
struct Horde {
    fates: BTreeMap<String, Arc<Fates>>,
    tasks: JoinSet<()>,
}

impl Horde {
    /// To be called within a runtime.
    fn start(at: &Server, count: usize, seed: u64) -> Self {
        let (mut fates, mut tasks) = (BTreeMap::<String, Arc<Fates>>::new(), JoinSet::new());
        for number in 0..count {
            let kind = Kind::ALL[number % Kind::ALL.len()];
            let from = Ipv4Addr::new(127, 0, 0, 2 + (number / Kind::ALL.len() % 8) as u8);
            let target = Target { address: address(at), from };
            let fate = Arc::clone(fates.entry(format!("{kind:?}")).or_default());
            tasks.spawn(bother(kind, target, fate, seed + number as u64));
        }
        Self { fates, tasks }
    }

    fn report(&self) -> String {
        let of = |(kind, fates): (&String, &Arc<Fates>)| {
            let Fates { opened, told, ended } = &**fates;
            format!(
                "{kind}: {} opened, {} ended, {} GOAWAY",
                opened.load(Relaxed),
                ended.load(Relaxed),
                told.load(Relaxed)
            )
        };
        self.fates.iter().map(of).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn good_clients_are_answered_beside_every_kind_of_flood() {
    let seed = number("PINYON_TEST_SEED").unwrap_or(1);
    let (server, dir) = filled("sockets", &[]);
    let runtime = runtime();
    let mut horde =
        runtime.block_on(async { Horde::start(&server, HOSTILE_OF_A_KIND * Kind::ALL.len(), seed) });
    let good = Good::run(address(&server), GATE_TIME);
    println!("seed {seed}; {good:?}\n{}", horde.report());
    assert!(good.answered > 20 && good.failed == 0, "{good:?}");
    for kind in Kind::ALL.into_iter().filter(|kind| kind.ends_soon()) {
        let fates = &horde.fates[&format!("{kind:?}")];
        assert!(fates.ended.load(Relaxed) >= HOSTILE_OF_A_KIND as u64, "{kind:?} holds on: {fates:?}");
    }
    for kind in ["IdleHttp2", "Settings", "Ping", "Priority", "WindowUpdate", "Unknown"] {
        assert!(horde.fates[kind].told.load(Relaxed) > 0, "{kind} was not told GOAWAY");
    }
    assert!(server.metric(&["pinyon_connections_ended_total", "control", "reason=\"frames\""]) >= 5.0);
    runtime.block_on(horde.tasks.shutdown());
    assert_places_return(&server);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn more_silent_sockets_than_places_keep_nobody_out() {
    let (server, dir) = filled("sockets-few", &[("PINYON_CONNECTIONS_MAX", "32")]);
    let silent: Vec<_> = (0..300).map(|_| std::net::TcpStream::connect(address(&server)).unwrap()).collect();
    let good = Good::run(address(&server), Duration::from_secs(1));
    assert!(good.answered > 10 && good.failed == 0, "{good:?}");
    assert!(server.metric(&["pinyon_connections_ended_total", "control", "reason=\"evicted\""]) > 200.0);
    drop(silent);
    assert_places_return(&server);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn ports_answer_when_descriptors_run_out_and_serve_again_when_there_are_some() {
    let dir = scratch("sockets-descriptors");
    let server = Server::start_limited(&dir, 96);
    let silent: Vec<_> =
        (0..400).filter_map(|_| std::net::TcpStream::connect(address(&server)).ok()).collect();
    for _ in 0..20 {
        let began = Instant::now();
        let status = good::status(address(&server), "/health");
        assert!(matches!(status, Some(200 | 503)), "{status:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
    drop(silent);
    let began = Instant::now();
    while good::status(address(&server), "/health") != Some(200) {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not recover");
    }
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn health_and_metrics_have_a_port_of_their_own() {
    let dir = scratch("sockets-ops");
    let keys = [("PINYON_API_KEYS", "a-key-for-tests-1")];
    let server = Server::start_with(&dir, &["--ops-listen", "127.0.0.1:0"], &keys);
    let ops = server.ops.as_deref().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    for (path, expected) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/health", 200),
        ("/metrics", 401),
        ("/query", 401),
        ("/docs", 401),
    ] {
        assert_eq!(good::status(ops, path), Some(expected), "{path}");
    }
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The whole run, where it was asked for.
#[test]
fn latency_beside_two_thousand_hostile_sockets_is_that_of_a_server_that_they_spare() {
    let Some(minutes) = number("PINYON_TEST_SOCKETS_MINUTES") else { return };
    let seed = number("PINYON_TEST_SEED").unwrap_or(1);
    let (server, dir) = filled("sockets-whole", &[]);
    let elsewhere = std::thread::spawn(|| {
        be_elsewhere();
        filled("sockets-elsewhere", &[])
    });
    let (other, other_dir) = elsewhere.join().unwrap();
    let runtime = runtime();
    let alone = Good::run(address(&server), Duration::from_secs(30));
    println!("alone: {}", latencies(&alone));
    let mut horde = runtime.block_on(async { Horde::start(&other, HOSTILE, seed) });
    let spared = Good::run(address(&server), Duration::from_secs(60));
    println!("while {HOSTILE} hostile sockets bother another server: {}", latencies(&spared));
    runtime.block_on(horde.tasks.shutdown());
    drop(other);
    std::fs::remove_dir_all(&other_dir).unwrap();
    let most = 1.5 * spared.late().max(alone.late()).as_secs_f64();
    let mut horde = runtime.block_on(async { Horde::start(&server, HOSTILE, seed) });
    for minute in 1..=minutes {
        let beside = Good::run(address(&server), Duration::from_secs(60));
        println!("minute {minute} beside {HOSTILE} hostile sockets: {}", latencies(&beside));
        assert_eq!(beside.failed, 0, "{beside:?}");
        let late = beside.late().as_secs_f64();
        assert!(
            late <= most,
            "minute {minute}: a query in a hundred takes {late} s, at most {most} s was meant"
        );
    }
    println!("seed {seed}\n{}", horde.report());
    runtime.block_on(horde.tasks.shutdown());
    assert_places_return(&server);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

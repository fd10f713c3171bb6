//! The real binary killed at random moments under load. A client remembers what was acknowledged; after each kill the
//! data are opened and every acknowledged document must be there, whole, at the acknowledged version or the one that
//! was under way; a batch must be there as a whole or not at all.
//!
//! `PINYON_TEST_KILL_CYCLES=500 cargo test -p pinyon-tests --release kill` runs more cycles.

use crate::server::{Server, scratch};
use pinyon_core::{Engine, EngineSettings};
use pinyon_types::{MetadataValue, RecordId, SeededRng};
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const WRITERS: u64 = 4;
const BATCH: u64 = 10;
const DIMENSION: u32 = 64;

/// What a client knows of one batch of documents: the last version acknowledged, and the last one tried.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    acknowledged: u64,
    attempted: u64,
}

/// By tenant and batch. A batch's documents are always written together, with one version.
type Oracle = BTreeMap<(String, u64), Known>;

fn settings() -> EngineSettings {
    let mut settings = EngineSettings::offline(4, DIMENSION).unwrap();
    settings.shard_options.seal_bytes = 256 << 10;
    settings
}

fn cycles() -> u64 {
    let cycles = std::env::var("PINYON_TEST_KILL_CYCLES").ok();
    cycles.map_or(50, |cycles| cycles.parse().expect("PINYON_TEST_KILL_CYCLES is a number"))
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let dir = scratch("kill");
    let oracle = Mutex::new(Oracle::new());
    let (mut in_flight_at_kill, mut slowest_open) = (0, Duration::ZERO);
    for cycle in 0..cycles() {
        let dimension = DIMENSION.to_string();
        let mut server = Server::start(&dir, &["--vector-dimension", &dimension]);
        in_flight_at_kill += load_and_kill(&mut server, &oracle, cycle);
        slowest_open = slowest_open.max(check(&dir, &mut oracle.lock().unwrap(), cycle));
    }
    let oracle = oracle.into_inner().unwrap();
    let acknowledged: u64 = oracle.values().map(|known| known.acknowledged * BATCH).sum();
    println!(
        "{} cycles, {acknowledged} documents acknowledged in {} batches, 0 lost, {in_flight_at_kill} writes in flight at \
         the kills, slowest open {slowest_open:?}",
        cycles(),
        oracle.len()
    );
    // A kill that never met a write would prove nothing.
    assert!(in_flight_at_kill >= cycles() / 2, "only {in_flight_at_kill} writes were in flight");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Writes from several clients until the server is killed under them; returns how many writes were in flight then.
fn load_and_kill(server: &mut Server, oracle: &Mutex<Oracle>, cycle: u64) -> u64 {
    let in_flight = AtomicU64::new(0);
    let mut rng = SeededRng::new(cycle);
    let life = Duration::from_millis(20 + rng.below(230));
    let agent = server.agent().clone();
    let url = format!("{}/ingest", server.url);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (agent, url, in_flight) = (&agent, &url, &in_flight);
            scope.spawn(move || write_until_dead(agent, url, oracle, in_flight, cycle * WRITERS + writer));
        }
        std::thread::sleep(life);
        let at_kill = in_flight.load(Ordering::SeqCst);
        server.kill();
        at_kill
    })
}

fn write_until_dead(
    agent: &ureq::Agent,
    url: &str,
    oracle: &Mutex<Oracle>,
    in_flight: &AtomicU64,
    seed: u64,
) {
    let mut rng = SeededRng::new(seed);
    loop {
        // Writers keep to tenants of their own, so that versions of one batch have one order.
        let key = (format!("tenant-{}-{}", seed % WRITERS, rng.below(5)), rng.below(20));
        let version = {
            let mut oracle = oracle.lock().unwrap();
            let known = oracle.entry(key.clone()).or_default();
            known.attempted += 1;
            known.attempted
        };
        in_flight.fetch_add(1, Ordering::SeqCst);
        let sent = agent.post(url).header("content-type", "application/json").send(batch(&key, version));
        in_flight.fetch_sub(1, Ordering::SeqCst);
        match sent {
            Ok(response) if response.status() == 200 => {
                oracle.lock().unwrap().entry(key).or_default().acknowledged = version;
            }
            Ok(response) => panic!("the server refused a good write: {}", response.status()),
            Err(_) => return,
        }
    }
}

fn batch(key: &(String, u64), version: u64) -> String {
    let documents = (0..BATCH).map(|number| {
        json!({
            "id": format!("{}-{number}", key.1),
            "text": format!("document {number} of batch {} in version {version}", key.1),
            "metadata": {"version": version},
        })
    });
    json!({"tenant_id": key.0, "documents": documents.collect::<Vec<_>>()}).to_string()
}

/// Opens what the kill left and holds it against the oracle; returns how long opening took.
fn check(dir: &Path, oracle: &mut Oracle, cycle: u64) -> Duration {
    let started = Instant::now();
    let engine = Engine::open(dir, settings()).unwrap_or_else(|error| panic!("cycle {cycle}: {error}"));
    let opened = started.elapsed();
    assert!(engine.diagnose().findings.is_empty(), "cycle {cycle}: {:?}", engine.diagnose().findings);
    for (key, known) in oracle.iter_mut() {
        let found = versions(&engine, key);
        let context = format!("cycle {cycle}, {key:?}: found {found:?}, known {known:?}");
        let Some(first) = found.first().copied() else {
            assert_eq!(known.acknowledged, 0, "lost: {context}");
            continue;
        };
        assert!(
            found.len() as u64 == BATCH && found.iter().all(|version| *version == first),
            "half a batch: {context}"
        );
        assert!((known.acknowledged..=known.attempted).contains(&first), "wrong version: {context}");
        // What was found is durable now, whether it was acknowledged or not.
        known.acknowledged = first;
    }
    if cycle.is_multiple_of(2) {
        engine.close().unwrap();
    }
    opened
}

fn versions(engine: &Engine, key: &(String, u64)) -> Vec<u64> {
    let ids: Vec<RecordId> =
        (0..BATCH).map(|number| RecordId::new(&format!("{}-{number}", key.1)).unwrap()).collect();
    let stored = engine.fetch(&key.0, &ids).unwrap();
    let version = |metadata: &pinyon_types::Metadata| match metadata.get("version") {
        Some(MetadataValue::Number(version)) => *version as u64,
        other => panic!("a document without its version: {other:?}"),
    };
    stored.iter().map(|one| version(&one.record.metadata)).collect()
}

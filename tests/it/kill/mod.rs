//! The real binary killed at random moments under load. A client remembers what was acknowledged; after each kill the
//! data are opened and every acknowledged document must be there, whole, at the acknowledged version or the one that
//! was under way; a batch must be there as a whole or not at all.
//!
//! `PINYON_TEST_KILL_CYCLES=500 cargo test -p pinyon-tests --release kill -- --nocapture` runs more cycles;
//! `PINYON_TEST_KILL_DATA=FILE.jsonl` takes documents from a file.

mod corpus;

use crate::server::{Server, scratch};
use corpus::{Batch, Corpus};
use pinyon_core::{Engine, EngineSettings, TextQuery};
use pinyon_types::{MetadataValue, RecordId, SeededRng};
use std::{
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const WRITERS: usize = 4;

/// What a client knows of one batch of documents: the last version acknowledged, and the last one tried.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    acknowledged: u64,
    attempted: u64,
}

/// By batch.
type Oracle = Vec<Known>;

/// What the clients share.
struct Load<'a> {
    corpus: &'a Corpus,
    oracle: &'a Mutex<Oracle>,
    in_flight: &'a AtomicU64,
    documents_acknowledged: &'a AtomicU64,
}

fn settings(corpus: &Corpus) -> EngineSettings {
    let mut settings = EngineSettings::offline(4, corpus.dimension).unwrap();
    if !corpus.is_real {
        // Small batches of small vectors: let sealing and merging happen all the same.
        settings.shard_options.seal_bytes = 256 << 10;
    }
    settings
}

fn cycles() -> u64 {
    let cycles = std::env::var("PINYON_TEST_KILL_CYCLES").ok();
    cycles.map_or(50, |cycles| cycles.parse().expect("PINYON_TEST_KILL_CYCLES is a number"))
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let dir = scratch("kill");
    let corpus = Corpus::load();
    let oracle = Mutex::new(vec![Known::default(); corpus.batches.len()]);
    let (in_flight, documents_acknowledged) = (AtomicU64::new(0), AtomicU64::new(0));
    let load = Load {
        corpus: &corpus,
        oracle: &oracle,
        in_flight: &in_flight,
        documents_acknowledged: &documents_acknowledged,
    };
    let mut fresh = vec![0; WRITERS];
    let (mut in_flight_at_kill, mut slowest_answer) = (0, Duration::ZERO);
    for cycle in 0..cycles() {
        let dimension = corpus.dimension.to_string();
        let mut server = Server::start(&dir, &["--vector-dimension", &dimension]);
        in_flight_at_kill += load_and_kill(&mut server, &load, &mut fresh, cycle);
        slowest_answer = slowest_answer.max(check(&dir, &corpus, &mut oracle.lock().unwrap(), cycle));
    }
    let there = oracle.into_inner().unwrap();
    let there = corpus.batches.iter().zip(there).filter(|(_, known)| known.acknowledged > 0);
    println!(
        "{} cycles, {} documents acknowledged, 0 lost, {} of {} different ones there at the end, {in_flight_at_kill} \
         writes in flight at the kills, slowest open with first correct answer {slowest_answer:?}",
        cycles(),
        documents_acknowledged.into_inner(),
        there.map(|(batch, _)| batch.documents.len()).sum::<usize>(),
        corpus.documents(),
    );
    // A kill that never met a write would prove nothing.
    assert!(in_flight_at_kill >= cycles() / 2, "only {in_flight_at_kill} writes were in flight");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Writes from several clients until the server is killed under them; returns how many writes were in flight then.
fn load_and_kill(server: &mut Server, load: &Load<'_>, fresh: &mut [usize], cycle: u64) -> u64 {
    let mut rng = SeededRng::new(cycle);
    let life = Duration::from_millis(20 + rng.below(230));
    let agent = server.agent().clone();
    let url = format!("{}/ingest", server.url);
    std::thread::scope(|scope| {
        for (writer, fresh) in fresh.iter_mut().enumerate() {
            let (agent, url) = (&agent, &url);
            let mut rng = SeededRng::new(cycle * WRITERS as u64 + writer as u64);
            scope.spawn(move || {
                // Writers keep to batches of their own, so that versions of one batch have one order.
                let next = || load.corpus.next(WRITERS, writer, fresh, &mut rng);
                write_until_dead(agent, url, load, next);
            });
        }
        std::thread::sleep(life);
        let at_kill = load.in_flight.load(Ordering::SeqCst);
        server.kill();
        at_kill
    })
}

fn write_until_dead(agent: &ureq::Agent, url: &str, load: &Load<'_>, mut next: impl FnMut() -> usize) {
    loop {
        let number = next();
        let batch = &load.corpus.batches[number];
        let version = {
            let mut oracle = load.oracle.lock().unwrap();
            oracle[number].attempted += 1;
            oracle[number].attempted
        };
        let body = batch.body(version);
        load.in_flight.fetch_add(1, Ordering::SeqCst);
        let sent = agent.post(url).header("content-type", "application/json").send(body);
        load.in_flight.fetch_sub(1, Ordering::SeqCst);
        match sent {
            Ok(response) if response.status() == 200 => {
                load.oracle.lock().unwrap()[number].acknowledged = version;
                load.documents_acknowledged.fetch_add(batch.documents.len() as u64, Ordering::Relaxed);
            }
            Ok(response) => panic!("the server refused a good write: {}", response.status()),
            Err(_) => return,
        }
    }
}

/// Opens what the kill left and holds it against the oracle; returns how long it took to the first correct answer.
fn check(dir: &Path, corpus: &Corpus, oracle: &mut Oracle, cycle: u64) -> Duration {
    let started = Instant::now();
    let engine = Engine::open(dir, settings(corpus)).unwrap_or_else(|error| panic!("cycle {cycle}: {error}"));
    if corpus.is_real {
        ask_for_one(&engine, corpus, oracle, cycle);
    }
    let answered = started.elapsed();
    assert!(engine.diagnose().findings.is_empty(), "cycle {cycle}: {:?}", engine.diagnose().findings);
    for (batch, known) in corpus.batches.iter().zip(oracle.iter_mut()) {
        let found = versions(&engine, batch);
        let context = || {
            let (tenant, first) = (&batch.tenant, &batch.documents[0].0);
            format!("cycle {cycle}, batch of {first} in {tenant}: found {found:?}, known {known:?}")
        };
        let Some(first) = found.first().copied() else {
            assert_eq!(known.acknowledged, 0, "lost: {}", context());
            continue;
        };
        let is_whole = found.len() == batch.documents.len() && found.iter().all(|version| *version == first);
        assert!(is_whole, "half a batch: {}", context());
        assert!((known.acknowledged..=known.attempted).contains(&first), "wrong version: {}", context());
        // What was found is durable now, whether it was acknowledged or not.
        known.acknowledged = first;
    }
    if cycle.is_multiple_of(2) {
        engine.close().unwrap();
    }
    answered
}

/// A document that was acknowledged is the best answer to its own text, or one with the same words is.
fn ask_for_one(engine: &Engine, corpus: &Corpus, oracle: &Oracle, cycle: u64) {
    let known = corpus.batches.iter().zip(oracle).filter(|(_, known)| known.acknowledged > 0);
    let known: Vec<&Batch> = known.map(|(batch, _)| batch).collect();
    if known.is_empty() {
        return;
    }
    let batch = known[SeededRng::new(cycle).below(known.len() as u64) as usize];
    let (id, text) = &batch.documents[0];
    let answer = engine.query_text(&TextQuery::in_tenant(&batch.tenant, text, 1)).unwrap();
    let best = answer.results.first().unwrap_or_else(|| panic!("cycle {cycle}: nothing is like {id}"));
    assert!(best.id.as_str() == id || best.score.get() > 0.9999, "cycle {cycle}: {} is not {id}", best.id);
}

fn versions(engine: &Engine, batch: &Batch) -> Vec<u64> {
    let ids: Vec<RecordId> = batch.documents.iter().map(|(id, _)| RecordId::new(id).unwrap()).collect();
    let stored = engine.fetch(&batch.tenant, &ids).unwrap();
    let version = |metadata: &pinyon_types::Metadata| match metadata.get("version") {
        Some(MetadataValue::Number(version)) => *version as u64,
        other => panic!("a document without its version: {other:?}"),
    };
    stored.iter().map(|one| version(&one.record.metadata)).collect()
}

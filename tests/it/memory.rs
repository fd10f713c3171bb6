//! What the engine counts as memory, held against what the system says the process has, and an engine under a limit.

use crate::server::{Server, scratch};
use pinyon_core::{
    Change, Document, Engine, EngineSettings, ErrorCode, MemoryBudget, Reach, SystemClock, TextQuery,
    VectorQuery,
};
use pinyon_types::{Dim, Metadata, MetadataValue, Record, RecordId, SeededRng, Vector};
use serde_json::json;
use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

const DIM: u32 = 256;
const ROWS: u64 = 30_000;

/// Bytes of memory that are the process's own: resident ones without those of files.
fn own_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: Vec<u64> = text.split_whitespace().map(|field| field.parse().unwrap()).collect();
    (pages[1] - pages[2]) * 4096
}

fn write(engine: &Engine, metadata: &Metadata) {
    let mut rng = SeededRng::new(6);
    for first in (0..ROWS).step_by(1_000) {
        let record = |row| {
            let components: Vec<f32> = (0..DIM).map(|_| (rng.unit() - 0.5) as f32).collect();
            Record {
                id: RecordId::new(&format!("r{row}")).unwrap(),
                vector: Vector::new(components, Dim::new(DIM).unwrap()).unwrap(),
                sparse: None,
                metadata: metadata.clone(),
            }
        };
        engine.write("t", Change::Upsert((first..first + 1_000).map(record).collect())).unwrap();
    }
}

fn resident(engine: &Engine) -> u64 {
    engine.shards().iter().map(|shard| shard.stats.resident_bytes()).sum()
}

/// Set in a process that was started for a single test.
const IS_ALONE: &str = "PINYON_TEST_IS_ALONE";

/// Runs a test of this module again in a process of its own, and there its body: memory that other tests have filled, let
/// go of, or are about to fill is not in what the system says of that process.
fn alone(name: &str, body: fn()) {
    if std::env::var_os(IS_ALONE).is_some() {
        return body();
    }
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("memory::{name}"), "--nocapture"])
        .env(IS_ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

#[test]
fn what_is_counted_is_what_the_process_has() {
    alone("what_is_counted_is_what_the_process_has", || counted_and_grown(&Metadata::default()));
}

#[test]
fn metadata_are_counted_as_what_they_take() {
    alone("metadata_are_counted_as_what_they_take", || {
        let texts = ["a", "", "b"].iter().cycle().take(400).collect();
        let fields = [("texts", MetadataValue::Strings(texts)), ("flag", MetadataValue::Bool(true))];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
        counted_and_grown(&Metadata::new(fields.collect()).unwrap());
    });
}

fn counted_and_grown(metadata: &Metadata) {
    let dir = scratch("memory-counted");
    let mut settings = EngineSettings::offline(1, DIM).unwrap();
    // Everything stays in the memtable: the part that is counted about, record by record.
    settings.shard_options.seal_bytes = usize::MAX;
    settings.shard_options.quiet_seal_bytes = usize::MAX;
    let engine = Engine::open(&dir, settings).unwrap();
    let before = own_bytes();
    write(&engine, metadata);
    let (counted, grown) = (resident(&engine), own_bytes().saturating_sub(before));
    println!("memtable: {counted} bytes are counted, the process has grown by {grown}");
    assert!(counted > ROWS * u64::from(DIM) * 4);
    assert!(grown * 10 > counted * 8 && grown * 10 < counted * 20, "{counted} counted, {grown} grown");
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn metrics_count_what_every_index_keeps_in_memory() {
    let dir = scratch("memory-metrics");
    let server = Server::start(&dir, &["--vector-dimension", "16"]);
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let made = server.post("/indexes", &json!({"name": "a", "dimension": 3, "spec": spec}));
    assert_eq!(made.unwrap().0, 201);
    let memtables = || server.metric(&["pinyon_resident_bytes{part=\"memtable\"}"]);
    assert_eq!(memtables(), 0.0);
    let metadata = json!({"text": "x".repeat(10_000)});
    let vectors: Vec<_> = (1..=20)
        .map(|id| json!({"id": id.to_string(), "values": [id, 1, 1], "metadata": metadata}))
        .collect();
    let written = server.post("/indexes/a/vectors/upsert", &json!({ "vectors": vectors }));
    assert_eq!(written.unwrap().0, 200);
    let memtable = memtables();
    assert!((200_000.0..300_000.0).contains(&memtable), "{memtable}");
    assert!(server.metric(&["pinyon_anonymous_resident_bytes{}"]) > memtable);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Bytes of segment files below a directory that the process has in memory.
fn resident_originals(dir: &Path) -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut is_ours, mut kilobytes) = (false, 0);
    for line in text.lines() {
        if line.contains(&*dir.to_string_lossy()) {
            is_ours = line.ends_with(".seg");
        } else if let Some(rss) = line.strip_prefix("Rss:").filter(|_| is_ours) {
            kilobytes += rss.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
            is_ours = false;
        }
    }
    kilobytes * 1024
}

/// What some queries find, to the bit.
fn found(engine: &Engine) -> Vec<String> {
    let mut rng = SeededRng::new(7);
    let mut ask = || {
        let vector = (0..DIM).map(|_| (rng.unit() - 0.5) as f32).collect();
        let query = VectorQuery::dense(vector, Reach::Tenant("t".into()), 10);
        format!("{:?}", engine.query_vector(query).unwrap().results)
    };
    (0..5).map(|_| ask()).collect()
}

/// Opens an engine whose queries read all vectors.
fn open_with_limit(dir: &Path, bytes_max: u64) -> Engine {
    let mut settings = EngineSettings::offline(1, DIM).unwrap();
    settings.shard_options.memory =
        Some(Arc::new(MemoryBudget::new(bytes_max, Arc::new(SystemClock::new()))));
    settings.shard_options.coded_rows_min = u32::MAX;
    Engine::open(dir, settings).unwrap()
}

#[test]
fn originals_leave_memory_under_a_limit_and_answers_stay() {
    let dir = scratch("memory-originals");
    let engine = open_with_limit(&dir, u64::MAX);
    write(&engine, &Metadata::default());
    drop(engine);
    let wait_until = |what: &str, is_so: &dyn Fn() -> bool| {
        let until = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            assert!(Instant::now() < until, "{what}: {} bytes in memory", resident_originals(&dir));
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let engine = open_with_limit(&dir, u64::MAX);
    let mapped = || -> u64 {
        let shards = engine.shards();
        shards.iter().flat_map(|shard| &shard.stats.segments).map(|segment| segment.mapped.vectors).sum()
    };
    let vectors = ROWS * u64::from(DIM) * 4;
    wait_until("sealed", &|| mapped() * 10 > vectors * 9);
    let (before, all) = (found(&engine), resident_originals(&dir));
    assert!(all * 10 > vectors * 9, "below the limit nothing is given back: {all} of {vectors}");
    drop(engine);
    let engine = open_with_limit(&dir, 16 << 20);
    wait_until("opened", &|| resident_originals(&dir) * 10 < all);
    assert_eq!(found(&engine), before);
    wait_until("searched", &|| resident_originals(&dir) * 10 < all);
    println!("{all} bytes of segments in memory without a limit, {} with one", resident_originals(&dir));
    assert_eq!(found(&engine), before);
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Writes, again and again while memtables alone are above the limit: the next look seals them.
fn ingest(engine: &Engine, tenant: &str, documents: &[Document]) {
    let until = Instant::now() + Duration::from_secs(30);
    while let Err(refused) = engine.ingest(tenant, documents.to_vec()) {
        assert!(refused.code == ErrorCode::Overloaded && refused.message.contains("memory_mib"), "{refused}");
        assert!(Instant::now() < until, "no room came");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn an_engine_keeps_its_limit_and_answers() {
    let dir = scratch("memory-limit");
    let mut settings = EngineSettings::offline(4, 64).unwrap();
    settings.shard_options.memory = Some(Arc::new(MemoryBudget::new(1 << 20, Arc::new(SystemClock::new()))));
    let engine = Engine::open(&dir, settings).unwrap();
    // Their codes would take 1.3 MB.
    for tenant in 0..18 {
        let document = |number| Document {
            id: format!("{number}"),
            text: format!("dark beer {number} of {tenant}"),
            metadata: Metadata::default(),
        };
        let documents: Vec<Document> = (0..1_000).map(document).collect();
        ingest(&engine, &format!("t{tenant}"), &documents);
    }
    // Some looks later: what fits has been made, and no more.
    std::thread::sleep(Duration::from_secs(6));
    let kept = resident(&engine);
    assert!(kept > 300_000 && kept <= 1 << 20, "{kept} bytes in memory");
    for tenant in 0..18 {
        let query = TextQuery::in_tenant(&format!("t{tenant}"), &format!("dark beer 7 of {tenant}"), 3);
        let answer = engine.query_text(&query).unwrap();
        assert_eq!(answer.results[0].id.as_str(), "7", "{:?}", answer.results);
    }
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

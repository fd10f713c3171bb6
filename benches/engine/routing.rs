//! The routing table at a million tenants: placing them, memory, one look-up, opening again. One JSON line.
//! `cargo bench -p pinyon-benches --bench routing`; `PINYON_BENCH_TENANTS` for another number, `PINYON_BENCH_CATALOG=redb`
//! for the other store.

use pinyon_benches::report;
use pinyon_core::{CatalogKind, Engine, EngineSettings};
use std::{hint::black_box, time::Instant};

const BATCH: usize = 10_000;

fn main() {
    report::begin();
    let tenants =
        std::env::var("PINYON_BENCH_TENANTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let catalog = std::env::var("PINYON_BENCH_CATALOG").unwrap_or_else(|_| "sled".into());
    let settings = || EngineSettings {
        catalog: CatalogKind::from_name(&catalog).expect("sled or redb"),
        ..EngineSettings::offline(4, 8).expect("the settings are good")
    };
    let dir = std::env::temp_dir().join(format!("pinyon-bench-{}-routing", std::process::id()));
    let rss_before_mb = rss_mb();
    let names: Vec<String> = (0..tenants).map(|number| format!("tenant-{number:08}")).collect();
    let names_mb = rss_mb() - rss_before_mb;
    let engine = Engine::open(&dir, settings()).expect("the engine opens");
    let started = Instant::now();
    for batch in names.chunks(BATCH) {
        engine.place_all(batch).expect("tenants are placed");
    }
    let placing_s = started.elapsed().as_secs_f64();
    let rss_after_placing_mb = rss_mb() - names_mb;
    let started = Instant::now();
    for at in 0..1_000_000 {
        black_box(engine.lookup(&names[at * 7919 % names.len()]).expect("a good name"));
    }
    let lookup_ns = started.elapsed().as_secs_f64() * 1e9 / 1e6;
    engine.close().expect("the engine closes");
    drop(engine);
    let started = Instant::now();
    let engine = Engine::open(&dir, settings()).expect("the engine opens again");
    let open_s = started.elapsed().as_secs_f64();
    assert_eq!(engine.tenants().len(), names.len());
    report::say(serde_json::json!({
        "bench": "routing",
            "catalog": catalog, "tenants": tenants, "placing_s": placing_s, "rss_after_placing_mb": rss_after_placing_mb,
            "lookup_ns": lookup_ns, "open_s": open_s, "rss_after_reopening_mb": rss_mb() - names_mb,
    }));
    drop(engine);
    std::fs::remove_dir_all(&dir).expect("the directory goes");
}

/// Resident memory of this process. The bench's own list of names is taken off what is reported.
fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

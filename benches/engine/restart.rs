//! A restart with 200,000 rows in the set's tenants: from opening to the first correct answer of a small tenant and of the
//! largest, and to codes and graphs like those before; with the files in the system's memory and without. One JSON line each.
//! `PINYON_BENCH_DATA=DIR cargo bench -p pinyon-benches --bench restart`; `PINYON_BENCH_ROWS` for another number of rows.

mod fixture;
mod measure;

use fixture::{Closed, Fixture, K, rows_by_tenant};
use measure::{Cpu, Stopwatch};
use pinyon_benches::{Dataset, report};
use pinyon_core::{Reach, VectorQuery};
use pinyon_distance::reference::dot_f64;
use rustix::fs::{Advice, fadvise};
use serde_json::json;
use std::{fs::File, path::Path, time::Duration};

const ROWS: usize = 200_000;
const SHARDS: u32 = 4;
/// A small tenant has no codes: its rows are scanned.
const SMALL_ROWS_MAX: usize = 200;
/// Queries that are asked until an answer is correct.
const QUERIES: usize = 50;
/// Scores that are nearer to each other than this are equal: they are computed in single precision.
const SCORE_STEP: f64 = 1e-6;
/// How long codes and graphs may take.
const READY_MAX_S: f64 = 600.0;
const MUST_MS: f64 = 500.0;
const AIM_MS: f64 = 100.0;

/// A tenant that is asked after a restart.
struct Asked {
    tenant: u32,
    rows: usize,
    /// How many results every query has, and what the last of them scores, by an exact scan.
    truth: Vec<(usize, f64)>,
}

fn main() {
    report::begin();
    let rows = std::env::var("PINYON_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(ROWS);
    let set = Dataset::load().expect("data").repeated(rows);
    let fixture = Fixture::new("restart", SHARDS, set.base.dim);
    fixture.write_tenants(&set);
    fixture.settle();
    let asked = asked(&set);
    let mut derived = derived_bytes(&fixture);
    let mut closed = fixture.close();
    for files in ["in memory", "on disk"] {
        if files == "on disk" {
            forget(closed.path());
        }
        let fixture = restart(closed, &set, (files, derived), &asked);
        fixture.settle();
        derived = derived_bytes(&fixture);
        closed = fixture.close();
    }
}

/// A small tenant and the largest.
fn asked(set: &Dataset) -> [Asked; 2] {
    let tenants = rows_by_tenant(set);
    let of = |tenant: &u32| Asked::new(set, *tenant, &tenants[tenant]);
    let by_size = |tenant: &&u32| tenants[*tenant].len();
    let small = tenants.keys().filter(|tenant| tenants[*tenant].len() <= SMALL_ROWS_MAX).max_by_key(by_size);
    let small = small.or_else(|| tenants.keys().min_by_key(by_size)).expect("there are tenants");
    [of(small), of(tenants.keys().max_by_key(by_size).expect("there are tenants"))]
}

impl Asked {
    fn new(set: &Dataset, tenant: u32, rows: &[usize]) -> Self {
        let truth = |at: usize| {
            let query = set.queries.row(at);
            let mut scores: Vec<f64> = rows.iter().map(|row| dot_f64(query, set.base.row(*row))).collect();
            scores.sort_unstable_by(|a, b| b.total_cmp(a));
            let wanted = K.min(scores.len());
            (wanted, scores[wanted - 1])
        };
        let truth = (0..QUERIES.min(set.queries.len())).map(truth).collect();
        Self { tenant, rows: rows.len(), truth }
    }

    /// Asks until an answer is correct; returns how many it took.
    fn first_correct(&self, fixture: &Fixture, set: &Dataset) -> usize {
        let is_correct = |(at, (wanted, last)): (usize, &(usize, f64))| {
            let query = set.queries.row(at);
            let reach = Reach::Tenant(Fixture::tenant(self.tenant));
            let found = fixture.find(VectorQuery::dense(query.to_vec(), reach, K as u32));
            let score = |row: &u32| dot_f64(query, set.base.row(*row as usize));
            found.len() == *wanted && found.iter().all(|row| score(row) >= last - SCORE_STEP)
        };
        self.truth.iter().enumerate().position(is_correct).expect("some answer is correct") + 1
    }
}

/// Bytes of codes and graphs in memory.
fn derived_bytes(fixture: &Fixture) -> u64 {
    fixture.derived().iter().map(|(_, _, bytes)| bytes).sum()
}

/// Lets the system read a directory's files from the disk again.
fn forget(dir: &Path) {
    for entry in std::fs::read_dir(dir).expect("a directory").filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            forget(&path);
        } else {
            let file = File::open(&path).expect("a file");
            file.sync_all().expect("a sync");
            fadvise(&file, 0, None, Advice::DontNeed).expect("a file of a disk");
        }
    }
}

fn restart(closed: Closed, set: &Dataset, (files, derived): (&str, u64), asked: &[Asked; 2]) -> Fixture {
    let watch = Stopwatch::start(Cpu::Process);
    let fixture = closed.open();
    let (open_ms, open_cpu_ms) = (1e3 * watch.wall(), 1e3 * watch.cpu());
    let [small, largest] = asked.each_ref().map(|one| {
        let tries = one.first_correct(&fixture, set);
        (1e3 * watch.wall(), tries)
    });
    let ready_s = ready(&fixture, derived, &watch);
    report::say(json!({
        "bench": "restart", "data": set.name, "rows": set.base.len(), "dim": set.base.dim, "shards": SHARDS, "files": files,
        "open_ms": open_ms, "open_cpu_ms": open_cpu_ms, "small_tenant_rows": asked[0].rows,
        "small_tenant_correct_ms": small.0, "small_tenant_queries": small.1, "largest_tenant_rows": asked[1].rows,
        "first_correct_ms": largest.0, "largest_tenant_queries": largest.1, "codes_and_graphs_s": ready_s,
        "codes_and_graphs_bytes": derived, "graphs": fixture.derived().iter().map(|one| one.1).sum::<usize>(),
        "must": MUST_MS, "aim": AIM_MS,
    }));
    fixture
}

/// Seconds until there are as many bytes of codes and graphs as before; none where that does not come about, because merges
/// go on.
fn ready(fixture: &Fixture, derived: u64, watch: &Stopwatch) -> Option<f64> {
    // A graph is not built the same way twice by two threads, and codes are: a hundredth is not a graph.
    while (derived_bytes(fixture) as f64) < 0.99 * derived as f64 {
        if watch.wall() > READY_MAX_S {
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Some(watch.wall())
}

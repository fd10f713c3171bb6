//! Recall and time of held-out queries in one namespace by its size and by what answers: codes, and the graph once it is there. Rows
//! beyond those of the data set are mixtures of two of them, as long as the others. Half of the queries are asked beforehand, as people
//! do, and the other half is measured.
//! `PINYON_BENCH_DATA=DIR cargo bench -p pinyon-benches --bench sizes [-- ROWS...] [codes|graph]`

mod fixture;
mod measure;

use fixture::{Closed, Fixture, K, settings};
use measure::{Cpu, Stopwatch, mean, quantile};
use pinyon_benches::{Rows, report};
use pinyon_core::{EngineSettings, Reach, ShardOptions, VectorQuery};
use pinyon_distance::Kernels;
use pinyon_types::SeededRng;
use serde_json::json;
use std::time::Duration;

const SIZES: [usize; 3] = [4_096, 25_000, 100_000];
const ROUNDS: usize = 5;
const TENANT: &str = "all";
/// Shares of two rows in one that is between them, and how far it lies from there, a component.
const SHARES: (f32, f32) = (0.8, 0.45);
const NOISE: f64 = 0.012;
/// Longer than anything here takes.
const LONG: Duration = Duration::from_hours(6);

/// Rows, held-out queries, and how near the tenth nearest row of each is.
struct Set {
    rows: Rows,
    queries: Rows,
    tenths: Vec<f32>,
    data: String,
}

fn main() {
    report::begin();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let sizes: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let tiers: Vec<&str> =
        ["codes", "graph"].into_iter().filter(|tier| words.iter().any(|word| word == tier)).collect();
    for rows in if sizes.is_empty() { SIZES.to_vec() } else { sizes } {
        let set = Set::of(rows);
        let mut at = Some(filled(&set));
        for tier in if tiers.is_empty() { vec!["codes", "graph"] } else { tiers.clone() } {
            at = at.map(|closed| measure(&set, closed, tier));
        }
    }
}

impl Set {
    fn of(count: usize) -> Self {
        let (rows, queries, data) = pinyon_benches::load(100_000).expect("data");
        let rows = grown(&rows.normalised(), count);
        let queries = queries.normalised();
        let mut set = Self { rows, queries, tenths: Vec::new(), data };
        set.tenths = set.tenths();
        set
    }

    /// The product of each query with its tenth nearest row. Every row is held against all queries while it is at hand.
    fn tenths(&self) -> Vec<f32> {
        let kernels = Kernels::detect();
        let of_some = |rows: &[f32], queries: std::ops::Range<usize>| -> Vec<Vec<f32>> {
            let mut best = vec![Vec::new(); queries.len()];
            for tile in rows.chunks(256 * self.rows.dim) {
                for (query, best) in queries.clone().zip(&mut best) {
                    let query = self.queries.row(query);
                    best.extend(tile.chunks(self.rows.dim).map(|row| kernels.dot(query, row)));
                    best.sort_unstable_by(|a: &f32, b| b.total_cmp(a));
                    best.truncate(K);
                }
            }
            best
        };
        let middle = self.queries.len() / 2;
        let (first, second) = std::thread::scope(|scope| {
            let other = scope.spawn(|| of_some(&self.rows.values, middle..self.queries.len()));
            (of_some(&self.rows.values, 0..middle), other.join().expect("a thread"))
        });
        first.into_iter().chain(second).map(|best| best.last().copied().unwrap_or(f32::MIN)).collect()
    }
}

/// The first of these rows, or mixtures of them after all of them.
fn grown(rows: &Rows, count: usize) -> Rows {
    let (dim, first) = (rows.dim, rows.len().min(count));
    let mut values = Vec::with_capacity(count * dim);
    values.extend_from_slice(&rows.values[..first * dim]);
    let mut rng = SeededRng::new(3);
    while values.len() < count * dim {
        let mut one = || rows.row(rng.below(rows.len() as u64) as usize);
        let (a, b) = (one(), one());
        let mut normal = || (0..12).map(|_| rng.unit()).sum::<f64>() - 6.0;
        let mixed = a.iter().zip(b).map(|(a, b)| SHARES.0 * a + SHARES.1 * b + (NOISE * normal()) as f32);
        values.extend(mixed);
    }
    Rows { dim, values }.normalised()
}

/// One segment of all rows.
fn filled(set: &Set) -> Closed {
    let options = ShardOptions {
        coded_rows_min: u32::MAX,
        graph_rows_min: u32::MAX,
        ..ShardOptions::sealing_at(usize::MAX / 8)
    };
    let settings = EngineSettings { shard_options: options, ..settings(1, set.rows.dim) };
    let fixture = Fixture::with("sizes", settings);
    fixture.write(TENANT, &set.rows, 0..set.rows.len());
    assert!(fixture.engine.settle(LONG, &mut |_| ()).expect("it settles"));
    fixture.close()
}

fn measure(set: &Set, closed: Closed, tier: &str) -> Closed {
    let graph_rows_min = if tier == "graph" { 1 } else { u32::MAX };
    let fixture = closed.with(|settings| {
        settings.shard_options = ShardOptions { graph_rows_min, ..ShardOptions::sealing_at(usize::MAX / 8) };
    });
    let began = Stopwatch::start(Cpu::Process);
    fixture.engine.settle(LONG, &mut |_| ()).expect("it settles");
    let built_s = began.wall();
    let middle = set.queries.len() / 2;
    (0..middle).for_each(|at| _ = ask(&fixture, set, at));
    fixture.engine.settle(LONG, &mut |_| ()).expect("it settles");
    let mut times = Vec::new();
    for _ in 0..=ROUNDS {
        times.push((middle..set.queries.len()).map(|at| ask(&fixture, set, at).1).collect::<Vec<f64>>());
    }
    let p50s: Vec<f64> = times[1..].iter().map(|times| quantile(times, 0.5)).collect();
    let recalls: Vec<f64> = (middle..set.queries.len()).map(|at| ask(&fixture, set, at).0).collect();
    report::say(json!({
        "bench": "sizes", "tier": tier, "data": set.data, "rows": set.rows.len(), "dim": set.rows.dim,
        "recall": mean(&recalls), "estimate": estimate(&fixture), "p50_us": quantile(&p50s, 0.5) * 1e6, "p50_us_best": quantile(&p50s, 0.0) * 1e6,
        "settled_s": built_s,
    }));
    fixture.close()
}

/// What the engine's own test says of the recall, as `/health` tells it: mean, lower and upper bound, and whether that is enough.
fn estimate(fixture: &Fixture) -> serde_json::Value {
    let parts = fixture.engine.recalls();
    let told = parts.iter().filter_map(|(_, part)| Some((part, part.recall?)));
    told.map(|(part, recall)| json!([recall.mean, recall.lower, recall.upper, part.is_enough])).collect()
}

/// The recall of a query, and how long it took.
fn ask(fixture: &Fixture, set: &Set, at: usize) -> (f64, f64) {
    let query = set.queries.row(at);
    let asked = VectorQuery::dense(query.to_vec(), Reach::Tenant(TENANT.into()), K as u32);
    let watch = Stopwatch::start(Cpu::Thread);
    let found = fixture.find(asked);
    let took = watch.wall();
    let kernels = Kernels::detect();
    // Rounding must not make misses of rows that are as near.
    let near =
        found.iter().filter(|row| kernels.dot(query, set.rows.row(**row as usize)) >= set.tenths[at] - 1e-6);
    (near.count() as f64 / K.min(set.rows.len()) as f64, took)
}

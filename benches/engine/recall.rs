//! Recall@10 of tenants of 50, 500, 5,000 and 50,000 records, without a filter and at selectivities of 50, 10, 1 and
//! 0.1 %, against brute force in double precision; before and after the graph is built. One JSON line per row.
//! `PINYON_BENCH_DATA=DIR cargo bench -p pinyon-benches --bench recall`

mod fixture;
mod measure;

use fixture::{Fixture, K};
use pinyon_benches::{Rows, report};
use pinyon_core::{Reach, VectorQuery};
use pinyon_distance::reference::dot_f64;
use pinyon_types::{FieldTest, Filter};
use std::time::{Duration, Instant};

const QUERIES: usize = 200;
/// How long to wait for the graph of the largest tenant.
const GRAPH_WAIT: Duration = Duration::from_secs(600);

fn main() {
    report::begin();
    // Criterion's own arguments (`--bench`) mean nothing here.
    let (rows, queries, data) = pinyon_benches::load(55_550).expect("data");
    let fixture = Fixture::new("recall", 4, rows.dim);
    let sizes = [50, 500, 5_000, 50_000];
    for size in sizes {
        fixture.write(&format!("tenant-{size}"), &rows, 0..size);
    }
    for size in sizes {
        measure(&fixture, &rows, &queries, &data, size, "before the graph");
    }
    let started = Instant::now();
    if wait_for_graph(&fixture) {
        let after_s = started.elapsed().as_secs_f64();
        report::say(serde_json::json!({"bench": "recall", "data": data, "graph_built_after_s": after_s}));
        measure(&fixture, &rows, &queries, &data, 50_000, "with the graph");
    }
}

fn wait_for_graph(fixture: &Fixture) -> bool {
    let has_graph =
        || fixture.engine.shards().iter().any(|shard| shard.stats.segments.iter().any(|one| one.graphs > 0));
    let deadline = Instant::now() + GRAPH_WAIT;
    while !has_graph() && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(200));
    }
    has_graph()
}

fn measure(fixture: &Fixture, rows: &Rows, queries: &Rows, data: &str, size: usize, when: &str) {
    for (selectivity, bound) in [(100.0, 1000.0), (50.0, 500.0), (10.0, 100.0), (1.0, 10.0), (0.1, 1.0)] {
        let filter = (bound < 1000.0).then(|| Filter::field("num", FieldTest::Lt(bound)));
        let (mut found, mut wanted, mut took) = (0, 0, Duration::ZERO);
        for at in 0..QUERIES.min(queries.len()) {
            let truth = nearest(rows, queries.row(at), size, bound);
            let reach = Reach::Tenant(format!("tenant-{size}"));
            let query = VectorQuery {
                filter: filter.clone(),
                ..VectorQuery::dense(queries.row(at).to_vec(), reach, K as u32)
            };
            let started = Instant::now();
            let answer = fixture.engine.query_vector(query).expect("a query");
            took += started.elapsed();
            found += answer.results.iter().filter(|one| truth.iter().any(|id| one.id.as_str() == id)).count();
            wanted += truth.len();
        }
        let recall = found as f64 / wanted.max(1) as f64;
        report::say(serde_json::json!({
            "bench": "recall", "data": data, "records": size, "when": when, "selectivity_percent": selectivity,
            "recall_at_10": recall, "mean_us": took.as_secs_f64() * 1e6 / QUERIES.min(queries.len()) as f64,
        }));
    }
}

/// The ids of the nearest rows by cosine that a filter lets through.
fn nearest(rows: &Rows, query: &[f32], size: usize, bound: f64) -> Vec<String> {
    let passing = (0..size).filter(|at| ((at % 1000) as f64) < bound);
    let mut scored: Vec<(f64, usize)> = passing
        .map(|at| {
            let row = rows.row(at);
            (-dot_f64(query, row) / dot_f64(row, row).sqrt(), at)
        })
        .collect();
    scored.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    scored.into_iter().take(K).map(|(_, at)| format!("r{at}")).collect()
}

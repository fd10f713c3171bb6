//! Queries of single tenants, in process, from one thread: tenants drawn by their size and all alike, and recall by size. One
//! JSON line a mix and a decile. `PINYON_BENCH_DATA=DIR cargo bench -p pinyon-benches --bench tenants`

#![allow(clippy::print_stdout)] // prints what it measured

mod fixture;
mod measure;

use fixture::Fixture;
use measure::{Round, rounds};
use pinyon_benches::{Dataset, Pairs};
use pinyon_core::{Reach, VectorQuery};
use std::collections::BTreeMap;

const K: usize = 10;

fn main() {
    let set = Dataset::load().expect("data");
    let fixture = Fixture::new("tenants", 4, set.base.dim);
    let sizes = fixture.write_tenants(&set);
    fixture.settle();
    for (mix, pairs) in [("proportional", &set.proportional), ("uniform", &set.uniform)] {
        let mut recalls = Vec::new();
        let round = rounds(|| recalls = ask_all(&fixture, &set, pairs));
        say(&set, mix, &round, &recalls);
        if mix == "uniform" {
            deciles(&set, pairs, &recalls, &sizes);
        }
    }
}

/// The recall of every pair's query.
fn ask_all(fixture: &Fixture, set: &Dataset, pairs: &Pairs) -> Vec<f64> {
    let ask = |(at, tenant): (usize, &u32)| {
        let reach = Reach::Tenant(Fixture::tenant(*tenant));
        let query = VectorQuery::dense(set.queries.row(at).to_vec(), reach, K as u32);
        let found = fixture.engine.query_records(query).expect("an answer");
        let rows: Vec<u32> = found.hits.iter().map(|(_, hit)| Fixture::row(hit)).collect();
        pairs.truth.recall(at, K, &rows)
    };
    pairs.tenants.iter().enumerate().map(ask).collect()
}

fn say(set: &Dataset, mix: &str, round: &Round, recalls: &[f64]) {
    let line = serde_json::json!({
        "bench": "tenants", "mix": mix, "data": set.name, "queries": recalls.len(), "recall": mean(recalls),
        "qps": round.median(recalls.len()), "qps_cpu": round.median_cpu(recalls.len()),
    });
    println!("{line}");
}

/// Recall by tenth of the tenants that were asked, smallest first.
fn deciles(set: &Dataset, pairs: &Pairs, recalls: &[f64], sizes: &BTreeMap<u32, usize>) {
    let mut by_size: Vec<(usize, f64)> =
        pairs.tenants.iter().zip(recalls).map(|(tenant, recall)| (sizes[tenant], *recall)).collect();
    by_size.sort_by_key(|(size, _)| *size);
    for (decile, part) in by_size.chunks(by_size.len().div_ceil(10)).enumerate() {
        let recalls: Vec<f64> = part.iter().map(|(_, recall)| *recall).collect();
        let line = serde_json::json!({
            "bench": "decile", "decile": decile, "data": set.name, "rows_max": part.last().map(|(size, _)| *size),
            "recall": mean(&recalls),
        });
        println!("{line}");
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

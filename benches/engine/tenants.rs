//! Queries of single tenants, in process, from one thread: tenants drawn by their size and all alike, and recall by size. One
//! JSON line a mix and a decile. `PINYON_BENCH_DATA=DIR cargo bench -p pinyon-benches --bench tenants`

mod fixture;
mod measure;

use fixture::Fixture;
use measure::{Round, mean, rounds};
use pinyon_benches::{Dataset, Pairs, report};
use pinyon_core::Reach;
use std::collections::BTreeMap;

fn main() {
    report::begin();
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
    fixture.recalls(set, &pairs.truth, |at| Reach::Tenant(Fixture::tenant(pairs.tenants[at])))
}

fn say(set: &Dataset, mix: &str, round: &Round, recalls: &[f64]) {
    report::say(serde_json::json!({
        "bench": "tenants", "mix": mix, "data": set.name, "queries": recalls.len(), "recall": mean(recalls),
        "qps": round.median(recalls.len()), "qps_cpu": round.median_cpu(recalls.len()),
    }));
}

/// Recall by tenth of the tenants that were asked, smallest first.
fn deciles(set: &Dataset, pairs: &Pairs, recalls: &[f64], sizes: &BTreeMap<u32, usize>) {
    let mut by_size: Vec<(usize, f64)> =
        pairs.tenants.iter().zip(recalls).map(|(tenant, recall)| (sizes[tenant], *recall)).collect();
    by_size.sort_by_key(|(size, _)| *size);
    for (decile, part) in by_size.chunks(by_size.len().div_ceil(10)).enumerate() {
        let recalls: Vec<f64> = part.iter().map(|(_, recall)| *recall).collect();
        report::say(serde_json::json!({
            "bench": "decile", "decile": decile, "data": set.name, "rows_max": part.last().map(|(size, _)| *size),
            "recall": mean(&recalls),
        }));
    }
}

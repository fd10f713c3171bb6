//! A random tenth of the rows is deleted and written again, as it was, three times over, so that merges of dead rows come about:
//! recall before, right afterwards, and when background steps have nothing left to do; in one tenant of all rows and in the
//! set's tenants. One JSON line a round and a kind of query.
//! `PINYON_BENCH_DATA=DIR cargo bench -p pinyon-benches --bench churn`

mod fixture;
mod measure;

use fixture::{Fixture, K, rows_by_tenant};
use measure::{Cpu, Stopwatch, mean};
use pinyon_benches::{Dataset, Neighbours, report};
use pinyon_core::{Reach, VectorQuery};
use pinyon_types::SeededRng;
use serde_json::json;
use std::collections::HashSet;

const SHARDS: u32 = 4;
const SHARE: f64 = 0.1;
const ROUNDS: u64 = 3;
/// Points of recall that may be lost.
const MUST: f64 = 0.5;
const AIM: f64 = 0.0;

/// Rows of tenants, by name.
type Tenants = Vec<(String, Vec<usize>)>;

/// A kind of query: its name, the exact answers, the tenant of every query.
struct Kind<'a> {
    name: &'static str,
    truth: &'a Neighbours,
    tenant: Box<dyn Fn(usize) -> String + 'a>,
}

/// What one round did, and the seconds that its steps took.
struct Steps {
    round: u64,
    rows: usize,
    delete_s: f64,
    write_s: f64,
    /// From the last write on; the queries right afterwards are part of it.
    settle_s: f64,
}

fn main() {
    report::begin();
    let set = Dataset::load().expect("data");
    let all = || "all".to_owned();
    let kinds = [Kind { name: "one tenant", truth: &set.truth, tenant: Box::new(move |_| all()) }];
    run(&set, &[(all(), (0..set.base.len()).collect())], &kinds);
    let of = |(name, pairs): (&'static str, _)| {
        let pairs: &pinyon_benches::Pairs = pairs;
        Kind { name, truth: &pairs.truth, tenant: Box::new(|at| Fixture::tenant(pairs.tenants[at])) }
    };
    let kinds = [("tenants, proportional", &set.proportional), ("tenants, uniform", &set.uniform)].map(of);
    let tenants: Tenants =
        rows_by_tenant(&set).into_iter().map(|(tenant, rows)| (Fixture::tenant(tenant), rows)).collect();
    run(&set, &tenants, &kinds);
}

fn run(set: &Dataset, tenants: &[(String, Vec<usize>)], kinds: &[Kind<'_>]) {
    let fixture = Fixture::new("churn", SHARDS, set.base.dim);
    tenants.iter().for_each(|(tenant, rows)| fixture.write_rows(tenant, set, rows));
    fixture.settle();
    let before = recalls(&fixture, set, kinds);
    for round in 1..=ROUNDS {
        let (steps, at_once) = replace(&fixture, set, tenants, kinds, round);
        for (at, (kind, settled)) in kinds.iter().zip(recalls(&fixture, set, kinds)).enumerate() {
            say(set, kind, [before[at], at_once[at], settled], &steps);
        }
    }
}

/// One round; its recalls are those right afterwards.
fn replace(
    fixture: &Fixture,
    set: &Dataset,
    tenants: &[(String, Vec<usize>)],
    kinds: &[Kind<'_>],
    round: u64,
) -> (Steps, Vec<f64>) {
    let chosen = chosen(tenants, round);
    let watch = Stopwatch::start(Cpu::Process);
    chosen.iter().for_each(|(tenant, rows)| fixture.delete_rows(tenant, rows));
    let delete_s = watch.wall();
    check_gone(fixture, set, kinds, &chosen);
    let watch = Stopwatch::start(Cpu::Process);
    chosen.iter().for_each(|(tenant, rows)| fixture.write_rows(tenant, set, rows));
    let write_s = watch.wall();
    let at_once = recalls(fixture, set, kinds);
    let settle_s = watch.wall() - write_s + fixture.settle();
    let rows = chosen.iter().map(|(_, rows)| rows.len()).sum();
    (Steps { round, rows, delete_s, write_s, settle_s }, at_once)
}

/// A tenth of everybody's rows.
fn chosen(tenants: &[(String, Vec<usize>)], round: u64) -> Tenants {
    let mut rng = SeededRng::new(round);
    let mut some = |rows: &[usize]| rows.iter().copied().filter(|_| rng.unit() < SHARE).collect();
    let chosen = tenants.iter().map(|(tenant, rows)| (tenant.clone(), some(rows)));
    chosen.filter(|(_, rows): &(_, Vec<usize>)| !rows.is_empty()).collect()
}

/// The recall of every kind of query.
fn recalls(fixture: &Fixture, set: &Dataset, kinds: &[Kind<'_>]) -> Vec<f64> {
    let of = |kind: &Kind<'_>| fixture.recalls(set, kind.truth, |at| Reach::Tenant((kind.tenant)(at)));
    kinds.iter().map(|kind| mean(&of(kind))).collect()
}

/// What is deleted is not found (QRY-2), and a figure of a bench that lost it would mean nothing.
fn check_gone(fixture: &Fixture, set: &Dataset, kinds: &[Kind<'_>], chosen: &Tenants) {
    let gone: HashSet<u32> = chosen.iter().flat_map(|(_, rows)| rows.iter().map(|row| *row as u32)).collect();
    for (kind, at) in kinds.iter().flat_map(|kind| (0..set.queries.len()).map(move |at| (kind, at))) {
        let reach = Reach::Tenant((kind.tenant)(at));
        let found = fixture.find(VectorQuery::dense(set.queries.row(at).to_vec(), reach, K as u32));
        assert!(found.iter().all(|row| !gone.contains(row)), "query {at} finds a deleted row");
    }
}

fn say(set: &Dataset, kind: &Kind<'_>, [before, at_once, settled]: [f64; 3], steps: &Steps) {
    report::say(json!({
        "bench": "churn", "queries_of": kind.name, "data": set.name, "rows": set.base.len(), "round": steps.round,
        "rows_changed": steps.rows,
        "recall_before": before, "recall_at_once": at_once, "recall_settled": settled,
        "points_lost_at_once": 100.0 * (before - at_once), "points_lost_settled": 100.0 * (before - settled),
        "delete_s": steps.delete_s, "write_s": steps.write_s, "settle_s": steps.settle_s, "must": MUST, "aim": AIM,
    }));
}

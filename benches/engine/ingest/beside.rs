//! What queries of other tenants take while one tenant is written to as fast as it goes, on their shard and on the other one,
//! against when nothing else happens. Both times of a query are told: by the clock, and by its thread's CPU time, which waits
//! for a core do not count in.

use crate::{
    fixture::{Fixture, K},
    measure::{Cpu, Stopwatch, quantile},
};
use pinyon_benches::{Dataset, Pairs, report};
use pinyon_core::{Change, Reach, VectorQuery, Work};
use pinyon_types::ShardId;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};

const SECONDS: f64 = 5.0;
/// Rows in a request of the writer.
const BATCH: usize = 100;
const MUST: f64 = 3.0;
const AIM: f64 = 1.5;

/// Microseconds of every query, and what all of them cost in counts.
#[derive(Default)]
struct Took {
    wall: Vec<f64>,
    cpu: Vec<f64>,
    work: Work,
}

pub fn run(set: &Dataset) {
    let fixture = Fixture::new("beside", 2, set.base.dim);
    fixture.write_tenants(set);
    fixture.settle();
    for (mix, pairs) in [("proportional", &set.proportional), ("uniform", &set.uniform)] {
        let queries = queries(&fixture, set, pairs);
        let idle = ask_for(&queries, &fixture, SECONDS);
        say(set, (mix, "nothing"), &idle, &idle, 0.0);
        for (place, shard) in [("same shard", 0), ("other shard", 1)] {
            let tenant = tenant_on(&fixture, &format!("{mix}-{shard}"), ShardId::new(shard));
            let (took, rows_per_s) = ask_beside(&fixture, set, &queries, &tenant);
            say(set, (mix, place), &took, &idle, rows_per_s);
            fixture.engine.write(&tenant, Change::DeleteAll).expect("the tenant goes");
            fixture.settle();
        }
    }
}

/// The queries of tenants on the first shard.
fn queries(fixture: &Fixture, set: &Dataset, pairs: &Pairs) -> Vec<VectorQuery> {
    let is_here = |tenant: &str| {
        let home = fixture.engine.lookup(tenant).expect("the name is good");
        home.is_some_and(|home| home.shard == ShardId::new(0))
    };
    let query = |(at, tenant): (usize, &u32)| {
        let tenant = Fixture::tenant(*tenant);
        let vector = || set.queries.row(at).to_vec();
        is_here(&tenant).then(|| VectorQuery::dense(vector(), Reach::Tenant(tenant.clone()), K as u32))
    };
    pairs.tenants.iter().enumerate().filter_map(query).collect()
}

/// A new tenant on a shard.
fn tenant_on(fixture: &Fixture, name: &str, shard: ShardId) -> String {
    let mut names = (0..).map(|number| format!("writes-{name}-{number}"));
    let is_there = |name: &String| fixture.engine.place(name).expect("it is placed").shard == shard;
    names.find(is_there).expect("names do not end")
}

fn ask_beside(fixture: &Fixture, set: &Dataset, queries: &[VectorQuery], tenant: &str) -> (Took, f64) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(fixture, set, tenant, &stop));
        let took = ask_for(queries, fixture, SECONDS);
        stop.store(true, Ordering::Release);
        (took, writer.join().expect("the writer ends"))
    })
}

/// Rows a second that were written.
fn write_until(fixture: &Fixture, set: &Dataset, tenant: &str, stop: &AtomicBool) -> f64 {
    let (watch, mut rows) = (Stopwatch::start(Cpu::Thread), 0);
    while !stop.load(Ordering::Acquire) {
        let records = (rows..rows + BATCH).map(|number| fixture.record(set, number)).collect();
        fixture.upsert(tenant, records);
        rows += BATCH;
    }
    rows as f64 / watch.wall()
}

fn ask_for(queries: &[VectorQuery], fixture: &Fixture, seconds: f64) -> Took {
    let (watch, mut took) = (Stopwatch::start(Cpu::Thread), Took::default());
    for query in queries.iter().cycle() {
        let query = query.clone();
        let call = Stopwatch::start(Cpu::Thread);
        let answer = fixture.engine.query_vector(query).expect("an answer");
        took.cpu.push(call.cpu() * 1e6);
        took.wall.push(call.wall() * 1e6);
        answer.shards.iter().for_each(|shard| took.work += shard.work);
        if watch.wall() > seconds {
            break;
        }
    }
    took
}

fn say(set: &Dataset, (mix, writes): (&str, &str), took: &Took, idle: &Took, rows_per_s: f64) {
    let each = |count: u64| count as f64 / took.wall.len() as f64;
    let ratio = |share| quantile(&took.wall, share) / quantile(&idle.wall, share);
    report::say(json!({
        "bench": "beside", "mix": mix, "writes_on": writes, "data": set.name, "queries": took.wall.len(),
        "p50_us": quantile(&took.wall, 0.5), "p99_us": quantile(&took.wall, 0.99),
        "p50_cpu_us": quantile(&took.cpu, 0.5), "p99_cpu_us": quantile(&took.cpu, 0.99),
        "cpu_share": took.cpu.iter().sum::<f64>() / took.wall.iter().sum::<f64>(),
        "p50_ratio": ratio(0.5), "p99_ratio": ratio(0.99),
        "p99_cpu_ratio": quantile(&took.cpu, 0.99) / quantile(&idle.cpu, 0.99),
        "distances": each(took.work.distances), "code_distances": each(took.work.code_distances),
        "sign_distances": each(took.work.sign_distances), "written_rows_per_s": rows_per_s, "must": MUST, "aim": AIM,
    }));
}

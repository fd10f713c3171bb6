//! A new tenant of all rows, written in requests of a thousand: rows a second until everything is found, recall and queries a
//! second right after the last answer, while codes and graph are still to be made, and when they are there.

use crate::{
    fixture::{Fixture, K},
    measure::{Cpu, Stopwatch, mean, rounds},
};
use pinyon_benches::{Dataset, report};
use pinyon_core::{Reach, VectorQuery};
use pinyon_types::Record;
use serde_json::json;

const TENANT: &str = "new";
const BATCH: usize = 1000;
/// How long is asked right after the last answer: what is made in the background soon changes what is measured.
const AT_ONCE_S: f64 = 2.0;
const RECALL_MIN: f64 = 0.99;
const MUST: f64 = 50_000.0;
const AIM: f64 = 100_000.0;

/// What queries showed at one moment.
struct Moment {
    recall: f64,
    qps: f64,
    qps_cpu: f64,
}

pub fn run(set: &Dataset) {
    let fixture = Fixture::new("load", 1, set.base.dim);
    let rows = set.base.len();
    let batch = |from: usize| (from..(from + BATCH).min(rows)).map(|row| fixture.record(set, row)).collect();
    // Records come ready from a request's body: making them is not the engine's work.
    let batches: Vec<Vec<Record>> = (0..rows).step_by(BATCH).map(batch).collect();
    let watch = Stopwatch::start(Cpu::Process);
    batches.into_iter().for_each(|records| fixture.upsert(TENANT, records));
    let (written_s, cpu_s) = (watch.wall(), watch.cpu());
    let at_once = ask_at_once(&fixture, set);
    let settled_s = watch.wall() + fixture.settle();
    let settled = ask_settled(&fixture, set);
    let found_s = if at_once.recall >= RECALL_MIN { written_s } else { settled_s };
    report::say(json!({
        "bench": "load", "data": set.name, "rows": rows, "dim": set.base.dim, "batch": BATCH,
        "rows_per_s": rows as f64 / found_s, "written_s": written_s, "cpu_us_per_row": 1e6 * cpu_s / rows as f64,
        "recall_at_once": at_once.recall, "qps_at_once": at_once.qps, "qps_at_once_cpu": at_once.qps_cpu,
        "settled_s": settled_s, "recall_settled": settled.recall, "qps_settled": settled.qps,
        "qps_settled_cpu": settled.qps_cpu, "recall_min": RECALL_MIN, "must": MUST, "aim": AIM,
    }));
}

fn ask_at_once(fixture: &Fixture, set: &Dataset) -> Moment {
    let (watch, mut recalls) = (Stopwatch::start(Cpu::Thread), Vec::new());
    for at in 0..set.queries.len() {
        let reach = Reach::Tenant(TENANT.into());
        let query = VectorQuery::dense(set.queries.row(at).to_vec(), reach, K as u32);
        recalls.push(set.truth.recall(at, K, &fixture.find(query)));
        if watch.wall() > AT_ONCE_S {
            break;
        }
    }
    let asked = recalls.len() as f64;
    Moment { recall: mean(&recalls), qps: asked / watch.wall(), qps_cpu: asked / watch.cpu() }
}

fn ask_settled(fixture: &Fixture, set: &Dataset) -> Moment {
    let mut recalls = Vec::new();
    let round = rounds(|| {
        recalls = fixture.recalls(set, &set.truth, |_| Reach::Tenant(TENANT.into()));
    });
    let asked = recalls.len();
    Moment { recall: mean(&recalls), qps: round.median(asked), qps_cpu: round.median_cpu(asked) }
}

//! One index of all rows: how fast a graph is built, and how many queries a second one thread answers at which recall, for
//! our own graph and for hnsw_rs. One JSON line a point.
//! `PINYON_BENCH_DATA=DIR cargo bench -p pinyon-benches --bench curve [-- codes|hnsw_rs]`

#![allow(clippy::print_stdout)] // prints what it measured

use pinyon_benches::Rows;
use pinyon_distance::{
    QueryScorer,
    codes::{Int8Rows, PointSpace},
    inverse_norm,
};
use pinyon_index::{CodeGraph, Graph, GraphOptions, GraphRequest, HnswRsGraph, RowBlock, TopK, Work, scan};
use pinyon_types::{Distance, Metric, SlotId};
use std::{sync::Arc, time::Instant};

const K: usize = 10;
/// Rows whose distance is computed from the vector.
const RESCORED: usize = 30;
const PASSES: usize = 5;
const EFFORTS: [usize; 14] = [10, 14, 18, 22, 28, 36, 44, 56, 72, 96, 128, 176, 256, 384];
const OPTIONS: GraphOptions = GraphOptions { m: 16, ef_construction: 200 };

struct Set {
    rows: Rows,
    norms: Vec<f32>,
    queries: Rows,
    truth: Vec<Vec<SlotId>>,
    data: String,
}

impl Set {
    fn load() -> Self {
        let (rows, queries, data) = pinyon_benches::load(100_000).expect("data");
        let norms: Vec<f32> = rows.values.chunks(rows.dim).map(inverse_norm).collect();
        let mut set = Self { rows, norms, queries, truth: Vec::new(), data };
        set.truth = (0..set.queries.len()).map(|at| set.nearest(set.queries.row(at))).collect();
        set
    }

    fn block(&self) -> RowBlock<'_> {
        let (vectors, inverse_norms) = (&self.rows.values, &self.norms);
        RowBlock { vectors, inverse_norms, first_slot: SlotId::new(0) }
    }

    fn nearest(&self, query: &[f32]) -> Vec<SlotId> {
        let mut best = TopK::new(K);
        let scorer = QueryScorer::new(Metric::Cosine, query);
        scan(self.block(), &scorer, None, &mut best, &mut Work::default(), &|| false);
        best.into_sorted().into_iter().map(|(_, slot)| slot).collect()
    }
}

fn main() {
    let wanted = std::env::args().find(|argument| ["codes", "hnsw_rs"].contains(&argument.as_str()));
    let is_wanted = |engine| wanted.as_ref().is_none_or(|wanted| wanted == engine);
    let set = Set::load();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let began = Instant::now();
    if is_wanted("codes") {
        let codes = Arc::new(Int8Rows::encode(PointSpace::Unit, &set.rows.values, &set.norms, 1));
        let encoded = began.elapsed().as_secs_f64();
        let graph = CodeGraph::build(Arc::clone(&codes), OPTIONS, 1, &|| false, &pool).expect("a graph");
        let bytes = graph.bytes() + codes.bytes();
        say_built(&set, &graph, began, bytes, Some(encoded));
        sweep(&set, &graph, |ef| GraphRequest { k: RESCORED, ef });
    }
    let began = Instant::now();
    if is_wanted("hnsw_rs") {
        let built = HnswRsGraph::build(set.block(), Metric::Cosine, OPTIONS, &|| false, &pool);
        let graph = built.expect("a graph");
        say_built(&set, &graph, began, graph.bytes(), None);
        sweep(&set, &graph, |ef| GraphRequest { k: K, ef });
    }
}

fn say_built(set: &Set, graph: &dyn Graph, began: Instant, bytes: usize, encoded_s: Option<f64>) {
    let seconds = began.elapsed().as_secs_f64();
    let rows = set.rows.len();
    let line = serde_json::json!({
        "bench": "build", "engine": graph.engine(), "data": set.data, "rows": rows, "dim": set.rows.dim, "seconds": seconds,
        "rows_per_s": rows as f64 / seconds, "encode_s": encoded_s, "bytes_per_row": bytes as f64 / rows as f64,
    });
    println!("{line}");
}

fn sweep(set: &Set, graph: &dyn Graph, request: impl Fn(usize) -> GraphRequest) {
    for ef in EFFORTS {
        let (mut found, mut work) = (0, Work::default());
        let mut rates = Vec::new();
        for pass in 0..=PASSES {
            let began = cpu_seconds();
            work = Work::default();
            let answers: Vec<Vec<(Distance, SlotId)>> = (0..set.queries.len())
                .map(|at| answer(set, graph, set.queries.row(at), request(ef), &mut work))
                .collect();
            if pass > 0 {
                rates.push(set.queries.len() as f64 / (cpu_seconds() - began));
            }
            let hits = answers.iter().zip(&set.truth);
            found = hits
                .map(|(answer, truth)| answer.iter().filter(|(_, slot)| truth.contains(slot)).count())
                .sum();
        }
        rates.sort_by(f64::total_cmp);
        let queries = set.queries.len() as f64;
        let line = serde_json::json!({
            "bench": "curve", "engine": graph.engine(), "data": set.data, "rows": set.rows.len(), "ef": ef,
            "recall": found as f64 / (queries * K as f64), "qps": rates[PASSES / 2],
            "code_distances": work.code_distances as f64 / queries, "hops": work.hops as f64 / queries,
        });
        println!("{line}");
    }
}

/// CPU time of this thread: other programs on the machine do not count.
fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Walks, then computes distances from the vectors.
fn answer(
    set: &Set,
    graph: &dyn Graph,
    query: &[f32],
    request: GraphRequest,
    work: &mut Work,
) -> Vec<(Distance, SlotId)> {
    let scorer = QueryScorer::new(Metric::Cosine, query);
    let mut best = TopK::new(K);
    for slot in graph.search(query, request, work) {
        let row = slot.get() as usize;
        best.push((scorer.distance(set.rows.row(row), set.norms[row]), slot));
    }
    best.into_sorted()
}

//! One index of all rows: how fast a graph is built, and how many queries a second one thread answers at which recall, for
//! our own graph and for hnsw_rs. One JSON line a point.
//! `PINYON_BENCH_DATA=DIR cargo bench -p pinyon-benches --bench curve [-- pinyon|hnsw_rs]`

mod measure;

use measure::{Round, once, rounds};
use pinyon_benches::{Rows, report};
use pinyon_distance::{
    QueryScorer,
    codes::{Int8Rows, PointSpace},
    inverse_norm,
};
use pinyon_index::{
    CodeGraph, DenseQuery, Graph, GraphOptions, GraphRequest, HnswRsGraph, RowBlock, TopK, Work, scan,
};
use pinyon_types::{Distance, Metric, SlotId};
use std::sync::{Arc, OnceLock};

const K: usize = 10;
/// Rows that a walk returns; vectors are read of those whose codes are near enough.
const RESCORED: usize = 30;
/// Rows whose vectors are fetched ahead.
const ROWS_AHEAD: usize = 2;
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
    report::begin();
    let wanted = std::env::args().find(|argument| ["pinyon", "hnsw_rs"].contains(&argument.as_str()));
    let is_wanted = |engine| wanted.as_ref().is_none_or(|wanted| wanted == engine);
    let set = Set::load();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    if is_wanted("pinyon") {
        let (round, (codes, graph)) = once(|| {
            let codes = Arc::new(Int8Rows::encode(PointSpace::Unit, &set.rows.values, &set.norms, 1));
            let graph = CodeGraph::build(Arc::clone(&codes), OPTIONS, 1, &|| false, &pool);
            (codes, graph.expect("a graph"))
        });
        say_built(&set, "pinyon", &round, graph.bytes() + codes.bytes());
        sweep(&set, "pinyon", &graph, |ef| GraphRequest { k: RESCORED.min(ef), ef, settled: RESCORED });
    }
    if is_wanted("hnsw_rs") {
        let build = || HnswRsGraph::build(set.block(), Metric::Cosine, OPTIONS, &|| false, &pool);
        let (round, graph) = once(|| build().expect("a graph"));
        say_built(&set, "hnsw_rs", &round, graph.bytes());
        sweep(&set, "hnsw_rs", &graph, |ef| GraphRequest { k: K, ef, settled: K });
    }
}

fn say_built(set: &Set, engine: &str, round: &Round, bytes: usize) {
    let rows = set.rows.len();
    report::say(serde_json::json!({
        "bench": "build", "engine": engine, "data": set.data, "rows": rows, "dim": set.rows.dim,
        "vectors_per_s": round.median(rows), "bytes_per_row": bytes as f64 / rows as f64,
    }));
}

fn sweep(set: &Set, engine: &str, graph: &dyn Graph, request: impl Fn(usize) -> GraphRequest) {
    let queries = set.queries.len();
    for ef in EFFORTS {
        let (mut answers, mut work) = (Vec::new(), Work::default());
        let round = rounds(|| {
            work = Work::default();
            let ask = |at| answer(set, graph, set.queries.row(at), request(ef), &mut work);
            answers = (0..queries).map(ask).collect();
        });
        let hits = answers.iter().zip(&set.truth);
        let found: usize =
            hits.map(|(answer, truth)| answer.iter().filter(|(_, slot)| truth.contains(slot)).count()).sum();
        report::say(serde_json::json!({
            "bench": "curve", "engine": engine, "data": set.data, "rows": set.rows.len(), "ef": ef,
            "recall": found as f64 / (queries * K) as f64, "qps": round.median(queries),
            "qps_cpu": round.median_cpu(queries), "distances": work.distances as f64 / queries as f64,
            "code_distances": work.code_distances as f64 / queries as f64,
            "hops": work.hops as f64 / queries as f64,
        }));
    }
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
    let codes = OnceLock::new();
    let found = graph.search(DenseQuery::new(query, &codes), request, work);
    let close = found.close(graph, K, |_| true).rows;
    for (place, slot) in close.iter().enumerate() {
        if let Some(next) = close.get(place + ROWS_AHEAD) {
            scorer.fetch(set.rows.row(next.get() as usize));
        }
        let row = slot.get() as usize;
        best.push((scorer.distance(set.rows.row(row), set.norms[row]), *slot));
    }
    work.distances += close.len() as u64;
    best.into_sorted()
}

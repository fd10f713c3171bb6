//! Queries over all tenants: CPU time a query over several shards against one graph of the same rows, at equal recall.
//! Time is that of the whole process, because shards are searched by threads of their own. One JSON line a layout, then one a
//! number of shards with the ratio. `PINYON_BENCH_DATA=DIR cargo bench -p pinyon-benches --bench whole`

mod fixture;
mod measure;

use fixture::{Fixture, K, settings};
use measure::{Cpu, Round, mean, rounds_of};
use pinyon_benches::{Dataset, report};
use pinyon_core::{EngineSettings, Prices, QueryAnswer, Reach, ShardOptions, VectorQuery, Work};
use serde_json::json;

const SHARDS: [u32; 3] = [1, 2, 4];
/// What graphs are asked for: the engine finds the effort by itself, so these make the curve of one graph.
const RECALLS_MIN: [f64; 5] = [0.9, 0.98, 0.99, 0.995, 0.999];
const MUST: f64 = 3.0;
const AIM: f64 = 2.0;

/// A recall and what it cost.
#[derive(Clone, Copy)]
struct Point {
    recall: f64,
    cpu_us: f64,
}

fn main() {
    report::begin();
    let set = Dataset::load().expect("data");
    let tenants: Vec<(u32, Point)> =
        SHARDS.into_iter().map(|shards| (shards, over_tenants(&set, shards))).collect();
    let asked = RECALLS_MIN.into_iter().filter_map(|recall| one_graph(&set, recall));
    // One shard's tenants lie in one graph too.
    let one_shard = tenants.iter().filter(|(shards, _)| *shards == 1).map(|(_, point)| *point);
    let graph: Vec<Point> = asked.chain(one_shard).collect();
    for (shards, point) in tenants {
        compare(&set, shards, point, &graph);
    }
}

/// The set's tenants over shards, with the options of a server.
fn over_tenants(set: &Dataset, shards: u32) -> Point {
    let fixture = Fixture::new(&format!("whole-{shards}"), shards, set.base.dim);
    fixture.write_tenants(set);
    fixture.settle();
    let (point, _) = measure(&fixture, set, &Reach::All, &format!("all tenants over {shards} shards"));
    point
}

/// All rows in one tenant and one segment, which makes one graph; `None` where no effort reaches the recall.
fn one_graph(set: &Dataset, recall_min: f64) -> Option<Point> {
    // A memtable that takes everything: otherwise there is a graph for each of several segments.
    let options = ShardOptions::sealing_at(usize::MAX / 8);
    // One graph is the yardstick, also where the engine would have none or read all bits instead.
    let shard_options = ShardOptions { recall_min, graph_rows_min: 1, prices: Prices::Fixed(1), ..options };
    let settings = EngineSettings { shard_options, ..settings(1, set.base.dim) };
    let fixture = Fixture::with("whole-graph", settings);
    fixture.write_all(set, "all");
    fixture.settle();
    let layout = format!("one tenant, graph for recall {recall_min}");
    let (point, work) = measure(&fixture, set, &Reach::Tenant("all".into()), &layout);
    (work.graph_walks == set.queries.len() as u64).then_some(point)
}

fn measure(fixture: &Fixture, set: &Dataset, reach: &Reach, layout: &str) -> (Point, Work) {
    let (mut recalls, mut work) = (Vec::new(), Work::default());
    // Graphs are tested again by what is asked: that is done once, and not what queries cost.
    for at in 0..set.queries.len() {
        ask(fixture, set, at, reach.clone(), &mut work);
    }
    fixture.settle();
    let round = rounds_of(Cpu::Process, || {
        work = Work::default();
        recalls = (0..set.queries.len()).map(|at| ask(fixture, set, at, reach.clone(), &mut work)).collect();
    });
    let point = Point { recall: mean(&recalls), cpu_us: 1e6 / round.median_cpu(recalls.len()) };
    say(fixture, set, (layout, point), &round, work);
    (point, work)
}

/// The recall of one query.
fn ask(fixture: &Fixture, set: &Dataset, at: usize, reach: Reach, work: &mut Work) -> f64 {
    let query = VectorQuery::dense(set.queries.row(at).to_vec(), reach, K as u32);
    let answer: QueryAnswer = fixture.engine.query_vector(query).expect("an answer");
    assert!(!answer.is_partial && !answer.is_cached, "every query is searched for");
    answer.shards.iter().for_each(|shard| *work += shard.work);
    let rows: Vec<u32> =
        answer.results.iter().map(|one| one.id.as_str()[1..].parse().expect("ids are row numbers")).collect();
    set.truth.recall(at, K, &rows)
}

fn say(fixture: &Fixture, set: &Dataset, (layout, point): (&str, Point), round: &Round, work: Work) {
    let (queries, derived) = (set.queries.len(), fixture.derived());
    let each = |count: u64| count as f64 / queries as f64;
    report::say(json!({
        "bench": "whole", "layout": layout, "data": set.name, "rows": set.base.len(), "dim": set.base.dim,
        "queries": queries, "shards": derived.len(), "segments": derived.iter().map(|one| one.0).sum::<usize>(),
        "graphs": derived.iter().map(|one| one.1).sum::<usize>(),
        "recall": point.recall, "cpu_us": point.cpu_us, "wall_us": 1e6 / round.median(queries),
        "distances": each(work.distances), "code_distances": each(work.code_distances),
        "sign_distances": each(work.sign_distances), "hops": each(work.hops), "graph_walks": each(work.graph_walks),
    }));
}

fn compare(set: &Dataset, shards: u32, point: Point, graph: &[Point]) {
    let at_recall = cpu_us_at(graph, point.recall);
    report::say(json!({
        "bench": "whole_ratio", "data": set.name, "rows": set.base.len(), "shards": shards, "recall": point.recall,
        "cpu_us": point.cpu_us, "one_graph_cpu_us": at_recall, "ratio": at_recall.map(|cpu_us| point.cpu_us / cpu_us),
        "is_recall_equal": graph.iter().any(|one| one.recall >= point.recall), "must": MUST, "aim": AIM,
    }));
}

/// CPU time of one graph at a recall: between two points along the logarithm; the dearest where none reaches it, and where
/// every point is better the cheapest.
fn cpu_us_at(graph: &[Point], recall: f64) -> Option<f64> {
    let mut points = graph.to_vec();
    points.sort_by(|a, b| a.recall.total_cmp(&b.recall).then(b.cpu_us.total_cmp(&a.cpu_us)));
    let above = points.iter().position(|point| point.recall >= recall);
    match above {
        None => points.last().map(|point| point.cpu_us),
        Some(0) => points.first().map(|point| point.cpu_us),
        Some(at) => {
            let (low, high) = (points[at - 1], points[at]);
            let part = (recall - low.recall) / (high.recall - low.recall);
            Some((low.cpu_us.ln() + part * (high.cpu_us.ln() - low.cpu_us.ln())).exp())
        }
    }
}

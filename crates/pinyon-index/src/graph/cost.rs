//! What a walk costs beside a scan of codes. It is measured where it matters: on one CPU the bits of a row are read in 3 ns and on
//! another in 10, walks change by another factor, and how many rows are looked at more closely is for the rows to say.

use super::self_test::SETTLED;
use super::{Graph, GraphRequest};
use crate::{CodedRows, DenseQuery, RowBlock, TopK, Wanted, Work, probes, probes::Told, sequential::K};
use pinyon_distance::QueryScorer;
use pinyon_types::{Clock, Effort, Metric};
use std::sync::OnceLock;

/// Queries that are timed, by a scan and by a walk in turn, so that what else the machine does then slows both.
const QUERIES: usize = 15;
const SEED: u64 = 0xc057;

/// What answers of one part cost on this machine, at the median.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GraphCost {
    /// Nanoseconds of a scan of the codes of all rows.
    pub scan_ns: f64,
    /// Nanoseconds of a walk, divided by its effort.
    pub walk_ns_per_effort: f64,
}

/// Times walks of an effort and scans by questions that people asked, or by probes until there are any; `None` without rows. Cost: 15
/// scans, during which nobody can stop it.
pub fn measure_cost(
    (graph, ef): (&dyn Graph, usize),
    (block, codes): (RowBlock<'_>, &CodedRows),
    metric: Metric,
    questions: &[Vec<f32>],
    clock: &dyn Clock,
) -> Option<GraphCost> {
    let probes = || {
        let probes = probes::classes(block, Some(&Told::by(codes, block, SEED)), &[], QUERIES, SEED);
        probes.into_iter().map(|(_, probe)| probe).collect::<Vec<_>>()
    };
    let queries = if questions.len() < QUERIES { &probes() } else { questions };
    let (mut walks, mut scans) = (Vec::new(), Vec::new());
    for query in queries.iter().take(QUERIES) {
        let coded = OnceLock::new();
        let dense = DenseQuery::new(query, &coded);
        dense.coded(codes.bytes_codes());
        walks.push(nanoseconds(clock, || walk(graph, ef, dense)));
        scans.push(nanoseconds(clock, || scan((block, codes), metric, dense)));
    }
    Some(GraphCost { scan_ns: median(scans)?, walk_ns_per_effort: median(walks)? / ef.max(1) as f64 })
}

fn walk(graph: &dyn Graph, ef: usize, query: DenseQuery<'_>) {
    graph.search(query, GraphRequest { k: ef, ef, settled: SETTLED }, &mut Work::default());
}

fn scan((block, codes): (RowBlock<'_>, &CodedRows), metric: Metric, query: DenseQuery<'_>) {
    let scorer = QueryScorer::new(metric, query.vector);
    let wanted = Wanted { is_wanted: &|_| true, stop: &|| false };
    let mut best = TopK::new(K);
    codes.search((block.into(), &scorer), (query, Effort::NORMAL), wanted, &mut best, &mut Work::default());
}

fn nanoseconds(clock: &dyn Clock, work: impl FnOnce()) -> f64 {
    let began_us = clock.now_us();
    work();
    clock.now_us().saturating_sub(began_us).max(1) as f64 * 1e3
}

fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

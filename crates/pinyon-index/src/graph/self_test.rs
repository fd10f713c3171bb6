//! The self-test: how much effort does a graph need on its own rows for the recall that is promised?

use super::{Graph, GraphRequest};
use crate::{
    DenseQuery, RowBlock, Work,
    probes::{K, nearest_of_each, probes},
};
use pinyon_distance::QueryScorer;
use pinyon_types::{Distance, Metric, SlotId};
use std::sync::OnceLock;

/// So many estimate a recall of 0.99 to within about 0.002. With a quarter of them the same rows were given efforts of 128,
/// 160 or 256 as their graphs happened to come out.
const QUERIES: usize = 512;
/// Efforts tried.
const LADDER: [usize; 17] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256, 384, 512, 768];

/// Rows that searches for ten results look at more closely, at most: they must be the right ones.
const SETTLED: usize = 3 * K;

/// What the self-test demands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SelfTest {
    /// The metric.
    pub metric: Metric,
    /// Recall@10 to reach.
    pub recall_min: f64,
    /// Which queries are drawn.
    pub seed: u64,
}

/// What the self-test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Calibration {
    /// The least effort tried that reached the recall.
    Fit {
        /// The effort for ten results.
        ef: usize,
        /// The recall that it reached.
        recall: f64,
    },
    /// No effort tried reached it.
    Unfit {
        /// The recall of the greatest effort.
        recall: f64,
    },
    /// It was stopped before it found anything.
    Stopped,
}

/// Measures recall@10 on queries as far from the rows as people's are.
pub fn calibrate(
    graph: &dyn Graph,
    block: RowBlock<'_>,
    test: SelfTest,
    stop: &dyn Fn() -> bool,
) -> Calibration {
    let queries = probes(block, QUERIES, test.seed);
    let Some(truth) = nearest_of_each(block, test.metric, &queries, stop) else {
        return Calibration::Stopped;
    };
    let recall = |ef: usize| measure(graph, block, test.metric, &queries, &truth, ef);
    // Recall grows with the effort, but for what 512 queries cannot tell.
    let least = LADDER.partition_point(|ef| !stop() && recall(*ef) < test.recall_min);
    match LADDER.get(least) {
        _ if stop() => Calibration::Stopped,
        Some(ef) => Calibration::Fit { ef: *ef, recall: recall(*ef) },
        None => Calibration::Unfit { recall: recall(LADDER[LADDER.len() - 1]) },
    }
}

fn measure(
    graph: &dyn Graph,
    block: RowBlock<'_>,
    metric: Metric,
    queries: &[Vec<f32>],
    truth: &[Vec<(Distance, SlotId)>],
    ef: usize,
) -> f64 {
    let mut work = Work::default();
    let (mut found, mut wanted) = (0, 0);
    for (query, truth) in queries.iter().zip(truth) {
        let scorer = QueryScorer::new(metric, query);
        let distance = |row: usize| scorer.distance(block.vector(row), block.inverse_norms[row]);
        // A row as near as the tenth is as good as the tenth: equal rows must not count as misses.
        let worst = truth.last().map_or(Distance::FARTHEST, |last| last.0);
        let codes = OnceLock::new();
        let walked = graph.search(
            DenseQuery::new(query, &codes),
            GraphRequest { k: ef, ef, settled: SETTLED },
            &mut work,
        );
        let looked_at = walked.close(&walked.rows[..SETTLED.min(walked.rows.len())], K);
        let near = looked_at.iter().filter(|(_, row)| distance(row.get() as usize) <= worst).count();
        found += near.min(truth.len());
        wanted += truth.len();
    }
    if wanted == 0 { 1.0 } else { found as f64 / wanted as f64 }
}

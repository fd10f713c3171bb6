//! The self-test: how much effort does a graph need on its own rows for the recall that is promised?

use super::{Graph, GraphRequest};
use crate::{RowBlock, TopK, Work, probes::probes, scan};
use pinyon_distance::QueryScorer;
use pinyon_types::{Distance, Metric, SlotId};

/// Results per query: what recall@10 means.
const K: usize = 10;
/// So many estimate a recall of 0.99 to within about 0.003.
const QUERIES: usize = 128;
/// Efforts tried, least first.
const LADDER: [usize; 11] = [32, 48, 64, 96, 128, 160, 192, 256, 384, 512, 768];

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
}

/// Measures recall@10 on queries as far from the rows as people's are.
pub fn calibrate(graph: &dyn Graph, block: RowBlock<'_>, test: SelfTest) -> Calibration {
    let queries = probes(block, QUERIES, test.seed);
    let truth: Vec<Vec<SlotId>> = queries.iter().map(|query| nearest(block, test.metric, query)).collect();
    let mut recall = 0.0;
    for ef in LADDER {
        recall = measure(graph, block, test.metric, &queries, &truth, ef);
        if recall >= test.recall_min {
            return Calibration::Fit { ef, recall };
        }
    }
    Calibration::Unfit { recall }
}

fn nearest(block: RowBlock<'_>, metric: Metric, query: &[f32]) -> Vec<SlotId> {
    let (mut best, mut work) = (TopK::new(K), Work::default());
    scan(block, &QueryScorer::new(metric, query), None, &mut best, &mut work, &|| false);
    best.into_sorted().into_iter().map(|(_, slot)| slot).collect()
}

fn measure(
    graph: &dyn Graph,
    block: RowBlock<'_>,
    metric: Metric,
    queries: &[Vec<f32>],
    truth: &[Vec<SlotId>],
    ef: usize,
) -> f64 {
    let mut work = Work::default();
    let (mut found, mut wanted) = (0, 0);
    for (query, truth) in queries.iter().zip(truth) {
        let scorer = QueryScorer::new(metric, query);
        let distance = |row: usize| scorer.distance(block.vector(row), block.inverse_norms[row]);
        // A row as near as the tenth is as good as the tenth: equal rows must not count as misses.
        let first = block.first_slot.get();
        let worst = truth.last().map_or(Distance::FARTHEST, |slot| distance((slot.get() - first) as usize));
        let walked = graph.search(query, GraphRequest { k: ef, ef }, &mut work);
        let near = walked.iter().filter(|row| distance(row.get() as usize) <= worst).count();
        found += near.min(truth.len());
        wanted += truth.len();
    }
    if wanted == 0 { 1.0 } else { found as f64 / wanted as f64 }
}

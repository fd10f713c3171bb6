//! The self-test: how much effort does a graph need on its own rows for the recall that is promised?

use super::{Graph, GraphRequest};
use crate::{RowBlock, TopK, Work, scan};
use pinyon_distance::QueryScorer;
use pinyon_types::{Distance, Metric, SeededRng, SlotId};

/// Results per query: what recall@10 means.
const K: usize = 10;
const QUERIES: usize = 64;
/// Efforts tried, least first.
const LADDER: [usize; 9] = [32, 48, 64, 96, 128, 192, 256, 384, 768];

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
    /// An effort one step above the least that reached the recall.
    Fit {
        /// The effort for ten results.
        ef: usize,
        /// The recall that the least effort reached.
        recall: f64,
    },
    /// No effort tried reached it.
    Unfit {
        /// The recall of the greatest effort.
        recall: f64,
    },
}

/// Measures recall@10 on queries that lie near the rows but not on them: mixtures of two random rows.
pub fn calibrate(graph: &dyn Graph, block: RowBlock<'_>, test: SelfTest) -> Calibration {
    let queries = mixtures(block, QUERIES, test.seed);
    let truth: Vec<Vec<SlotId>> = queries.iter().map(|query| nearest(block, test.metric, query)).collect();
    let mut recall = 0.0;
    // A few dozen queries estimate a recall of 0.995 to within about 0.005, so the next step up is taken: what is promised
    // must hold for the queries that were not drawn, too.
    for (ef, next) in LADDER.into_iter().zip(LADDER.into_iter().skip(1)) {
        recall = measure(graph, block, test.metric, &queries, &truth, ef);
        if recall >= test.recall_min {
            return Calibration::Fit { ef: next, recall };
        }
    }
    Calibration::Unfit { recall }
}

/// Queries that lie near rows but not on them: mixtures of two, drawn at random.
pub(crate) fn mixtures(block: RowBlock<'_>, count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = SeededRng::new(seed);
    let mut row = || block.vector(rng.below(block.rows() as u64) as usize);
    let mixture = |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(a, b)| 0.7 * a + 0.3 * b).collect();
    (0..count.min(block.rows())).map(|_| mixture((row(), row()))).collect()
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

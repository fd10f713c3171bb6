//! Queries for self-tests: as far from the rows as people's queries are, drawn from the rows alone; and their exact answers.

use crate::{RowBlock, TopK, Work, scan};
use pinyon_distance::QueryScorer;
use pinyon_types::{Distance, Metric, SeededRng, SlotId};

/// Results of a query: what recall@10 means.
pub(crate) const K: usize = 10;
/// Rows that all queries are held against before the next ones: as many as stay in a core's own cache.
const TILE_ROWS: usize = 256;

/// Differences of two rows that are added to a third.
const DIFFERENCES: usize = 8;
/// How long their sum is, as a share of what the rows spread. On 100,000 embeddings of texts the recall of such queries lay
/// 0.001 to 0.005 below that of held-out queries at every effort of a graph; mixtures of two rows were far harder (they are
/// near two crowds at once), rows themselves easier.
const SHARE: f32 = 0.75;

/// Up to `count` queries: rows moved by differences of others, so that they leave the rows in the directions in which rows
/// differ, whatever the metric and wherever the rows lie.
pub(crate) fn probes(block: RowBlock<'_>, count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = SeededRng::new(seed);
    let mut row = || block.vector(rng.below(block.rows() as u64) as usize);
    // The sum of so many differences of two is about as long as the square root of twice as many spreads.
    let step = SHARE / ((2 * DIFFERENCES) as f32).sqrt();
    let probe = |_| {
        let mut query = row().to_vec();
        for _ in 0..DIFFERENCES {
            let (plus, minus) = (row(), row());
            query
                .iter_mut()
                .zip(plus.iter().zip(minus))
                .for_each(|(at, (plus, minus))| *at += step * (plus - minus));
        }
        query
    };
    (0..count.min(block.rows())).map(probe).collect()
}

/// The exact nearest [`K`] rows of every query, nearest first; `None` if it was stopped.
pub(crate) fn nearest_of_each(
    block: RowBlock<'_>,
    metric: Metric,
    queries: &[Vec<f32>],
    stop: &dyn Fn() -> bool,
) -> Option<Vec<Vec<(Distance, SlotId)>>> {
    let scorers: Vec<QueryScorer<'_>> = queries.iter().map(|query| QueryScorer::new(metric, query)).collect();
    let mut best: Vec<TopK<(Distance, SlotId)>> = vec![TopK::new(K); queries.len()];
    for first in (0..block.rows()).step_by(TILE_ROWS) {
        if stop() {
            return None;
        }
        let tile = block.part(first..(first + TILE_ROWS).min(block.rows()));
        for (scorer, best) in scorers.iter().zip(&mut best) {
            scan(tile, scorer, None, best, &mut Work::default(), &|| false);
        }
    }
    Some(best.into_iter().map(TopK::into_sorted).collect())
}

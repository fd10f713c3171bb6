//! Queries for self-tests: as far from the rows as people's queries are, drawn from the rows alone.

use crate::RowBlock;
use pinyon_types::SeededRng;

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

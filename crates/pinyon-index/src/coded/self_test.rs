//! The self-test of codes: the least depth at which they find what the vectors say is nearest.

use super::{CodedRows, Coding, DenseQuery, Depth, K, Wanted};
use crate::{
    RowBlock, TopK, Work,
    probes::{nearest_of_each, probes},
};
use pinyon_distance::QueryScorer;
use pinyon_types::{Distance, Effort, Metric, SlotId};
use std::sync::OnceLock;

/// Queries: as many rows as are compared with the promise, 640 of them.
const QUERIES: usize = 64;
const SEED: u64 = 0x5eed;
/// Depths tried, least first.
const LADDER: [Depth; 5] = [
    Depth { by_signs: 200, by_bytes: 24 },
    Depth { by_signs: 300, by_bytes: 32 },
    Depth { by_signs: 600, by_bytes: 48 },
    Depth { by_signs: 1200, by_bytes: 96 },
    Depth { by_signs: 2400, by_bytes: 192 },
];

/// The codes with the depth for these rows, if any is enough.
pub(super) fn with_depth(
    mut coded: CodedRows,
    block: RowBlock<'_>,
    metric: Metric,
    recall_min: f64,
    stop: &dyn Fn() -> bool,
) -> Coding {
    let queries = probes(block, QUERIES, SEED);
    let Some(nearest) = nearest_of_each(block, metric, &queries, stop) else { return Coding::Stopped };
    // What is not farther than the tenth nearest row is as good.
    let bound = |nearest: &Vec<(Distance, SlotId)>| nearest.last().map_or(Distance::FARTHEST, |last| last.0);
    let bounds: Vec<Distance> = nearest.iter().map(bound).collect();
    for depth in LADDER {
        if stop() {
            return Coding::Stopped;
        }
        coded.depth = depth;
        if recall(&coded, block, metric, &queries, &bounds) >= recall_min {
            return Coding::Fit(coded);
        }
    }
    Coding::Unfit
}

fn recall(
    coded: &CodedRows,
    block: RowBlock<'_>,
    metric: Metric,
    queries: &[Vec<f32>],
    bounds: &[Distance],
) -> f64 {
    let wanted = Wanted { is_wanted: &|_| true, is_selective: false, stop: &|| false };
    let mut found = 0;
    for (query, bound) in queries.iter().zip(bounds) {
        let scorer = QueryScorer::new(metric, query);
        let mut best = TopK::new(K);
        let codes = OnceLock::new();
        let asked = (DenseQuery::new(query, &codes), Effort::NORMAL);
        coded.search((block, &scorer), asked, wanted, &mut best, &mut Work::default());
        found += best.into_sorted().iter().filter(|(distance, _)| distance <= bound).count();
    }
    let total = queries.len() * K.min(block.rows());
    if total == 0 { 1.0 } else { found as f64 / total as f64 }
}

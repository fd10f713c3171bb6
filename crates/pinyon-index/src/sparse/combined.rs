//! Every row's score: the product of sparse parts, and the distance of dense ones if there are.

use super::lists::Window;
use crate::{RowBlock, ScanEnd, TopK, Work};
use pinyon_distance::QueryScorer;
use pinyon_types::{Distance, SlotId};
use std::ops::Range;

/// Rows scored between two looks at whether to stop.
const WINDOW_ROWS: u32 = 1024;

/// Returns the distance of a row whose parts have these: a product counts against the distance.
pub fn combined(dense: Distance, sparse_product: f64) -> Distance {
    Distance::rounded(dense.get() - sparse_product)
}

/// Dense vectors of all the rows, and what scores them.
#[derive(Debug, Clone, Copy)]
pub struct DensePart<'a> {
    /// The rows.
    pub block: RowBlock<'a>,
    /// The query.
    pub scorer: &'a QueryScorer<'a>,
}

/// Rows to score.
#[derive(Debug, Clone)]
pub struct CombinedRows<'a> {
    /// Which.
    pub slots: Range<u32>,
    /// Their dense part, which begins at the first of them.
    pub dense: Option<DensePart<'a>>,
}

/// Scores every wanted row, those without any sparse component too.
pub fn scan_combined(
    rows: CombinedRows<'_>,
    mut window: Window<'_>,
    is_wanted: &dyn Fn(u32) -> bool,
    best: &mut TopK<(Distance, SlotId)>,
    work: &mut Work,
    stop: &dyn Fn() -> bool,
) -> ScanEnd {
    let CombinedRows { slots, dense } = rows;
    let mut sums = vec![0.0; WINDOW_ROWS as usize];
    let mut from = slots.start;
    while from < slots.end {
        if from > slots.start && stop() {
            return ScanEnd::Stopped;
        }
        let to = slots.end.min(from.saturating_add(WINDOW_ROWS));
        let rows = (to - from) as usize;
        work.postings += window.sums(from..to, &mut sums[..rows]);
        let mut push = |row: usize, distance: Distance| {
            let slot = SlotId::new(from + row as u32);
            let item = (combined(distance, sums[row]), slot);
            if best.worst().is_none_or(|worst| item < *worst) && is_wanted(slot.get()) {
                best.push(item);
            }
        };
        match &dense {
            Some(DensePart { block, scorer }) => {
                let part = block.part((from - slots.start) as usize..(to - slots.start) as usize);
                scorer.distances(part.vectors, part.inverse_norms, push);
                work.distances += rows as u64;
            }
            None => (0..rows).for_each(|row| push(row, Distance::new(0.0))),
        }
        from = to;
    }
    ScanEnd::Done
}

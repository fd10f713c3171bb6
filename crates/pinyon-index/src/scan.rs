//! Exact scans of rows that lie one after the other.

use crate::{TopK, Work};
use pinyon_distance::QueryScorer;
use pinyon_types::{Distance, SlotId};
use roaring::RoaringBitmap;

/// Rows scored between two looks at whether to stop.
const ROWS_PER_CHECK: usize = 1024;

/// Consecutive rows: `vectors` holds one after the other, `inverse_norms` one number each.
#[derive(Debug, Clone, Copy)]
pub struct RowBlock<'a> {
    /// The rows' components.
    pub vectors: &'a [f32],
    /// One over each row's length; 0 for zero rows.
    pub inverse_norms: &'a [f32],
    /// The slot of the first row.
    pub first_slot: SlotId,
}

impl<'a> RowBlock<'a> {
    /// Number of rows.
    pub const fn rows(&self) -> usize {
        self.inverse_norms.len()
    }

    /// Components of a row; 0 if there are no rows.
    pub const fn dim(&self) -> usize {
        if self.inverse_norms.is_empty() { 0 } else { self.vectors.len() / self.inverse_norms.len() }
    }

    /// The components of row `row`, counted from 0.
    ///
    /// # Panics
    /// There is no such row.
    pub fn vector(&self, row: usize) -> &'a [f32] {
        &self.vectors[row * self.dim()..(row + 1) * self.dim()]
    }

    pub(crate) fn part(&self, rows: std::ops::Range<usize>) -> Self {
        let first = u32::try_from(rows.start).expect("invariant: a block has fewer than 2^32 rows");
        Self {
            vectors: &self.vectors[rows.start * self.dim()..rows.end * self.dim()],
            inverse_norms: &self.inverse_norms[rows],
            first_slot: SlotId::new(self.first_slot.get() + first),
        }
    }
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanEnd {
    /// Every row was considered.
    Done,
    /// It was told to stop; some rows were not considered.
    Stopped,
}

/// Scores every row that is not dead.
pub fn scan(
    block: RowBlock<'_>,
    scorer: &QueryScorer<'_>,
    dead: Option<&RoaringBitmap>,
    best: &mut TopK<(Distance, SlotId)>,
    work: &mut Work,
    stop: &dyn Fn() -> bool,
) -> ScanEnd {
    let dead = dead.filter(|dead| !dead.is_empty());
    let mut from = 0;
    while from < block.rows() {
        if from > 0 && stop() {
            return ScanEnd::Stopped;
        }
        let to = (from + ROWS_PER_CHECK).min(block.rows());
        scan_part(block.part(from..to), scorer, dead, best);
        work.distances += (to - from) as u64;
        from = to;
    }
    ScanEnd::Done
}

fn scan_part(
    part: RowBlock<'_>,
    scorer: &QueryScorer<'_>,
    dead: Option<&RoaringBitmap>,
    best: &mut TopK<(Distance, SlotId)>,
) {
    let first = part.first_slot.get();
    scorer.distances(part.vectors, part.inverse_norms, |row, distance| {
        let slot = first + row as u32;
        // Most rows are too far; only a row that would be taken is worth asking whether it is dead.
        let is_near = best.worst().is_none_or(|worst| (distance, SlotId::new(slot)) < *worst);
        if is_near && dead.is_none_or(|dead| !dead.contains(slot)) {
            best.push((distance, SlotId::new(slot)));
        }
    });
}

/// Scores the rows of `slots`, all of which must lie in the block.
///
/// # Panics
/// A slot lies outside the block.
pub fn scan_slots(
    block: RowBlock<'_>,
    scorer: &QueryScorer<'_>,
    slots: &RoaringBitmap,
    best: &mut TopK<(Distance, SlotId)>,
    work: &mut Work,
    stop: &dyn Fn() -> bool,
) -> ScanEnd {
    for (visited, slot) in slots.iter().enumerate() {
        if visited % ROWS_PER_CHECK == ROWS_PER_CHECK - 1 && stop() {
            return ScanEnd::Stopped;
        }
        let row = (slot - block.first_slot.get()) as usize;
        let distance = scorer.distance(block.vector(row), block.inverse_norms[row]);
        best.push((distance, SlotId::new(slot)));
        work.distances += 1;
    }
    ScanEnd::Done
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_distance::inverse_norm;
    use pinyon_types::{Metric, SeededRng};
    use std::cell::Cell;

    const DIM: usize = 9;

    struct Rows {
        vectors: Vec<f32>,
        norms: Vec<f32>,
    }

    impl Rows {
        /// Every third row is a copy of an earlier one, so that ties are common.
        fn random(count: usize, rng: &mut SeededRng) -> Self {
            let mut vectors: Vec<f32> = (0..count * DIM).map(|_| (rng.unit() - 0.5) as f32).collect();
            for row in (3..count).step_by(3) {
                vectors.copy_within((row - 3) * DIM..(row - 2) * DIM, row * DIM);
            }
            let norms = vectors.chunks(DIM).map(inverse_norm).collect();
            Self { vectors, norms }
        }

        fn block(&self) -> RowBlock<'_> {
            RowBlock { vectors: &self.vectors, inverse_norms: &self.norms, first_slot: SlotId::new(100) }
        }

        fn expected(
            &self,
            scorer: &QueryScorer<'_>,
            alive: impl Fn(u32) -> bool,
            k: usize,
        ) -> Vec<(Distance, SlotId)> {
            let slots = (0..self.norms.len() as u32).map(|row| row + 100).filter(|slot| alive(*slot));
            let mut all: Vec<_> = slots
                .map(|slot| {
                    let row = slot as usize - 100;
                    (scorer.distance(self.block().vector(row), self.norms[row]), SlotId::new(slot))
                })
                .collect();
            all.sort_unstable();
            all.truncate(k);
            all
        }
    }

    #[test]
    fn scans_find_the_nearest_live_rows_and_break_ties_by_slot() {
        let mut rng = SeededRng::new(5);
        for count in [0, 1, 50, 1023, 1024, 3000] {
            let rows = Rows::random(count, &mut rng);
            let query: Vec<f32> = (0..DIM).map(|_| rng.unit() as f32).collect();
            let dead: RoaringBitmap =
                (0..count as u32).filter(|_| rng.below(3) == 0).map(|row| row + 100).collect();
            for metric in [Metric::Cosine, Metric::DotProduct, Metric::Euclidean] {
                let scorer = QueryScorer::new(metric, &query);
                let expected = rows.expected(&scorer, |slot| !dead.contains(slot), 10);
                let (mut best, mut work) = (TopK::new(10), Work::default());
                assert_eq!(
                    scan(rows.block(), &scorer, Some(&dead), &mut best, &mut work, &|| false),
                    ScanEnd::Done
                );
                assert_eq!(best.into_sorted(), expected);
                assert_eq!(work.distances, count as u64);
                let (mut best, mut work) = (TopK::new(10), Work::default());
                let alive: RoaringBitmap =
                    (100..100 + count as u32).filter(|slot| !dead.contains(*slot)).collect();
                scan_slots(rows.block(), &scorer, &alive, &mut best, &mut work, &|| false);
                assert_eq!(best.into_sorted(), expected);
                assert_eq!(work.distances, alive.len());
            }
        }
    }

    #[test]
    fn a_stopped_scan_says_so() {
        let rows = Rows::random(5000, &mut SeededRng::new(6));
        let query = [0.5; DIM];
        let scorer = QueryScorer::new(Metric::Euclidean, &query);
        let asked = Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) == 1;
        let (mut best, mut work) = (TopK::new(10), Work::default());
        assert_eq!(scan(rows.block(), &scorer, None, &mut best, &mut work, &stop), ScanEnd::Stopped);
        assert_eq!(work.distances, 2048);
    }
}

//! The rows that may be among the `k` nearest, by what their codes say: between how near and how far each may be.

use crate::TopK;
use pinyon_types::Distance;

/// Rows beyond those that were there when it was last done, after which those that are too far by now are left out.
const GROWTH_MIN: usize = 256;

/// So many have their place from the first on.
const FEW: usize = 64;

/// Keeps every row whose least distance is not beyond the `k`-th least of the greatest ones.
#[derive(Debug)]
pub(super) struct Candidates {
    limit: f32,
    farthest: TopK<Distance>,
    /// Each with its least distance.
    rows: Vec<(f32, u32)>,
    /// Rows from which on it is worth looking through them.
    look_at: usize,
}

impl Candidates {
    /// No row yet; what is farther than `limit` is no result.
    pub(super) fn new(k: usize, limit: f32) -> Self {
        Self { limit, farthest: TopK::new(k), rows: Vec::with_capacity(FEW), look_at: GROWTH_MIN }
    }

    pub(super) const fn k(&self) -> usize {
        self.farthest.capacity()
    }

    /// Rows that are certainly farther are no results; infinity until something is known.
    pub(super) const fn limit(&self) -> f32 {
        self.limit
    }

    /// Takes a row with its estimated distance and by how much that may be wrong. One whose estimate is no number is kept.
    pub(super) fn take(&mut self, row: u32, estimate: f32, error: f32) {
        let least = estimate - error;
        if is_beyond(least, self.limit) {
            return;
        }
        self.rows.push((least, row));
        self.take_farthest(estimate + error);
        if self.rows.len() >= self.look_at {
            self.leave_out();
            self.look_at = 2 * self.rows.len().max(GROWTH_MIN / 2);
        }
    }

    /// A row that may be as far as the limit draws it no nearer.
    fn take_farthest(&mut self, farthest: f32) {
        if farthest < self.limit {
            self.farthest.push(Distance::new(f64::from(farthest)));
            if let Some(kth) = self.farthest.worst() {
                self.limit = self.limit.min(kth.get() as f32);
            }
        }
    }

    fn leave_out(&mut self) {
        let limit = self.limit;
        self.rows.retain(|(least, _)| !is_beyond(*least, limit));
    }

    /// What is left, by least distance.
    pub(super) fn into_rows(mut self) -> Vec<(f32, u32)> {
        self.leave_out();
        self.rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        self.rows
    }
}

/// What is no number lies beyond nothing: it is looked at more closely.
pub(super) fn is_beyond(distance: f32, limit: f32) -> bool {
    distance > limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::SeededRng;

    #[test]
    fn what_may_be_among_the_nearest_is_kept_and_nothing_else() {
        let mut rng = SeededRng::new(52);
        for (count, k, error) in
            [(0, 10, 1.0), (5, 10, 1.0), (3_000, 10, 0.0), (3_000, 1, 2.0), (3_000, 700, 9.0)]
        {
            for limit in [f32::INFINITY, -120.0] {
                let estimates: Vec<f32> = (0..count).map(|_| rng.below(300) as f32 - 150.0).collect();
                let errors: Vec<f32> = (0..count).map(|_| error * (1 + rng.below(3)) as f32).collect();
                let mut candidates = Candidates::new(k, limit);
                for row in 0..count {
                    candidates.take(row as u32, estimates[row], errors[row]);
                }
                let mut farthest: Vec<f32> = (0..count)
                    .filter(|row| estimates[*row] - errors[*row] <= limit)
                    .map(|row| estimates[row] + errors[row])
                    .collect();
                farthest.sort_by(f32::total_cmp);
                let limit = farthest.get(k - 1).map_or(limit, |kth| limit.min(*kth));
                let mut expected: Vec<u32> = (0..count as u32)
                    .filter(|row| estimates[*row as usize] - errors[*row as usize] <= limit)
                    .collect();
                let rows = candidates.into_rows();
                assert!(rows.is_sorted_by(|a, b| a.0 <= b.0));
                let mut found: Vec<u32> = rows.into_iter().map(|(_, row)| row).collect();
                found.sort_unstable();
                expected.sort_unstable();
                assert_eq!(found, expected, "{count} {k} {error} {limit}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_looked_at() {
        let mut candidates = Candidates::new(1, f32::INFINITY);
        candidates.take(1, f32::NAN, 0.0);
        candidates.take(2, 1.0, 0.0);
        candidates.take(3, 2.0, 0.0);
        let rows: Vec<u32> = candidates.into_rows().into_iter().map(|(_, row)| row).collect();
        assert_eq!(rows, [2, 1]);
    }
}

//! The rows with the least estimates: a buffer that is cut in half when it is full. Most rows are farther than the last one
//! that would be kept, and cost one comparison.

/// Estimates that are compared at once.
const LANES: usize = 32;
/// Room beyond the rows that are kept, for few of them.
const SLACK_MIN: usize = 192;

/// Keeps the `depth` nearest of what it is shown.
#[derive(Debug)]
pub(super) struct Nearest {
    depth: usize,
    /// Nothing farther will be kept.
    bound: f32,
    rows: Vec<(f32, u32)>,
}

impl Nearest {
    pub(super) fn new(depth: usize) -> Self {
        Self { depth, bound: f32::INFINITY, rows: Vec::new() }
    }

    /// Looks at estimates; `row` tells whose they are.
    pub(super) fn take(
        &mut self,
        distances: &[f32],
        row: impl Fn(usize) -> u32,
        is_wanted: &dyn Fn(u32) -> bool,
    ) {
        for (group, distances) in distances.chunks(LANES).enumerate() {
            // A sum, because compilers add comparisons of many lanes at once and do not so for an early end.
            if distances.iter().map(|distance| i32::from(*distance <= self.bound)).sum::<i32>() == 0 {
                continue;
            }
            for (at, distance) in distances.iter().enumerate() {
                let row = row(group * LANES + at);
                if *distance <= self.bound && is_wanted(row) {
                    self.push(*distance, row);
                }
            }
        }
    }

    fn push(&mut self, distance: f32, row: u32) {
        self.rows.push((distance, row));
        if self.rows.len() >= (2 * self.depth).max(self.depth + SLACK_MIN) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.rows.len() > self.depth {
            // By row as well, so that the same rows are kept whatever came first.
            self.rows.select_nth_unstable_by(self.depth, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            self.rows.truncate(self.depth);
            self.bound = self.rows.iter().fold(f32::NEG_INFINITY, |most, (distance, _)| most.max(*distance));
        }
    }

    /// The rows, in no order.
    pub(super) fn into_rows(mut self) -> Vec<u32> {
        self.cut();
        self.rows.into_iter().map(|(_, row)| row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::SeededRng;

    #[test]
    fn keeps_what_sorting_and_cutting_would_keep() {
        let mut rng = SeededRng::new(51);
        for depth in [1, 10, 200, 5_000] {
            for count in [0, 1, 9, 500, 3_000] {
                // Many equal ones.
                let distances: Vec<f32> = (0..count).map(|_| rng.below(300) as f32).collect();
                let mut nearest = Nearest::new(depth);
                for (part, distances) in distances.chunks(100).enumerate() {
                    nearest.take(distances, |at| (part * 100 + at) as u32, &|row| row % 3 != 0);
                }
                let mut expected: Vec<u32> = (0..count as u32).filter(|row| row % 3 != 0).collect();
                expected
                    .sort_by(|a, b| distances[*a as usize].total_cmp(&distances[*b as usize]).then(a.cmp(b)));
                expected.truncate(depth);
                let mut found = nearest.into_rows();
                found.sort_unstable();
                expected.sort_unstable();
                assert_eq!(found, expected, "{depth} of {count}");
            }
        }
    }
}

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
    /// Rows with their estimates, as [`key`] joins them; what comes after the first `kept` is nothing.
    keys: Vec<u64>,
    kept: usize,
}

impl Nearest {
    pub(super) fn new(depth: usize) -> Self {
        let room = (2 * depth).max(depth + SLACK_MIN);
        Self { depth, bound: f32::INFINITY, keys: vec![0; room + LANES], kept: 0 }
    }

    /// Looks at estimates; `row` tells whose they are.
    pub(super) fn take(
        &mut self,
        distances: &[f32],
        row: impl Fn(usize) -> u32,
        is_wanted: impl Fn(u32) -> bool,
    ) {
        for (group, distances) in distances.chunks(LANES).enumerate() {
            let mut near = near(distances, self.bound);
            while near != 0 {
                let at = near.trailing_zeros() as usize;
                near &= near - 1;
                let row = row(group * LANES + at);
                // Written in any case, because a branch would be guessed wrongly where every second row is wanted.
                self.keys[self.kept] = key(distances[at], row);
                self.kept += usize::from(is_wanted(row));
            }
            if self.kept + LANES > self.keys.len() {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if self.kept > self.depth {
            // By row as well, so that the same rows are kept whatever came first.
            self.keys[..self.kept].select_nth_unstable(self.depth);
            self.kept = self.depth;
            self.bound =
                self.keys[..self.kept].iter().max().map_or(f32::NEG_INFINITY, |key| distance_of(*key));
        }
    }

    /// The rows: so many of the nearest before the others, otherwise in no order.
    pub(super) fn into_rows(mut self, first: usize) -> Vec<u32> {
        self.cut();
        let keys = &mut self.keys[..self.kept];
        if (1..keys.len()).contains(&first) {
            keys.select_nth_unstable(first);
        }
        keys.iter().map(|key| *key as u32).collect()
    }

    /// The rows that may be among the `k` nearest, `k` of them before the others. `bounds` says of a row like them by how much two
    /// estimates have to differ until it is sure which is nearer, and beyond which estimate rows are certainly too far.
    pub(super) fn into_close(mut self, k: usize, bounds: impl Fn(u32) -> (f32, f32)) -> Vec<u32> {
        self.cut();
        let keys = &mut self.keys[..self.kept];
        let Some(last) = k.min(keys.len()).checked_sub(1) else { return Vec::new() };
        let kth = *keys.select_nth_unstable(last).1;
        let (uncertainty, limit) = bounds(kth as u32);
        let limit = limit.min(distance_of(kth) + uncertainty);
        keys.iter().filter(|key| distance_of(**key) <= limit).map(|key| *key as u32).collect()
    }
}

/// Which of at most [`LANES`] distances are within a bound, a bit each.
fn near(distances: &[f32], bound: f32) -> u32 {
    let bits = |distances: &[f32]| {
        let lanes = distances.iter().enumerate();
        lanes.fold(0, |near, (at, distance)| near | u32::from(*distance <= bound) << at)
    };
    // Compilers compare many lanes at once where they know how many there are.
    <&[f32; LANES]>::try_from(distances).map_or_else(|_| bits(distances), |all| bits(all))
}

/// A number that orders as distances do (see `f32::total_cmp`), equal ones by row.
const fn key(distance: f32, row: u32) -> u64 {
    let bits = distance.to_bits();
    // Below zero all bits are turned, from there on only the highest.
    let turned = (bits.cast_signed() >> 31).cast_unsigned() | 1 << 31;
    ((bits ^ turned) as u64) << 32 | row as u64
}

/// The distance that a key was made of.
const fn distance_of(key: u64) -> f32 {
    let bits = (key >> 32) as u32;
    let turned = !(bits.cast_signed() >> 31).cast_unsigned() | 1 << 31;
    f32::from_bits(bits ^ turned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::SeededRng;

    #[test]
    fn keys_order_as_distances_and_rows_do() {
        let numbers =
            [f32::NEG_INFINITY, -2.5, -1e-40, -0.0, 0.0, 1e-40, 1.0, 1.0000001, f32::MAX, f32::INFINITY];
        let keys: Vec<u64> =
            numbers.iter().flat_map(|number| [0, 1, u32::MAX].map(|row| key(*number, row))).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        for (number, keys) in numbers.iter().zip(keys.chunks(3)) {
            assert!(keys.iter().all(|key| distance_of(*key).to_bits() == number.to_bits()), "{number}");
        }
    }

    #[test]
    fn keeps_what_sorting_and_cutting_would_keep() {
        let mut rng = SeededRng::new(51);
        for depth in [1, 10, 200, 5_000] {
            for count in [0, 1, 9, 500, 3_000] {
                // Many equal ones.
                let distances: Vec<f32> = (0..count).map(|_| rng.below(300) as f32 - 150.0).collect();
                let mut nearest = Nearest::new(depth);
                for (part, distances) in distances.chunks(100).enumerate() {
                    nearest.take(distances, |at| (part * 100 + at) as u32, |row| row % 3 != 0);
                }
                let mut expected: Vec<u32> = (0..count as u32).filter(|row| row % 3 != 0).collect();
                expected
                    .sort_by(|a, b| distances[*a as usize].total_cmp(&distances[*b as usize]).then(a.cmp(b)));
                expected.truncate(depth);
                let first = depth / 3;
                let mut found = nearest.into_rows(first);
                let mut nearest: Vec<u32> = found.iter().copied().take(first).collect();
                nearest.sort_unstable();
                let mut of_expected: Vec<u32> = expected.iter().copied().take(first).collect();
                of_expected.sort_unstable();
                assert_eq!(nearest, of_expected, "{first} of {depth} of {count}");

                found.sort_unstable();
                expected.sort_unstable();
                assert_eq!(found, expected, "{depth} of {count}");
            }
        }
    }

    #[test]
    fn what_may_be_among_the_nearest_is_close() {
        let mut rng = SeededRng::new(52);
        let far = f32::INFINITY;
        for (depth, k, uncertainty, limit) in [
            (50, 10, 0.0, far),
            (50, 10, 3.0, far),
            (50, 10, 1e9, far),
            (50, 10, 1e9, -140.0),
            (50, 10, 3.0, -149.0),
            (50, 10, 0.0, -1e9),
            (50, 49, 1.0, far),
            (10, 10, 5.0, far),
            (5, 10, 0.0, far),
        ] {
            let distances: Vec<f32> = (0..400).map(|_| rng.below(300) as f32 - 150.0).collect();
            let mut nearest = Nearest::new(depth);
            nearest.take(&distances, |at| at as u32, |_| true);
            let mut sorted: Vec<(i32, u32)> =
                distances.iter().map(|distance| *distance as i32).zip(0..).collect();
            sorted.sort_unstable();
            let kth = sorted[k.min(depth) - 1].0 as f32;
            let expected = sorted.iter().take(depth).enumerate();
            let expected = expected
                .filter(|(at, one)| *at < k || one.0 as f32 <= kth + uncertainty)
                .filter(|(_, one)| one.0 as f32 <= limit);
            let mut expected: Vec<u32> = expected.map(|(_, one)| one.1).collect();
            let mut found = nearest.into_close(k, |_| (uncertainty, limit));
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{depth} {k} {uncertainty}");
        }
    }
}

//! Which way answers: what costs least of the ways that keep the promise of recall.

use crate::Reason;

/// A walk has to be so much cheaper, as a fraction: what was measured beside other work may be a quarter off, and a scan misses less.
const WALK_COUNTS: (usize, usize) = (5, 4);

/// Whether a graph answers, and why if that needs a word: of a walk what it costs, in rows whose bits are scanned, and whether its graph is
/// sure to reach its recall; of a scan what it costs and the most that it may cost to be chosen for its recall.
pub(crate) const fn is_walk_chosen(
    (walk, is_enough): (usize, bool),
    (scan, bearable): (usize, usize),
) -> (bool, Option<Reason>) {
    if walk.saturating_mul(WALK_COUNTS.0) >= scan.saturating_mul(WALK_COUNTS.1) {
        return (false, Some(Reason::ScanIsCheaper));
    }
    match (is_enough, scan <= bearable) {
        (true, _) => (true, None),
        (false, true) => (false, Some(Reason::GraphBelowTarget)),
        (false, false) => (true, Some(Reason::ScanIsTooLong)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_way_that_keeps_the_promise_answers() {
        let plan = |walk, is_enough, scan| is_walk_chosen((walk, is_enough), (scan, 1_000));
        assert_eq!(plan(100, true, 126), (true, None));
        assert_eq!(plan(100, true, 125), (false, Some(Reason::ScanIsCheaper)));
        assert_eq!(plan(100, false, 1_000), (false, Some(Reason::GraphBelowTarget)));
        assert_eq!(plan(100, false, 1_001), (true, Some(Reason::ScanIsTooLong)));
        assert_eq!(plan(2_000, false, 1_001), (false, Some(Reason::ScanIsCheaper)));
        assert_eq!(plan(100, true, usize::MAX), (true, None));
    }
}

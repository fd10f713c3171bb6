//! Which way answers: what costs least of the ways that keep the promise of recall.

use crate::{
    Reason,
    settings::{GraphEngine, Prices},
};
use pinyon_index::GraphCost;

/// What a walk costs beside a scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Price {
    /// Nanoseconds that scanning a row's bits takes, what is looked at more closely included.
    row_ns: f64,
    /// Rows whose bits are scanned in the time of a walk of effort one.
    rows_per_effort: f64,
}

impl Price {
    /// Of a graph whose part's scan counts for so many rows, by what was measured, if it was.
    pub(crate) fn new(
        (prices, engine): (Prices, GraphEngine),
        measured: Option<GraphCost>,
        rows_scanned: usize,
    ) -> Self {
        let fixed = |rows: usize| Self { row_ns: ROW_NS, rows_per_effort: rows as f64 };
        match (prices, measured) {
            (Prices::Fixed(rows), _) => fixed(rows),
            (Prices::Measured, None) => fixed(rows_per_effort(engine)),
            (Prices::Measured, Some(cost)) => {
                let row_ns = (cost.scan_ns / rows_scanned.max(1) as f64).max(f64::MIN_POSITIVE);
                Self { row_ns, rows_per_effort: cost.walk_ns_per_effort / row_ns }
            }
        }
    }

    /// A walk, in rows whose bits are scanned.
    pub(crate) fn of_walk(self, ef: usize) -> usize {
        (ef as f64 * self.rows_per_effort).ceil() as usize
    }

    /// Rows whose bits are scanned in so many milliseconds.
    pub(crate) fn rows_in(self, millis: usize) -> usize {
        (millis as f64 * 1e6 / self.row_ns) as usize
    }
}

/// Where nothing was measured: what reading a row's bits takes at 384 components with AVX-512.
const ROW_NS: f64 = 3.0;

/// The same of a walk of effort one, in such rows: our graph takes about 1 us for that, hnsw_rs 12 us.
const fn rows_per_effort(engine: GraphEngine) -> usize {
    match engine {
        GraphEngine::Codes => 350,
        GraphEngine::HnswRs => 4_000,
    }
}

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

    #[test]
    fn what_was_measured_tells_what_is_cheaper_and_what_is_bearable() {
        let cost = GraphCost { scan_ns: 2e6, walk_ns_per_effort: 1_000.0 };
        let new = |prices, cost, rows| Price::new((prices, GraphEngine::Codes), cost, rows);
        let price = new(Prices::Measured, Some(cost), 100_000);
        assert_eq!((price.of_walk(100), price.rows_in(20)), (5_000, 1_000_000));
        assert_eq!(new(Prices::Fixed(7), Some(cost), 100_000).of_walk(3), 21);
        let unknown = new(Prices::Measured, None, 100_000);
        assert_eq!((unknown.of_walk(1), unknown.rows_in(3)), (350, 1_000_000));
        let slow = Price::new((Prices::Measured, GraphEngine::HnswRs), None, 100_000);
        assert_eq!(slow.of_walk(1), 4_000);
        assert_eq!(new(Prices::Measured, Some(cost), 0).of_walk(0), 0);
    }
}

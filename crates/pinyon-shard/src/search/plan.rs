//! Which way answers: what costs least of the ways that keep the promise of recall.

/// Why a graph did not answer, or did in spite of what its test found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A scan costs less than a walk.
    ScanIsCheaper,
    /// Too few of the graph's rows are alive and pass the filter.
    FewRowsWanted,
    /// The graph is not sure to reach its recall, and a scan is bearable.
    GraphBelowTarget,
    /// The graph is not sure to reach its recall, and a scan takes too long.
    ScanIsTooLong,
    /// The walk found too few rows that are alive and pass the filter.
    WalkFoundTooFew,
}

impl Reason {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScanIsCheaper => "scan_is_cheaper",
            Self::FewRowsWanted => "few_rows_wanted",
            Self::GraphBelowTarget => "graph_below_target",
            Self::ScanIsTooLong => "scan_is_too_long",
            Self::WalkFoundTooFew => "walk_found_too_few",
        }
    }
}

/// Whether a graph answers, and why if that needs a word: of a walk what it costs, in rows whose bits are scanned, and whether its graph is
/// sure to reach its recall; of a scan what it costs and the most that it may cost to be chosen for its recall.
pub(crate) const fn is_walk_chosen(
    (walk, is_enough): (usize, bool),
    (scan, bearable): (usize, usize),
) -> (bool, Option<Reason>) {
    if walk >= scan {
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
        assert_eq!(plan(100, true, 101), (true, None));
        assert_eq!(plan(100, true, 100), (false, Some(Reason::ScanIsCheaper)));
        assert_eq!(plan(100, false, 1_000), (false, Some(Reason::GraphBelowTarget)));
        assert_eq!(plan(100, false, 1_001), (true, Some(Reason::ScanIsTooLong)));
        assert_eq!(plan(2_000, false, 1_001), (false, Some(Reason::ScanIsCheaper)));
        assert_eq!(plan(100, true, usize::MAX), (true, None));
    }
}

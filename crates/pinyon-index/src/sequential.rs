//! How sure a measured recall is. The ten results of a query stand or fall together, so that they count as fewer; and who looks at the
//! same figures again and again sees a lucky one in the end, so that every look has a part of the error that is allowed in all: the last,
//! which knows most, half of it, the one before a quarter, and so on.

use statrs::function::beta::beta_reg;
use std::{collections::VecDeque, iter::successors};

/// Results of a query: what recall@10 means.
pub(crate) const K: usize = 10;
/// Queries after which it is looked whether the answer is known.
const FIRST_LOOK: usize = 64;
/// Looks: after 64, 128, … 4,096 queries.
const LOOKS: usize = 7;
/// The chance, over all looks, of accepting what misses the target, and of refusing what reaches it.
const ACCEPTED_WRONGLY: f64 = 0.01;
const REFUSED_WRONGLY: f64 = 0.05;
/// The chance on either side that what is reported lies beyond its bounds.
const REPORTED_WRONGLY: f64 = 0.05;
/// Results of a query count for this many times fewer at least (measured: 2.7 to 3.0 for graphs asked by people, 4.3 by probes): what few
/// queries show of it is too little as often as too much. Where the results are one crowd they are found or missed together, which is seen only when one is missed.
const DESIGN_EFFECT_MIN: f64 = 3.0;
const DESIGN_EFFECT_MIN_OF_PROBES: f64 = 4.0;

/// A look at what so many queries found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Look {
    pub(crate) queries: usize,
    /// The part of the error allowed in all looks that this one may make.
    error_share: f64,
}

/// When it is looked, for up to so many queries.
pub(crate) fn looks(most: usize) -> impl Iterator<Item = Look> {
    let most = most.min(FIRST_LOOK << (LOOKS - 1));
    let before = successors(Some(FIRST_LOOK), |queries| Some(2 * queries));
    let before = before.take_while(move |queries| *queries < most).collect::<Vec<usize>>();
    let shares =
        successors(Some(0.5), |share| Some(share / 2.0)).take(before.len() + 1).collect::<Vec<f64>>();
    let queries = before.into_iter().chain(std::iter::once(most));
    queries.zip(shares.into_iter().rev()).map(|(queries, error_share)| Look { queries, error_share })
}

/// What queries that were asked are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Made of the rows themselves.
    Probes,
    /// Asked by people.
    Questions,
}

impl Asked {
    /// Their name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::Questions => "questions",
        }
    }
}

/// A recall@10 that was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recall {
    /// As measured, 0 to 1.
    pub mean: f64,
    /// It is less than this in one case of twenty.
    pub lower: f64,
    /// It is more than this in one case of twenty.
    pub upper: f64,
    /// How many queries tell.
    pub queries: usize,
    /// What they are.
    pub asked: Asked,
}

/// What is known of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Reached,
    Missed,
    Open,
}

/// Results that queries found and missed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Evidence {
    queries: usize,
    results: usize,
    missed: usize,
    /// Sum of the squares of what each query missed.
    squares: usize,
    are_probes: bool,
}

impl Evidence {
    /// Adds a query that missed some of its results.
    pub(crate) const fn add(&mut self, missed: usize, results: usize) {
        self.queries += 1;
        self.results += results;
        self.missed += missed;
        self.squares += missed * missed;
    }

    /// Nothing yet, of such queries.
    pub(crate) fn of(asked: Asked) -> Self {
        Self { are_probes: asked == Asked::Probes, ..Self::default() }
    }

    /// Both together.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            queries: self.queries + other.queries,
            results: self.results + other.results,
            missed: self.missed + other.missed,
            squares: self.squares + other.squares,
            are_probes: self.are_probes || other.are_probes,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.queries == 0
    }

    pub(crate) fn missed_share(&self) -> f64 {
        if self.results == 0 { 0.0 } else { self.missed as f64 / self.results as f64 }
    }

    /// How many results count: those of a query that misses one miss others as well.
    fn independent(&self) -> f64 {
        let (queries, missed) = (self.queries.max(1) as f64, self.missed as f64);
        let variance = self.squares as f64 / queries - (missed / queries).powi(2);
        let share = self.missed_share();
        let of_independent = self.results as f64 / queries * share * (1.0 - share);
        let effect = if of_independent > 0.0 { variance / of_independent } else { 1.0 };
        let least = if self.are_probes { DESIGN_EFFECT_MIN_OF_PROBES } else { DESIGN_EFFECT_MIN };
        self.results as f64 / effect.max(least)
    }

    /// Whether the recall is the target or more, as far as one of several looks tells.
    pub(crate) fn verdict(&self, target: f64, look: Look) -> Verdict {
        let missed_max = 1.0 - target;
        let (missed, count) = (self.missed_share(), self.independent());
        if upper(missed, count, look.error_share * ACCEPTED_WRONGLY) <= missed_max {
            return Verdict::Reached;
        }
        let is_missed = lower(missed, count, look.error_share * REFUSED_WRONGLY) > missed_max;
        if is_missed { Verdict::Missed } else { Verdict::Open }
    }

    /// The recall with its bounds.
    pub(crate) fn recall(&self, asked: Asked) -> Recall {
        let (missed, count) = (self.missed_share(), self.independent());
        Recall {
            mean: 1.0 - missed,
            lower: 1.0 - upper(missed, count, REPORTED_WRONGLY),
            upper: 1.0 - lower(missed, count, REPORTED_WRONGLY),
            queries: self.queries,
            asked,
        }
    }
}

/// What the latest questions missed.
#[derive(Debug, Clone, Default)]
pub struct Drift {
    /// Misses and results of each.
    latest: VecDeque<(usize, usize)>,
}

impl Drift {
    /// Adds a question that missed some of its results; the oldest goes.
    pub fn add(&mut self, missed: usize, results: usize) {
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back((missed, results));
    }

    /// Whether their recall is less than a target, as sure as one can be with one chance of error in twenty.
    pub fn is_below(&self, target: f64) -> bool {
        let mut evidence = Evidence::default();
        self.latest.iter().for_each(|(missed, results)| evidence.add(*missed, *results));
        lower(evidence.missed_share(), evidence.independent(), REPORTED_WRONGLY) > 1.0 - target
    }
}

/// Questions that drift is seen by.
const LATEST: usize = 500;

/// The greatest share of which as little as `seen` of `count` is seen with the chance `error` (Clopper and Pearson, 1934; `count` need not
/// be whole).
fn upper(seen: f64, count: f64, error: f64) -> f64 {
    let missed = seen * count;
    if count - missed <= 0.0 {
        return 1.0;
    }
    root(|share| 1.0 - beta_reg(missed + 1.0, count - missed, share), error)
}

/// The least share of which as much is seen with that chance.
fn lower(seen: f64, count: f64, error: f64) -> f64 {
    1.0 - upper(1.0 - seen, count, error)
}

/// Where a chance that falls from 1 to 0 is this great.
fn root(chance: impl Fn(f64) -> f64, at: f64) -> f64 {
    let (mut below, mut above) = (0.0, 1.0);
    for _ in 0..48 {
        let middle = f64::midpoint(below, above);
        if chance(middle) > at { below = middle } else { above = middle }
    }
    above
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::SeededRng;

    /// The share of runs that end in a verdict, where results of a query stand or fall together as often as the design effect says.
    fn share_of(wanted: Verdict, recall: f64, design_effect: f64, runs: usize) -> f64 {
        let mut rng = SeededRng::new((recall * 1e6) as u64 + design_effect as u64);
        let together = (design_effect - 1.0) / (K as f64 - 1.0);
        let run = |rng: &mut SeededRng| {
            let mut evidence = Evidence::default();
            for look in looks(usize::MAX) {
                while evidence.queries < look.queries {
                    // All results of a query are one coin, or each its own: the variance is that of the design effect.
                    let missed = if rng.unit() < together {
                        if rng.unit() < recall { 0 } else { K }
                    } else {
                        (0..K).filter(|_| rng.unit() >= recall).count()
                    };
                    evidence.add(missed, K);
                }
                match evidence.verdict(0.99, look) {
                    Verdict::Open => {}
                    verdict => return verdict,
                }
            }
            Verdict::Open
        };
        (0..runs).filter(|_| run(&mut rng) == wanted).count() as f64 / runs as f64
    }

    #[test]
    fn what_is_a_little_too_bad_is_accepted_in_one_case_of_seventy_at_most() {
        for design_effect in [1.4, 4.0] {
            let accepted = share_of(Verdict::Reached, 0.9899, design_effect, 2_000);
            assert!(accepted <= 0.015, "{design_effect}: {accepted}");
        }
    }

    #[test]
    fn what_is_good_enough_is_accepted_and_what_is_bad_refused() {
        for (recall, least) in [(0.9995, 0.999), (0.997, 0.98)] {
            let accepted = share_of(Verdict::Reached, recall, 3.0, 300);
            assert!(accepted >= least, "{recall}: {accepted}");
        }
        assert!(share_of(Verdict::Missed, 0.97, 3.0, 300) > 0.99);
        assert!(share_of(Verdict::Missed, 0.992, 3.0, 300) <= 0.05);
    }

    #[test]
    fn bounds_lie_on_either_side_and_close_in() {
        let mut evidence = Evidence::default();
        let mut width = f64::INFINITY;
        for look in looks(2_000) {
            (evidence.queries..look.queries).for_each(|query| evidence.add(query % 10 / 9, K));
            let recall = evidence.recall(Asked::Probes);
            assert!(recall.lower < recall.mean && recall.mean < recall.upper, "{recall:?}");
            assert!(recall.upper - recall.lower < width);
            width = recall.upper - recall.lower;
        }
        let last = |most| looks(most).last().map(|look| look.queries);
        assert_eq!(
            (evidence.queries, last(0), last(100), last(9_999)),
            (2_000, Some(0), Some(100), Some(4_096))
        );
        assert_eq!(Evidence::default().recall(Asked::Probes).lower, 0.0);
    }
}

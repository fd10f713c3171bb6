//! A figure over the rounds of a run, and what two of them tell.

use serde::Serialize;

/// Figures that differ by less are taken for the same: every engine is built once, and what its build left to chance is in all
/// of its rounds.
pub(super) const MARGIN: f64 = 0.15;

/// The median of rounds, with the smallest and the largest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

/// What two spreads tell of the second against the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every round of it was larger than any of the first.
    More,
    /// Every round of it was smaller than any of the first.
    Less,
    /// All rounds of both lie within the margin.
    Same,
    /// The rounds of both overlap, and are not all alike.
    CannotTell,
}

impl Spread {
    /// The spread of at least one figure.
    pub(super) fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_unstable_by(f64::total_cmp);
        let at = |at: usize| figures.get(at).copied().unwrap_or_default();
        let (last, half) = (figures.len().saturating_sub(1), figures.len() / 2);
        let median =
            if figures.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half.max(1) - 1), at(half)) };
        Self { median, min: at(0), max: at(last) }
    }

    pub(super) fn range(&self) -> [f64; 2] {
        [self.min, self.max]
    }

    /// What this one is against another.
    pub(super) fn against(&self, other: &Self) -> Verdict {
        let (least, most) = (self.min / other.max.max(1e-9), self.max / other.min.max(1e-9));
        let ratio = self.median / other.median.max(1e-9);
        if most <= 1.0 + MARGIN && least >= 1.0 / (1.0 + MARGIN) {
            Verdict::Same
        } else if least > 1.0 && ratio > 1.0 + MARGIN {
            Verdict::More
        } else if most < 1.0 && ratio < 1.0 / (1.0 + MARGIN) {
            Verdict::Less
        } else {
            Verdict::CannotTell
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_lie_in_the_middle() {
        let of = |figures: &[f64]| Spread::of(figures.iter().copied());
        assert_eq!(of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(of(&[7.0]), Spread { median: 7.0, min: 7.0, max: 7.0 });
    }

    #[test]
    fn nothing_is_told_from_rounds_that_overlap() {
        let of = |min, median, max| Spread { median, min, max };
        let one = of(0.9, 1.0, 1.2);
        for (other, expected) in [
            (of(1.3, 1.5, 2.0), Verdict::More),
            (of(0.1, 0.5, 0.8), Verdict::Less),
            (of(1.1, 1.9, 3.0), Verdict::CannotTell),
            (of(0.5, 0.6, 0.95), Verdict::CannotTell),
            (of(0.9, 1.0, 1.2), Verdict::CannotTell),
            // Apart, but by less than the margin.
            (of(1.21, 1.14, 1.4), Verdict::CannotTell),
        ] {
            assert_eq!(other.against(&one), expected, "{other:?}");
        }
        let close = of(0.98, 1.0, 1.02);
        for (other, expected) in [
            (of(0.97, 1.0, 1.03), Verdict::Same),
            (of(1.03, 1.05, 1.08), Verdict::Same),
            (of(1.05, 1.10, 1.3), Verdict::CannotTell),
            (of(1.17, 1.18, 1.19), Verdict::More),
        ] {
            assert_eq!(other.against(&close), expected, "{other:?}");
        }
    }
}

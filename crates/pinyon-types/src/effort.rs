//! How much work a search does, against what the self-tests of codes and graphs found to be enough.

use crate::{Invalid, limits};

/// How hard a search tries: a factor on the depths that self-tests found, and a cap on the rows whose distances are computed
/// from their vectors after codes or a graph have chosen them. Scans of vectors and of posting lists are complete whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Effort {
    factor: Option<f64>,
    candidates_max: Option<usize>,
}

impl Effort {
    /// What the self-tests found to be enough, without a cap.
    pub const NORMAL: Self = Self { factor: None, candidates_max: None };

    /// Checks and wraps what a query for `top_k` results asks for; what it does not say is left open.
    ///
    /// # Errors
    /// A factor outside 0.5 to 4, a cap outside `top_k` to 100,000.
    pub fn new(scan_factor: Option<f64>, max_candidates: Option<i64>, top_k: usize) -> Result<Self, Invalid> {
        let factor = scan_factor.map(checked_factor).transpose()?;
        let candidates_max = max_candidates.map(|count| checked_cap(count, top_k)).transpose()?;
        Ok(Self { factor, candidates_max })
    }

    /// The same with a factor where none was asked for.
    #[must_use]
    pub fn or_factor(self, factor: f64) -> Self {
        Self { factor: Some(self.factor.unwrap_or(factor)), ..self }
    }

    /// The factor: 1 is what the self-tests found.
    pub fn factor(self) -> f64 {
        self.factor.unwrap_or(1.0)
    }

    /// Most rows, in one part of a namespace, that have their distances computed from their vectors.
    pub const fn candidates_max(self) -> Option<usize> {
        self.candidates_max
    }

    /// A depth times the factor; enough for `k` results whatever the factor (QRY-3).
    pub fn scaled(self, depth: usize, k: usize) -> usize {
        let scaled = (depth as f64 * self.factor()).ceil() as usize;
        scaled.max(k.min(depth))
    }

    /// Most rows, in one part, that have their distances computed from their vectors in a search for `k` results.
    pub fn candidates_max_for(self, k: usize) -> usize {
        self.capped(usize::MAX, k)
    }

    /// A number of candidates for `k` results below the cap; never fewer than `k` of them (QRY-3).
    pub fn capped(self, candidates: usize, k: usize) -> usize {
        self.candidates_max.map_or(candidates, |most| candidates.min(most.max(k)))
    }
}

/// Checks a factor.
///
/// # Errors
/// Outside 0.5 to 4, or no number.
fn checked_factor(factor: f64) -> Result<f64, Invalid> {
    if (limits::SCAN_FACTOR_MIN..=limits::SCAN_FACTOR_MAX).contains(&factor) {
        return Ok(factor);
    }
    let problem = format!("must be {} to {}, is {factor}", limits::SCAN_FACTOR_MIN, limits::SCAN_FACTOR_MAX);
    Err(Invalid::new("scan_factor", problem))
}

fn checked_cap(count: i64, top_k: usize) -> Result<usize, Invalid> {
    let checked = usize::try_from(count).ok();
    checked.filter(|count| (top_k..=limits::CANDIDATES_MAX).contains(count)).ok_or_else(|| {
        let problem = format!("must be top_k ({top_k}) to {}, is {count}", limits::CANDIDATES_MAX);
        Invalid::new("max_candidates", problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_closed_and_errors_name_field_range_and_value() {
        for good in [0.5, 1.0, 4.0] {
            assert_eq!(Effort::new(Some(good), None, 10).unwrap().factor(), good);
        }
        for bad in [0.49, 4.01, -1.0, f64::NAN, f64::INFINITY] {
            let refused = Effort::new(Some(bad), None, 10).unwrap_err().to_string();
            assert_eq!(refused, format!("scan_factor: must be 0.5 to 4, is {bad}"));
        }
        assert_eq!(Effort::new(None, Some(10), 10).unwrap().candidates_max(), Some(10));
        assert_eq!(Effort::new(None, Some(100_000), 10_000).unwrap().candidates_max(), Some(100_000));
        for bad in [9, 100_001, 0, -1, i64::MAX] {
            let refused = Effort::new(None, Some(bad), 10).unwrap_err().to_string();
            assert_eq!(refused, format!("max_candidates: must be top_k (10) to 100000, is {bad}"));
        }
    }

    #[test]
    fn what_was_asked_for_wins_over_the_default_and_results_are_never_cut() {
        let open = Effort::new(None, Some(20), 10).unwrap();
        assert_eq!((open.factor(), open.or_factor(2.0).factor()), (1.0, 2.0));
        let low = Effort::new(Some(0.5), Some(20), 10).unwrap().or_factor(2.0);
        assert_eq!(low.factor(), 0.5);
        assert_eq!((low.scaled(101, 10), low.scaled(15, 10), low.scaled(8, 10)), (51, 10, 8));
        assert_eq!((low.capped(100, 10), low.capped(100, 30), low.capped(15, 10)), (20, 30, 15));
        assert_eq!((Effort::NORMAL.scaled(24, 10), Effort::NORMAL.capped(24, 10)), (24, 24));
    }
}

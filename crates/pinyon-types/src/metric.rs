//! Metrics, and the two numbers that must not be mixed: the internal distance and the public score.

use crate::Invalid;
use std::{cmp::Ordering, fmt};

/// How nearness of two vectors is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Cosine of the angle; a vector of length zero has score 0 with everything.
    Cosine,
    /// Inner product, not normalised.
    DotProduct,
    /// Squared Euclidean distance.
    Euclidean,
}

impl Metric {
    /// Pinecone's spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::DotProduct => "dotproduct",
            Self::Euclidean => "euclidean",
        }
    }

    /// Reads Pinecone's spelling.
    ///
    /// # Errors
    /// Any other text.
    pub fn from_name(name: &str) -> Result<Self, Invalid> {
        [Self::Cosine, Self::DotProduct, Self::Euclidean]
            .into_iter()
            .find(|metric| metric.name() == name)
            .ok_or_else(|| {
                Invalid::new("metric", format!("must be cosine, dotproduct or euclidean, is {name:?}"))
            })
    }

    /// Whether the best score is the highest one.
    pub const fn prefers_higher_scores(self) -> bool {
        !matches!(self, Self::Euclidean)
    }

    /// Returns the public score of an internal distance: the nearest f32, never infinite.
    pub fn score(self, distance: Distance) -> Score {
        let score = match self {
            Self::Cosine => 1.0 - distance.0,
            // Not a negation: a product of zero is no negative zero.
            Self::DotProduct => 0.0 - distance.0,
            Self::Euclidean => distance.0,
        };
        // Only vectors that were kept before there was a limit on their length reach the ends of the range.
        Score((score as f32).clamp(f32::MIN, f32::MAX))
    }

    /// Whether scores grow with the length of vectors, so that the length needs a limit (see
    /// [`limits::VECTOR_LENGTH_MAX`](crate::limits::VECTOR_LENGTH_MAX)).
    pub const fn depends_on_length(self) -> bool {
        !matches!(self, Self::Cosine)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Internal nearness: smaller is nearer, for every metric. Cosine: one minus the cosine; dot product: the
/// negated product; euclidean: the squared distance. Totally ordered; never NaN for validated vectors. It is wider than a score,
/// because products of small components lie below what f32 can hold and still have an order.
#[derive(Debug, Clone, Copy)]
pub struct Distance(f64);

impl Distance {
    /// Farther than every real distance.
    pub const FARTHEST: Self = Self(f64::INFINITY);

    /// Wraps a number; NaN (which validated vectors do not produce) counts as farthest.
    pub const fn new(value: f64) -> Self {
        if value.is_nan() { Self::FARTHEST } else { Self(value) }
    }

    /// Wraps a number, rounded to f32 where f32 holds it without losing digits: rows whose scores are equal are at equal
    /// distances, so that ties are decided by id and not by what no client sees.
    pub fn rounded(value: f64) -> Self {
        let narrow = value as f32;
        Self::new(if narrow.is_normal() { f64::from(narrow) } else { value })
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Distance {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Distance {}

impl PartialOrd for Distance {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Distance {
    /// `-0.0` and `0.0` are the same distance, so that ties are decided by id and not by a sign.
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0 + 0.0).total_cmp(&(other.0 + 0.0))
    }
}

/// A metric's public meaning: what a client reads as `score`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Score(f32);

impl Score {
    /// The number.
    pub const fn get(self) -> f32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_have_a_total_order_without_signed_zero() {
        assert_eq!(Distance::new(-0.0), Distance::new(0.0));
        assert!(Distance::new(f64::NAN) == Distance::FARTHEST);
        assert!(Distance::new(-3.0) < Distance::new(1.0));
    }

    #[test]
    fn distances_round_to_scores_and_keep_what_scores_cannot_hold() {
        assert_eq!(Distance::rounded(1.0 + 1e-9), Distance::new(1.0));
        assert!(Distance::rounded(1e-60) < Distance::rounded(2e-60));
        assert!(Distance::rounded(1e60) < Distance::rounded(2e60));
        assert_eq!(Metric::Euclidean.score(Distance::rounded(1e60)).get(), f32::MAX);
        assert_eq!(Metric::DotProduct.score(Distance::rounded(1e60)).get(), f32::MIN);
        assert_eq!(Metric::Euclidean.score(Distance::rounded(1e-60)).get(), 0.0);
    }

    #[test]
    fn scores_have_the_metrics_public_meaning() {
        assert_eq!(Metric::Cosine.score(Distance::new(0.25)).get(), 0.75);
        assert_eq!(Metric::DotProduct.score(Distance::new(-7.0)).get(), 7.0);
        assert!(Metric::DotProduct.score(Distance::new(0.0)).get().is_sign_positive());
        assert_eq!(Metric::Euclidean.score(Distance::new(4.0)).get(), 4.0);
        assert!(Metric::from_name("l2").is_err());
    }
}

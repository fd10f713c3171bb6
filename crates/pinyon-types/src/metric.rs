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

    /// The public score of an internal distance.
    pub fn score(self, distance: Distance) -> Score {
        match self {
            Self::Cosine => Score(1.0 - distance.0),
            // Not a negation: a product of zero is no negative zero.
            Self::DotProduct => Score(0.0 - distance.0),
            Self::Euclidean => Score(distance.0),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Internal nearness: smaller is nearer, for every metric. Cosine: one minus the cosine; dot product: the
/// negated product; euclidean: the squared distance. Totally ordered; never NaN for validated vectors.
#[derive(Debug, Clone, Copy)]
pub struct Distance(f32);

impl Distance {
    /// Farther than every real distance.
    pub const FARTHEST: Self = Self(f32::INFINITY);

    /// Wraps a number; NaN (which validated vectors do not produce) counts as farthest.
    pub const fn new(value: f32) -> Self {
        if value.is_nan() { Self::FARTHEST } else { Self(value) }
    }

    /// The number.
    pub const fn get(self) -> f32 {
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
        assert!(Distance::new(f32::NAN) == Distance::FARTHEST);
        assert!(Distance::new(-3.0) < Distance::new(1.0));
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

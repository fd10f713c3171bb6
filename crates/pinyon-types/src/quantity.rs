//! Quantities that have a range.

use crate::{Invalid, limits};
use std::fmt;

/// Number of components of a dense vector, 1 to 20,000; or [`Dim::NONE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dim(u32);

impl Dim {
    /// No dense vectors: what an index of sparse ones has.
    pub const NONE: Self = Self(0);

    /// Reads what was kept of an index: also that it has no dense vectors.
    ///
    /// # Errors
    /// More than 20,000.
    pub fn stored(value: u32) -> Result<Self, Invalid> {
        if value == 0 { Ok(Self::NONE) } else { Self::new(value) }
    }

    /// Whether there are no dense vectors.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Checks and wraps a dimension.
    ///
    /// # Errors
    /// Outside 1 to 20,000.
    pub fn new(value: u32) -> Result<Self, Invalid> {
        if (limits::DIM_MIN..=limits::DIM_MAX).contains(&value) {
            return Ok(Self(value));
        }
        let problem = format!("must be {} to {}, is {value}", limits::DIM_MIN, limits::DIM_MAX);
        Err(Invalid::new("dimension", problem))
    }

    /// The number of components.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number of components, for sizes and ranges.
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many results a query asks for, 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopK(u32);

impl TopK {
    /// Checks and wraps a count.
    ///
    /// # Errors
    /// Outside 1 to 10,000.
    pub fn new(value: u32) -> Result<Self, Invalid> {
        if (1..=limits::TOP_K_MAX).contains(&value) {
            return Ok(Self(value));
        }
        let problem = format!("must be 1 to {}, is {value}", limits::TOP_K_MAX);
        Err(Invalid::new("top_k", problem))
    }

    /// The count.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_closed_at_both_ends() {
        assert!(Dim::new(0).is_err() && Dim::new(20_001).is_err());
        assert!(Dim::stored(0) == Ok(Dim::NONE) && Dim::stored(20_001).is_err());
        assert!(Dim::new(1).is_ok() && Dim::new(20_000).is_ok());
        assert!(TopK::new(0).is_err() && TopK::new(10_001).is_err());
        assert_eq!(TopK::new(10_000).map(TopK::get), Ok(10_000));
    }
}

//! Bits as a file keeps them, with what the self-test found of them.

use super::{APART_ROWS_MIN, CodedRows, CodesTest, build::none_of};
use pinyon_distance::codes::{PointSpace, SignParts, SignRows};
use pinyon_types::Metric;

/// Codes of a bit a component that lie apart, and how they are searched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeptBits<'a> {
    /// See [`PointSpace::lifted_to`].
    pub lifted_to: f32,
    /// Of all rotated points.
    pub mean: &'a [f32],
    /// Each row's bits and its terms, in whole lines.
    pub words: &'a [u64],
    /// What was found of them, where they are alone.
    pub test: CodesTest,
}

impl CodedRows {
    /// Whether codes of so many rows can be kept.
    pub const fn can_keep(rows: usize) -> bool {
        rows >= APART_ROWS_MIN
    }

    /// What is to be kept of them; `None` of too few rows.
    pub fn kept(&self) -> Option<KeptBits<'_>> {
        let SignParts { space, mean, words, .. } = self.signs.as_ref()?.parts()?;
        Some(KeptBits { lifted_to: space.lifted_to(), mean, words, test: self.test.of_bits_alone(self.rows) })
    }

    /// Bits alone of so many rows of `dim` components, as they were kept; `None` if these are not theirs.
    pub fn of_kept(metric: Metric, dim: usize, rows: usize, kept: KeptBits<'_>) -> Option<Self> {
        let KeptBits { lifted_to, mean, words, test } = kept;
        let space = PointSpace::lifted(metric, lifted_to)?;
        let is_theirs = mean.len() == space.dim(dim) && Self::can_keep(rows);
        let signs = is_theirs.then(|| SignRows::from_parts(SignParts { space, mean, rows, words }))??;
        Some(Self::of_bits(none_of(space, dim), signs, test))
    }
}

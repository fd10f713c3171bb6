//! A query with its metric: turns kernels into distances.

use crate::{CodeKernels, Kernels, codes::LINE_BYTES, reference};
use pinyon_types::{Distance, Metric};
use std::sync::OnceLock;

/// Rows are scored in blocks of this many, so that scores stay in the first-level cache.
const BLOCK_ROWS: usize = 64;
const COMPONENTS_PER_LINE: usize = LINE_BYTES / size_of::<f32>();

/// Lengths product below which products of components lose digits in f32, as one over it.
const INVERSE_LENGTHS_MAX: f64 = 1e25;
/// Squared distances below this lose digits in f32: the squares of components do, and some vanish.
const SQUARED_DISTANCE_MIN: f32 = 1e-30;
/// One over lengths that f32 holds with all its digits.
const INVERSE_NORMS: std::ops::Range<f32> = 1e-37..1e37;

/// Returns one over a vector's length; 0 for a vector of zeros. Never infinite, never NaN for finite components; outside
/// the range that [`is_ordinary`] admits it is only near the truth.
pub fn inverse_norm(vector: &[f32]) -> f32 {
    let squared = Kernels::detect().dot(vector, vector);
    // Outside this range f32 has lost digits or overflowed, and double precision has not.
    let length = if (1e-30..1e30).contains(&squared) { f64::from(squared).sqrt() } else { length(vector) };
    if length == 0.0 {
        return 0.0;
    }
    ((1.0 / length) as f32).min(f32::MAX)
}

/// Returns a vector's length (Euclidean norm), right over the whole range of f32.
pub fn length(vector: &[f32]) -> f64 {
    reference::dot_f64(vector, vector).sqrt()
}

/// Whether one over a vector's length is as exact as f32 can be; that of zeros is.
pub(crate) fn is_ordinary(inverse_norm: f32) -> bool {
    inverse_norm == 0.0 || INVERSE_NORMS.contains(&inverse_norm)
}

/// Scores rows against one query.
#[derive(Debug, Clone)]
pub struct QueryScorer<'a> {
    kernels: Kernels,
    metric: Metric,
    query: &'a [f32],
    inverse_norm: f32,
    /// The query's length in double precision, for rows that need it.
    length: OnceLock<f64>,
}

impl<'a> QueryScorer<'a> {
    /// A scorer with the fastest kernels that this CPU has.
    pub fn new(metric: Metric, query: &'a [f32]) -> Self {
        let (kernels, inverse_norm) = (Kernels::detect(), inverse_norm(query));
        Self { kernels, metric, query, inverse_norm, length: OnceLock::new() }
    }

    /// The query.
    pub const fn query(&self) -> &'a [f32] {
        self.query
    }

    /// The distance of one row, given [`inverse_norm`] of it.
    ///
    /// # Panics
    /// The row's length is not the query's.
    pub fn distance(&self, row: &[f32], row_inverse_norm: f32) -> Distance {
        let raw = match self.metric {
            Metric::Cosine | Metric::DotProduct => self.kernels.dot(self.query, row),
            Metric::Euclidean => self.kernels.l2_squared(self.query, row),
        };
        self.finish(raw, row, row_inverse_norm)
    }

    /// Asks for a row that will be scored soon: rows in no order are waited for otherwise.
    pub fn fetch(&self, row: &[f32]) {
        let kernels = CodeKernels::detect();
        row.iter().step_by(COMPONENTS_PER_LINE).for_each(|component| kernels.prefetch(component));
    }

    /// Calls `each` with the number and distance of consecutive rows.
    ///
    /// # Panics
    /// `rows` does not hold `inverse_norms.len()` rows of the query's length.
    pub fn distances(&self, rows: &[f32], inverse_norms: &[f32], mut each: impl FnMut(usize, Distance)) {
        assert_eq!(rows.len(), self.query.len() * inverse_norms.len(), "a block holds whole rows");
        let mut raw = [0.0; BLOCK_ROWS];
        for (block, norms) in inverse_norms.chunks(BLOCK_ROWS).enumerate() {
            let first = block * BLOCK_ROWS;
            let rows = &rows[first * self.query.len()..(first + norms.len()) * self.query.len()];
            let raw = &mut raw[..norms.len()];
            match self.metric {
                Metric::Cosine | Metric::DotProduct => self.kernels.dots(self.query, rows, raw),
                Metric::Euclidean => self.kernels.l2_squareds(self.query, rows, raw),
            }
            for (at, (raw, norm)) in raw.iter().zip(norms).enumerate() {
                let row = &rows[at * self.query.len()..(at + 1) * self.query.len()];
                each(first + at, self.finish(*raw, row, *norm));
            }
        }
    }

    fn finish(&self, raw: f32, row: &[f32], row_inverse_norm: f32) -> Distance {
        if !self.is_right(raw, row_inverse_norm) {
            return self.exact(row);
        }
        match self.metric {
            // A vector of zeros has inverse norm 0, hence cosine 0. Norms are multiplied in double precision: of two
            // long vectors their product may lie below what f32 can hold.
            Metric::Cosine => {
                let cosine = f64::from(raw) * f64::from(row_inverse_norm) * f64::from(self.inverse_norm);
                of_cosine(cosine)
            }
            Metric::DotProduct => Distance::new(-f64::from(raw)),
            Metric::Euclidean => Distance::new(f64::from(raw)),
        }
    }

    /// Whether a kernel's sum has all the digits that f32 can have: nothing overflowed, and what vanished is too small to count.
    fn is_right(&self, raw: f32, row_inverse_norm: f32) -> bool {
        let inverse_lengths = f64::from(row_inverse_norm) * f64::from(self.inverse_norm);
        let is_large_enough = match self.metric {
            Metric::Cosine => {
                inverse_lengths < INVERSE_LENGTHS_MAX
                    && is_ordinary(row_inverse_norm)
                    && is_ordinary(self.inverse_norm)
            }
            Metric::DotProduct => inverse_lengths < INVERSE_LENGTHS_MAX,
            Metric::Euclidean => raw >= SQUARED_DISTANCE_MIN,
        };
        raw.is_finite() && is_large_enough
    }

    /// Computes a row's distance in double precision, which neither overflows nor vanishes for components of f32.
    #[cold]
    fn exact(&self, row: &[f32]) -> Distance {
        let dot = || reference::dot_f64(self.query, row);
        match self.metric {
            Metric::Cosine => {
                let lengths = self.length.get_or_init(|| length(self.query)) * length(row);
                of_cosine(if lengths == 0.0 { 0.0 } else { dot() / lengths })
            }
            Metric::DotProduct => Distance::rounded(0.0 - dot()),
            Metric::Euclidean => Distance::rounded(reference::l2_squared_f64(self.query, row)),
        }
    }
}

fn of_cosine(cosine: f64) -> Distance {
    Distance::rounded((1.0 - cosine).clamp(0.0, 2.0))
}

#[cfg(test)]
mod tests;

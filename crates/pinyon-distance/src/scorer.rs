//! A query with its metric: turns kernels into distances.

use crate::{CodeKernels, Kernels, codes::LINE_BYTES, reference};
use pinyon_types::{Distance, Metric};

/// Rows are scored in blocks of this many, so that scores stay in the first-level cache.
const BLOCK_ROWS: usize = 64;
const COMPONENTS_PER_LINE: usize = LINE_BYTES / size_of::<f32>();

/// One over a vector's length; 0 for a vector of zeros. Never infinite, never NaN for finite components.
pub fn inverse_norm(vector: &[f32]) -> f32 {
    let squared = Kernels::detect().dot(vector, vector);
    // Outside this range f32 has lost digits or overflowed, and double precision has not.
    let squared = if (1e-30..1e30).contains(&squared) {
        f64::from(squared)
    } else {
        reference::dot_f64(vector, vector)
    };
    if squared == 0.0 {
        return 0.0;
    }
    ((1.0 / squared.sqrt()) as f32).min(f32::MAX)
}

/// Scores rows against one query.
#[derive(Debug, Clone)]
pub struct QueryScorer<'a> {
    kernels: Kernels,
    metric: Metric,
    query: &'a [f32],
    inverse_norm: f32,
}

impl<'a> QueryScorer<'a> {
    /// A scorer with the fastest kernels that this CPU has.
    pub fn new(metric: Metric, query: &'a [f32]) -> Self {
        Self { kernels: Kernels::detect(), metric, query, inverse_norm: inverse_norm(query) }
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
        self.finish(raw, row_inverse_norm)
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
            for (row, (raw, norm)) in raw.iter().zip(norms).enumerate() {
                each(first + row, self.finish(*raw, *norm));
            }
        }
    }

    fn finish(&self, raw: f32, row_inverse_norm: f32) -> Distance {
        match self.metric {
            // A vector of zeros has inverse norm 0, hence cosine 0. Norms are multiplied in double precision: of two
            // long vectors their product may lie below what f32 can hold.
            Metric::Cosine => {
                let cosine = f64::from(raw) * f64::from(row_inverse_norm) * f64::from(self.inverse_norm);
                Distance::new((1.0 - if cosine.is_finite() { cosine } else { 0.0 }).clamp(0.0, 2.0) as f32)
            }
            Metric::DotProduct => Distance::new(-raw),
            Metric::Euclidean => Distance::new(raw),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::SeededRng;

    const METRICS: [Metric; 3] = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean];

    fn random(rng: &mut SeededRng, length: usize) -> Vec<f32> {
        (0..length).map(|_| (rng.unit() - 0.5) as f32).collect()
    }

    #[test]
    fn a_vector_is_at_distance_zero_from_itself_and_from_its_multiples_by_cosine() {
        let mut rng = SeededRng::new(3);
        for length in [1, 2, 3, 17, 384, 1536] {
            let vector = random(&mut rng, length);
            for scale in [1.0_f32, 1e-20, 1e18] {
                let scaled: Vec<f32> = vector.iter().map(|component| component * scale).collect();
                let distance =
                    QueryScorer::new(Metric::Cosine, &vector).distance(&scaled, inverse_norm(&scaled));
                assert!(distance.get() < 2e-6, "{length} * {scale}: {}", distance.get());
            }
            let distance = QueryScorer::new(Metric::Euclidean, &vector).distance(&vector, 0.0);
            assert_eq!(distance.get(), 0.0);
        }
    }

    #[test]
    fn zero_vectors_have_score_zero_by_cosine_and_never_nan() {
        let (zero, one) = ([0.0; 5], [1.0; 5]);
        for (query, row) in [(zero, one), (one, zero), (zero, zero)] {
            let distance = QueryScorer::new(Metric::Cosine, &query).distance(&row, inverse_norm(&row));
            assert_eq!(Metric::Cosine.score(distance).get(), 0.0);
        }
        for extreme in [f32::MAX, f32::MIN_POSITIVE, 1e-45] {
            let row = [extreme; 5];
            assert!(inverse_norm(&row).is_finite());
            for metric in METRICS {
                let distance = QueryScorer::new(metric, &row).distance(&row, inverse_norm(&row));
                assert!(!distance.get().is_nan(), "{metric} {extreme}");
            }
        }
    }

    #[test]
    fn batches_give_each_row_the_distance_it_has_alone() {
        let mut rng = SeededRng::new(4);
        for metric in METRICS {
            for count in [0, 1, 63, 64, 65, 200] {
                let (query, rows) = (random(&mut rng, 33), random(&mut rng, 33 * count));
                let norms: Vec<f32> = rows.chunks(33).map(inverse_norm).collect();
                let scorer = QueryScorer::new(metric, &query);
                let mut seen = 0;
                scorer.distances(&rows, &norms, |row, distance| {
                    assert_eq!(row, seen);
                    let alone = scorer.distance(&rows[row * 33..(row + 1) * 33], norms[row]);
                    assert_eq!(distance.get().to_bits(), alone.get().to_bits());
                    seen += 1;
                });
                assert_eq!(seen, count);
            }
        }
    }
}

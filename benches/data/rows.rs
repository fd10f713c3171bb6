//! Rows of floats; must not know where they came from.

/// Rows of one length, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Components of a row.
    pub dim: usize,
    /// All rows.
    pub values: Vec<f32>,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Row `at`.
    ///
    /// # Panics
    /// There is no such row.
    pub fn row(&self, at: usize) -> &[f32] {
        &self.values[at * self.dim..(at + 1) * self.dim]
    }

    /// Makes every row 1 long. A row of zeros stays as it is.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        for row in self.values.chunks_mut(self.dim) {
            let length = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
            }
        }
        self
    }
}

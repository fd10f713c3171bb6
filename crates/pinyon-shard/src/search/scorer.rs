//! What gives a row its distance: its dense vector, its sparse one, or both.

use crate::rows::row::Row;
use pinyon_distance::QueryScorer;
use pinyon_index::combined;
use pinyon_types::{Distance, SparseRef};

/// Scores single rows. What scans of many rows compute is the same, bit for bit.
#[derive(Debug)]
pub(super) struct RowScorer<'a> {
    pub(super) dense: Option<QueryScorer<'a>>,
    pub(super) sparse: Option<SparseRef<'a>>,
    /// Rows without all of these indices are no results.
    pub(super) required: &'a [u32],
}

impl RowScorer<'_> {
    pub(super) fn distance(&self, row: &Row<'_>) -> Distance {
        let dense = self.of_vector(row.vector, row.inverse_norm);
        self.sparse.map_or(dense, |query| combined(dense, query.dot(row.sparse)))
    }

    /// What the dense vector alone gives.
    pub(super) fn of_vector(&self, vector: &[f32], inverse_norm: f32) -> Distance {
        let scorer = self.dense.as_ref();
        scorer.map_or(Distance::new(0.0), |scorer| scorer.distance(vector, inverse_norm))
    }

    pub(super) fn wants(&self, sparse: SparseRef<'_>) -> bool {
        sparse.contains_all(self.required)
    }
}

//! Vectors of a record, or of a query that is near to one.

use super::convert::Shape;
use pinyon_core::{EngineError, Stored, Tenant};
use pinyon_types::{RecordId, SparseVector};

/// What a record or a query has: a dense vector, a sparse one, or both.
pub(super) struct RecordVectors {
    /// Empty if there is none.
    pub(super) dense: Vec<f32>,
    pub(super) sparse: Option<SparseVector>,
}

impl RecordVectors {
    /// Those of a record that a query can be near to, if the record is there.
    pub(super) fn of(tenant: &Tenant, id: RecordId, shape: Shape) -> Result<Option<Self>, EngineError> {
        let found = tenant.fetch(&[id])?.into_iter().next();
        Ok(found.map(|Stored { record, .. }| Self {
            dense: record.vector.as_slice().to_vec(),
            // An index of another metric may keep sparse values that clients wrote; they count in no score.
            sparse: record.sparse.filter(|_| shape.scores_sparse()),
        }))
    }
}

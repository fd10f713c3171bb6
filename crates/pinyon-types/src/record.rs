//! Records and their vectors.

use crate::{Dim, Invalid, Metadata, RecordId, SparseVector};
use std::sync::Arc;

/// The components of a dense vector: all finite, and as many as the index has dimensions, which may be none. Cheap to
/// clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector(Arc<[f32]>);

impl Vector {
    /// Checks length and components.
    ///
    /// # Errors
    /// Another length than `dim`, or a component that is NaN or infinite.
    pub fn new(components: impl Into<Arc<[f32]>>, dim: Dim) -> Result<Self, Invalid> {
        let components = components.into();
        if components.len() != dim.as_usize() {
            let problem = format!(
                "Vector dimension {} does not match the dimension of the index {dim}",
                components.len()
            );
            return Err(Invalid::new("vector", problem));
        }
        if let Some(at) = components.iter().position(|component| !component.is_finite()) {
            return Err(Invalid::new(format!("vector[{at}]"), "must be a finite number in the range of f32"));
        }
        Ok(Self(components))
    }

    /// Wraps components that were checked when they were written.
    pub fn stored(components: &[f32]) -> Self {
        Self(Arc::from(components))
    }

    /// The components.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }
}

/// One record as it is written and read: id, vectors, metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The customer's id, unique in its namespace.
    pub id: RecordId,
    /// The dense vector; without components in an index of sparse ones.
    pub vector: Vector,
    /// The sparse vector, if it has one.
    pub sparse: Option<SparseVector>,
    /// The metadata; may be empty.
    pub metadata: Metadata,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_refused_for_length_and_for_what_is_not_a_number() {
        let dim = Dim::new(2).unwrap();
        assert!(Vector::new(vec![1.0, 2.0], dim).is_ok());
        let refused = Vector::new(vec![1.0], dim).unwrap_err();
        assert!(refused.problem.contains("Vector dimension 1 does not match the dimension of the index 2"));
        assert_eq!(Vector::new(vec![1.0, f32::NAN], dim).unwrap_err().field, "vector[1]");
    }
}

//! Records and their vectors.

use crate::{Dim, Invalid, Metadata, Metric, RecordId, SparseVector, limits};
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

    /// Refuses a vector that is too long for a metric whose scores grow with it.
    ///
    /// # Errors
    /// A length above [`limits::VECTOR_LENGTH_MAX`], with any metric but cosine.
    pub fn check_length(&self, metric: Metric) -> Result<(), Invalid> {
        check_length("vector", &self.0, metric)
    }
}

/// Refuses components of a dense or sparse vector whose scores would not fit into f32.
pub(crate) fn check_length(field: &str, components: &[f32], metric: Metric) -> Result<(), Invalid> {
    if !metric.depends_on_length() {
        return Ok(());
    }
    let largest = components.iter().fold(0.0_f32, |largest, component| largest.max(component.abs()));
    // Nearly all vectors are seen to be short enough without their length.
    if f64::from(largest) * (components.len() as f64).sqrt() <= limits::VECTOR_LENGTH_MAX {
        return Ok(());
    }
    let length = components.iter().map(|component| f64::from(*component).powi(2)).sum::<f64>().sqrt();
    if length <= limits::VECTOR_LENGTH_MAX {
        return Ok(());
    }
    let max = limits::VECTOR_LENGTH_MAX;
    let problem = format!(
        "has the length (Euclidean norm) {length:.3e}; in an index with the metric {metric} it must be at most {max:e}, so that \
         scores fit into a 32-bit float: scale the vectors down, or use the metric cosine"
    );
    Err(Invalid::new(field, problem))
}

impl Record {
    /// Refuses a record whose vectors are too long for a metric.
    ///
    /// # Errors
    /// As [`Vector::check_length`] and [`SparseVector::check_length`].
    pub fn check_length(&self, metric: Metric) -> Result<(), Invalid> {
        self.vector.check_length(metric)?;
        self.sparse.as_ref().map_or(Ok(()), |sparse| sparse.check_length(metric))
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

    #[test]
    fn length_is_limited_where_scores_grow_with_it() {
        let vector = |component: f32| Vector::new(vec![component; 3], Dim::new(3).unwrap()).unwrap();
        for metric in [Metric::DotProduct, Metric::Euclidean] {
            let refused = vector(3e20).check_length(metric).unwrap_err();
            assert_eq!(refused.field, "vector");
            assert!(refused.problem.contains("5.196e20") && refused.problem.contains("9e18"), "{refused}");
            assert!(vector(f32::MAX).check_length(metric).is_err());
            assert!(vector(5e18).check_length(metric).is_ok() && vector(-1e-45).check_length(metric).is_ok());
        }
        assert!(vector(f32::MAX).check_length(Metric::Cosine).is_ok());
        let sparse = SparseVector::new(vec![1, 9], vec![1.0, -1e19]).unwrap();
        assert_eq!(sparse.check_length(Metric::DotProduct).unwrap_err().field, "sparse_values");
    }
}

//! Sparse vectors: a few weighted components out of 2^32.

use crate::{Invalid, Metric, limits, record::check_length};
use std::sync::Arc;

/// A sparse vector: at least one component, indices distinct and ascending, weights finite. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseVector {
    indices: Arc<[u32]>,
    values: Arc<[f32]>,
}

impl SparseVector {
    /// Checks components and puts them in order of their indices.
    ///
    /// # Errors
    /// Lists of different lengths, none or too many components, an index that comes twice, a weight that is NaN or
    /// infinite.
    pub fn new(indices: Vec<u32>, values: Vec<f32>) -> Result<Self, Invalid> {
        let refused = |field: &str, problem: String| Err(Invalid::new(field, problem));
        if indices.len() != values.len() {
            let problem = format!(
                "indices and values must have the same length, have {} and {}",
                indices.len(),
                values.len()
            );
            return refused("sparse_values", problem);
        }
        if !(1..=limits::SPARSE_VALUES_MAX).contains(&indices.len()) {
            let problem = format!(
                "Sparse vector must contain 1 to {} values, has {}",
                limits::SPARSE_VALUES_MAX,
                values.len()
            );
            return refused("sparse_values", problem);
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return refused(
                &format!("sparse_values.values[{at}]"),
                "must be a finite number in the range of f32".into(),
            );
        }
        let (indices, values) = in_order(indices, values);
        if let Some(pair) = indices.windows(2).find(|pair| pair[0] == pair[1]) {
            return refused("sparse_values.indices", format!("must be distinct, {} comes twice", pair[0]));
        }
        Ok(Self { indices: indices.into(), values: values.into() })
    }

    /// Keeps components that were checked when they were written; nothing if there are none.
    pub fn stored(components: SparseRef<'_>) -> Option<Self> {
        let SparseRef { indices, values } = components;
        (!indices.is_empty()).then(|| Self { indices: indices.into(), values: values.into() })
    }

    /// Refuses a vector that is too long for scores, which it counts in with the metric dotproduct only.
    ///
    /// # Errors
    /// A length above [`limits::VECTOR_LENGTH_MAX`] with that metric.
    pub fn check_length(&self, metric: Metric) -> Result<(), Invalid> {
        match metric {
            Metric::DotProduct => check_length("sparse_values", &self.values, metric),
            Metric::Cosine | Metric::Euclidean => Ok(()),
        }
    }

    /// The components.
    pub fn as_ref(&self) -> SparseRef<'_> {
        SparseRef { indices: &self.indices, values: &self.values }
    }
}

fn in_order(indices: Vec<u32>, values: Vec<f32>) -> (Vec<u32>, Vec<f32>) {
    if indices.is_sorted() {
        return (indices, values);
    }
    let mut pairs: Vec<(u32, f32)> = indices.into_iter().zip(values).collect();
    pairs.sort_unstable_by_key(|(index, _)| *index);
    pairs.into_iter().unzip()
}

/// Borrowed components of a sparse vector, in order of their indices; none where a record has no sparse vector.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SparseRef<'a> {
    /// Which components.
    pub indices: &'a [u32],
    /// Their weights.
    pub values: &'a [f32],
}

impl SparseRef<'_> {
    /// The sum of products over shared indices, added up in their order: the same rows give the same bits on every path.
    pub fn dot(self, other: SparseRef<'_>) -> f64 {
        let (mut a, mut b, mut sum) = (0, 0, 0.0);
        while let (Some(left), Some(right)) = (self.indices.get(a), other.indices.get(b)) {
            match left.cmp(right) {
                std::cmp::Ordering::Less => a += 1,
                std::cmp::Ordering::Greater => b += 1,
                std::cmp::Ordering::Equal => {
                    sum += f64::from(self.values[a]) * f64::from(other.values[b]);
                    (a, b) = (a + 1, b + 1);
                }
            }
        }
        sum
    }

    /// Whether every one of these indices is among its own.
    pub fn contains_all(self, indices: &[u32]) -> bool {
        indices.iter().all(|index| self.indices.binary_search(index).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_put_in_order_and_checked() {
        let vector = SparseVector::new(vec![7, u32::MAX, 1], vec![0.5, 2.0, -1.0]).unwrap();
        assert_eq!(vector.as_ref().indices, [1, 7, u32::MAX]);
        assert_eq!(vector.as_ref().values, [-1.0, 0.5, 2.0]);
        for (indices, values, field) in [
            (vec![1], vec![1.0, 2.0], "sparse_values"),
            (vec![], vec![], "sparse_values"),
            (vec![3, 1, 3], vec![1.0; 3], "sparse_values.indices"),
            (vec![1, 2], vec![0.0, f32::NAN], "sparse_values.values[1]"),
        ] {
            assert_eq!(SparseVector::new(indices, values).unwrap_err().field, field);
        }
        let many = limits::SPARSE_VALUES_MAX as u32 + 1;
        assert!(SparseVector::new((0..many).collect(), vec![1.0; many as usize]).is_err());
    }

    #[test]
    fn products_are_those_of_shared_indices() {
        let a = SparseVector::new(vec![1, 4, 9], vec![1.0, 2.0, 3.0]).unwrap();
        let b = SparseVector::new(vec![0, 4, 9, 10], vec![5.0, 0.5, -1.0, 7.0]).unwrap();
        assert_eq!(a.as_ref().dot(b.as_ref()), -2.0);
        assert_eq!(a.as_ref().dot(SparseRef::default()), 0.0);
        assert!(a.as_ref().contains_all(&[9, 1]) && !a.as_ref().contains_all(&[1, 2]));
    }
}

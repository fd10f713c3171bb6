//! Points: rows as they must be so that squared distances between them order as the metric does.

use super::dot;
use crate::{Kernels, scorer};
use pinyon_types::{Distance, Metric};

/// What rows are turned into.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PointSpace {
    /// Rows of length 1.
    Unit,
    /// Rows as they are.
    Plain,
    /// Rows with one more component so that all have the same length, after which the squared distance orders as the
    /// inner product (Bachrach et al., 2014).
    Lifted {
        /// The square of that length.
        norm_squared: f32,
    },
}

impl PointSpace {
    /// The space of a metric for these rows of `dim` components.
    pub fn of(metric: Metric, vectors: &[f32], dim: usize) -> Self {
        match metric {
            Metric::Cosine => Self::Unit,
            Metric::Euclidean => Self::Plain,
            Metric::DotProduct => {
                let kernels = Kernels::detect();
                let norms = vectors.chunks_exact(dim.max(1)).map(|row| kernels.dot(row, row));
                Self::Lifted { norm_squared: norms.fold(0.0, f32::max) }
            }
        }
    }

    /// The space of a metric, given [`Self::lifted_to`]; `None` if that is no length of a point.
    pub fn lifted(metric: Metric, norm_squared: f32) -> Option<Self> {
        match metric {
            Metric::Cosine => Some(Self::Unit),
            Metric::Euclidean => Some(Self::Plain),
            Metric::DotProduct => (norm_squared >= 0.0).then_some(Self::Lifted { norm_squared }),
        }
    }

    /// The square of the length to which rows were lifted; 0 where they were not.
    pub const fn lifted_to(self) -> f32 {
        match self {
            Self::Unit | Self::Plain => 0.0,
            Self::Lifted { norm_squared } => norm_squared,
        }
    }

    /// Components of the points of rows of `dim` components.
    pub const fn dim(self, dim: usize) -> usize {
        match self {
            Self::Unit | Self::Plain => dim,
            Self::Lifted { .. } => dim + 1,
        }
    }

    /// The same, by the metric alone.
    pub(crate) const fn dim_of(metric: Metric, dim: usize) -> usize {
        match metric {
            Metric::Cosine | Metric::Euclidean => dim,
            Metric::DotProduct => dim + 1,
        }
    }

    /// Makes `point` that of a row, given one over the row's length.
    pub fn point(self, row: &[f32], inverse_norm: f32, point: &mut Vec<f32>) {
        point.clear();
        match self {
            Self::Unit if scorer::is_ordinary(inverse_norm) => {
                point.extend(row.iter().map(|component| component * inverse_norm));
            }
            Self::Unit => {
                let length = scorer::length(row);
                point.extend(row.iter().map(|component| (f64::from(*component) / length) as f32));
            }
            Self::Plain => point.extend(row),
            Self::Lifted { norm_squared } => {
                let missing = (norm_squared - Kernels::detect().dot(row, row)).max(0.0).sqrt();
                point.extend(row.iter().copied().chain([missing]));
            }
        }
    }

    /// Makes `point` that of a query. Where its length does not matter it becomes that of the rows: sums in single precision have no
    /// room for much shorter ones beside them.
    pub fn query(self, query: &[f32], point: &mut Vec<f32>) {
        match self {
            Self::Lifted { .. } => {
                let times = self.query_times(query);
                let scaled = query.iter().map(|component| (f64::from(*component) * times) as f32);
                point.clear();
                point.extend(scaled.chain([0.0]));
            }
            Self::Unit | Self::Plain => self.point(query, crate::inverse_norm(query), point),
        }
    }

    /// What the query's components are multiplied with so that it is as long as the rows.
    fn query_times(self, query: &[f32]) -> f64 {
        let (own, rows) = (dot(query, query).sqrt(), self.common_norm_squared().sqrt());
        if own > 0.0 && rows > 0.0 { rows / own } else { 1.0 }
    }

    /// What distances between points take of this query beside its point: see [`Self::between_points`].
    pub fn query_term(self, query: &[f32]) -> f64 {
        match self {
            Self::Unit => 0.0,
            Self::Plain => dot(query, query),
            Self::Lifted { .. } => self.query_times(query),
        }
    }

    /// What a row's distance from the query is between their points, given [`Self::query_term`]: as codes tell it, without what is
    /// the same for all rows.
    pub fn between_points(self, distance: Distance, query_term: f64) -> f32 {
        let distance = distance.get();
        let between = match self {
            Self::Unit => 2.0f64.mul_add(distance, -1.0),
            Self::Plain => distance - query_term,
            Self::Lifted { norm_squared } => (2.0 * query_term).mul_add(distance, f64::from(norm_squared)),
        };
        between as f32
    }

    /// The square of the length that all points have, but for a row of zeros among unit ones; 0 where they differ.
    pub(crate) const fn common_norm_squared(self) -> f64 {
        match self {
            Self::Unit => 1.0,
            Self::Plain => 0.0,
            Self::Lifted { norm_squared } => norm_squared as f64,
        }
    }

    /// What a point counts as longer, squared, than it is ([`Self::norm_squared`]).
    pub(crate) fn surplus(self, point: &[f32]) -> f32 {
        let is_unit = self == Self::Unit;
        if is_unit && point.iter().all(|component| *component == 0.0) { 1.0 } else { 0.0 }
    }

    /// The square of a point's length, as distances count it: in a space where all have one length, that.
    pub(crate) fn norm_squared(self, point: &[f32]) -> f32 {
        match self {
            // A row of zeros as well: it is as far from everything as what is at right angles.
            Self::Unit => 1.0,
            Self::Plain => Kernels::detect().dot(point, point),
            Self::Lifted { norm_squared } => norm_squared,
        }
    }
}

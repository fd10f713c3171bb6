//! Points: rows as they must be so that squared distances between them order as the metric does.

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

    /// Makes `point` that of a query.
    pub fn query(self, query: &[f32], point: &mut Vec<f32>) {
        match self {
            Self::Lifted { .. } => {
                point.clear();
                point.extend(query.iter().copied().chain([0.0]));
            }
            Self::Unit | Self::Plain => self.point(query, crate::inverse_norm(query), point),
        }
    }

    /// What a row's distance from the query is between their points, given the square of the length of the query's: as codes tell
    /// it, without what is the same for all rows.
    pub fn between_points(self, distance: Distance, query_norm_squared: f32) -> f32 {
        let distance = distance.get() as f32;
        match self {
            Self::Unit => 2.0f32.mul_add(distance, -1.0),
            Self::Plain => distance - query_norm_squared,
            Self::Lifted { norm_squared } => 2.0f32.mul_add(distance, norm_squared),
        }
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

//! Queries as codes are asked with them.

use crate::TopK;
use pinyon_distance::{
    Kernels,
    codes::{Int8Query, Int8Rows},
};
use pinyon_types::{Distance, SlotId};
use std::sync::OnceLock;

/// A query as all coded rows of one metric and length are asked with it.
#[derive(Debug, Clone)]
pub struct CodedQuery {
    pub(super) point: Vec<f32>,
    pub(crate) bytes: Int8Query,
    norm_squared: f32,
}

impl CodedQuery {
    fn new(vector: &[f32], rows: &Int8Rows) -> Self {
        let point = rows.query_point(vector);
        let norm_squared = Kernels::detect().dot(&point, &point);
        Self { bytes: rows.query(&point), point, norm_squared }
    }
}

/// A query. It is coded when the first codes are met, and whoever searches for it later, or meanwhile, finds that done.
#[derive(Debug, Clone, Copy)]
pub struct DenseQuery<'a> {
    /// The vector to be near to.
    pub vector: &'a [f32],
    /// The place of its codes, which is for this vector alone.
    pub codes: &'a OnceLock<CodedQuery>,
    /// What is farther is no result: as many nearer rows were found elsewhere.
    pub bound: Distance,
}

impl<'a> DenseQuery<'a> {
    /// A query of which nothing is known yet.
    pub const fn new(vector: &'a [f32], codes: &'a OnceLock<CodedQuery>) -> Self {
        Self { vector, codes, bound: Distance::FARTHEST }
    }

    /// The same, where what is kept already bounds it as well.
    pub(super) fn within(self, best: &TopK<(Distance, SlotId)>) -> Self {
        let worst = best.worst().map_or(Distance::FARTHEST, |worst| worst.0);
        Self { bound: self.bound.min(worst), ..self }
    }

    /// The query, ready for these rows and all others of the same metric and length.
    pub(crate) fn coded(self, rows: &Int8Rows) -> &'a CodedQuery {
        self.codes.get_or_init(|| CodedQuery::new(self.vector, rows))
    }

    /// Rows whose estimates are beyond this are beyond the bound, where estimates of rows like this one are as good as bytes allow.
    pub(crate) fn limit(self, rows: &Int8Rows, like: u32) -> f32 {
        if self.bound == Distance::FARTHEST {
            return f32::INFINITY;
        }
        let coded = self.coded(rows);
        rows.space().between_points(self.bound, coded.norm_squared) + coded.bytes.uncertainty(rows, like)
    }
}

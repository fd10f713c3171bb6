//! Queries as codes are asked with them.

use crate::TopK;
use pinyon_distance::codes::{Int8Errors, Int8Query, Int8Rows};
use pinyon_types::{Distance, SlotId};
use std::sync::OnceLock;

/// A query as all coded rows of one metric and length are asked with it.
#[derive(Debug, Clone)]
pub struct CodedQuery {
    pub(super) point: Vec<f32>,
    pub(crate) bytes: Int8Query,
    pub(crate) errors: Int8Errors,
    /// See [`pinyon_distance::codes::PointSpace::query_term`].
    term: f64,
}

impl CodedQuery {
    fn new(vector: &[f32], rows: &Int8Rows) -> Self {
        let point = rows.query_point(vector);
        let bytes = rows.query(&point);
        Self { errors: bytes.errors(), bytes, point, term: rows.space().query_term(vector) }
    }

    /// A distance as bytes tell it.
    pub(super) fn between_points(&self, rows: &Int8Rows, distance: Distance) -> f32 {
        rows.space().between_points(distance, self.term)
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

    /// What is farther, as bytes tell it, is beyond the bound.
    pub(crate) fn limit(self, rows: &Int8Rows) -> f32 {
        if self.bound == Distance::FARTHEST {
            return f32::INFINITY;
        }
        self.coded(rows).between_points(rows, self.bound)
    }
}

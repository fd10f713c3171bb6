//! HNSW (Malkov and Yashunin, 2018) by the crate hnsw_rs, with its traps walled off: it panics on rows that it does
//! not like, its own dot distance fails on equal rows, more than 256 links end the process, and its dump must not be
//! read back. So rows are checked before, the distance is ours, panics are caught, and nothing of it is ever written.

use super::{Found, Graph, GraphError, GraphOptions, GraphRequest};
use crate::{DenseQuery, RowBlock, Work};
use hnsw_rs::prelude::{Distance, Hnsw};
use pinyon_distance::{Kernels, codes::PointSpace};
use pinyon_types::{Metric, SlotId};
use rayon::ThreadPool;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Rows inserted between two looks at whether to stop: well below a second even at 1536 components.
const ROWS_PER_CHECK: usize = 256;
const LEVELS_MAX: usize = 16;
/// Links times levels of empty lists that the crate makes for every row, in bytes (measured: RSS over raw rows).
const ROW_OVERHEAD_BYTES: usize = 2_800;

/// By how much of its size a distance may be wrong: it is a sum of many products.
const ROUNDING: f32 = 64.0 * f32::EPSILON;

/// The distance that hnsw_rs calls; clamped, because it asserts that distances are not negative.
#[derive(Debug, Clone, Copy)]
struct ClampedDistance {
    kernels: Kernels,
    space: PointSpace,
}

impl Distance<f32> for ClampedDistance {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        let distance = match self.space {
            PointSpace::Unit => 1.0 - self.kernels.dot(a, b),
            PointSpace::Plain | PointSpace::Lifted { .. } => self.kernels.l2_squared(a, b),
        };
        if distance.is_nan() { f32::MAX } else { distance.clamp(0.0, f32::MAX) }
    }
}

/// A graph by hnsw_rs.
pub struct HnswRsGraph {
    hnsw: Hnsw<'static, f32, ClampedDistance>,
    space: PointSpace,
    rows: usize,
    dim: usize,
}

impl std::fmt::Debug for HnswRsGraph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HnswRsGraph({} rows)", self.rows)
    }
}

impl HnswRsGraph {
    /// Builds a graph on `pool`. Cost at 50,000 rows of 384 components: about a minute of one core.
    ///
    /// # Errors
    /// Options or rows that the engine does not take, a panic inside it, or `stop`.
    pub fn build(
        block: RowBlock<'_>,
        metric: Metric,
        options: GraphOptions,
        stop: &dyn Fn() -> bool,
        pool: &ThreadPool,
    ) -> Result<Self, GraphError> {
        let GraphOptions { m, ef_construction } = options.checked()?;
        check_rows(block)?;
        let space = PointSpace::of(metric, block.vectors, block.dim());
        let distance = ClampedDistance { kernels: Kernels::detect(), space };
        let hnsw = Hnsw::new(m, block.rows().max(1), LEVELS_MAX, ef_construction, distance);
        let graph = Self { hnsw, space, rows: block.rows(), dim: block.dim() };
        for from in (0..block.rows()).step_by(ROWS_PER_CHECK) {
            if stop() {
                return Err(GraphError::Stopped);
            }
            let to = (from + ROWS_PER_CHECK).min(block.rows());
            graph.insert(block, from..to, pool)?;
        }
        Ok(graph)
    }

    fn insert(
        &self,
        block: RowBlock<'_>,
        rows: std::ops::Range<usize>,
        pool: &ThreadPool,
    ) -> Result<(), GraphError> {
        let point = |row: usize| {
            let mut point = Vec::new();
            self.space.point(block.vector(row), block.inverse_norms[row], &mut point);
            (point, row)
        };
        let points: Vec<(Vec<f32>, usize)> = rows.map(point).collect();
        let references: Vec<(&[f32], usize)> =
            points.iter().map(|(point, row)| (point.as_slice(), *row)).collect();
        let inserted = catch_unwind(AssertUnwindSafe(|| {
            pool.install(|| self.hnsw.parallel_insert_slice(&references));
        }));
        inserted.map_err(|panic| {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|&said| said.to_owned()));
            GraphError::Engine { reason: said.unwrap_or_default() }
        })
    }
}

impl Graph for HnswRsGraph {
    fn search(&self, query: DenseQuery<'_>, request: GraphRequest, work: &mut Work) -> Found {
        assert_eq!(query.vector.len(), self.dim, "a query has the length of the rows");
        // Below this effort the engine was seen to return nothing at all.
        let ef = request.ef.max(2 * request.k).max(16);
        let mut point = Vec::new();
        self.space.query(query.vector, &mut point);
        work.graph_walks += 1;
        let found = self.hnsw.search(&point, request.k, ef);
        let rows = found.iter().map(|neighbour| (neighbour.distance, SlotId::new(neighbour.d_id as u32)));
        let rows: Vec<_> = rows.collect();
        let largest = rows.last().map_or(0.0, |last| last.0);
        Found { uncertainty: ROUNDING * (1.0 + largest), limit: f32::INFINITY, rows }
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn bytes(&self) -> usize {
        self.rows * (self.dim * 4 + ROW_OVERHEAD_BYTES)
    }

    fn engine(&self) -> &'static str {
        "hnsw_rs"
    }
}

fn check_rows(block: RowBlock<'_>) -> Result<(), GraphError> {
    for row in 0..block.rows() {
        if !block.vector(row).iter().all(|component| component.is_finite()) {
            return Err(GraphError::Row { row, problem: "it has a component that is not finite" });
        }
        let kernels = Kernels::detect();
        if !kernels.dot(block.vector(row), block.vector(row)).is_finite() {
            return Err(GraphError::Row { row, problem: "its squared length is beyond f32" });
        }
    }
    Ok(())
}

//! Graphs: the seam behind which an approximate-nearest-neighbour structure sits. A graph is immutable, lives in
//! memory, knows rows by their number in the block it was built from, and knows nothing of filters and deletions.

mod code_graph;
mod cost;
mod hnsw_rs_graph;
mod self_test;
#[cfg(test)]
mod tests;

pub use code_graph::{Beginning, Building, CodeGraph, GraphParts};
pub use cost::{GraphCost, measure_cost};
pub use hnsw_rs_graph::HnswRsGraph;
pub use self_test::{GraphTest, HeldOut, QUESTIONS_SURE, SelfTest, are_enough, calibrate, missed_by};

use crate::{DenseQuery, Work};
use pinyon_types::SlotId;
use std::fmt::Debug;

/// What a walk looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphRequest {
    /// How many rows to return.
    pub k: usize,
    /// How many candidates to keep while walking: more is slower and finds more.
    pub ef: usize,
    /// How many of the nearest matter: an engine that can ends its walk early once these have not changed for a while.
    pub settled: usize,
}

/// What a walk found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Rows with their distances as the graph tells them, nearest first.
    pub rows: Vec<(f32, SlotId)>,
    /// Two rows whose distances differ by less may lie the other way round.
    pub uncertainty: f32,
    /// Rows farther than this are certainly beyond the query's bound.
    pub limit: f32,
}

/// What of a walk is worth a closer look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Rows that may be among the nearest, nearest first as far as the graph tells.
    pub rows: Vec<SlotId>,
    /// How many rows the walk had to find for the `k` nearest; `None` if it found fewer.
    pub kth_place: Option<usize>,
}

impl Found {
    /// The wanted ones of the rows, and of those that they stand for, that may be among the `k` nearest and within the query's bound.
    pub fn close(&self, graph: &dyn Graph, k: usize, is_wanted: impl Fn(SlotId) -> bool) -> Close {
        let (mut rows, mut limit, mut kth_place) = (Vec::with_capacity(2 * k), self.limit, None);
        for (place, (distance, row)) in self.rows.iter().enumerate() {
            if *distance > limit {
                break;
            }
            let members = graph.members(*row).iter().map(|member| SlotId::new(*member));
            rows.extend(std::iter::once(*row).chain(members).filter(|row| is_wanted(*row)));
            if kth_place.is_none() && rows.len() >= k {
                kth_place = Some(place);
                limit = limit.min(distance + self.uncertainty);
            }
        }
        Close { rows, kth_place }
    }
}

/// How a graph is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphOptions {
    /// Links per row on the upper levels; twice as many on the lowest.
    pub m: usize,
    /// Candidates kept while a row is inserted.
    pub ef_construction: usize,
}

impl GraphOptions {
    /// The options, if they make a graph with every engine.
    fn checked(self) -> Result<Self, GraphError> {
        let Self { m, ef_construction } = self;
        if (2..=128).contains(&m) && ef_construction >= m {
            return Ok(self);
        }
        Err(GraphError::Options { m, ef_construction })
    }

    /// Links that a row has at most, on the lowest level.
    pub const fn places(self) -> usize {
        2 * self.m
    }
}

/// Why a graph was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The caller asked to stop.
    #[error("the build was stopped")]
    Stopped,
    /// The options are outside what the engine takes.
    #[error("m must be 2 to 128 and ef_construction at least m, got {m} and {ef_construction}")]
    Options {
        /// Links per row asked for.
        m: usize,
        /// Effort asked for.
        ef_construction: usize,
    },
    /// The rows are not as the engine needs them.
    #[error("row {row} cannot be put into a graph: {problem}")]
    Row {
        /// The row's number.
        row: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The parts of a graph contradict each other or its rows.
    #[error("the parts make no graph: {problem}")]
    Parts {
        /// What is wrong with them.
        problem: &'static str,
    },
    /// The engine panicked.
    #[error("the graph engine failed: {reason}")]
    Engine {
        /// Its last words.
        reason: String,
    },
}

/// An approximate-nearest-neighbour structure over a block of rows.
pub trait Graph: Send + Sync + Debug {
    /// Up to `k` rows that are probably among the nearest. Their exact distances are the caller's to compute.
    fn search(&self, query: DenseQuery<'_>, request: GraphRequest, work: &mut Work) -> Found;
    /// What our own graph of a block of so many rows may begin with, where `number` tells under which number a row of this graph is
    /// among them, if it is; `None` if the engine keeps its links to itself.
    fn beginning(&self, _rows: usize, _number: &dyn Fn(u32) -> Option<u32>) -> Option<Beginning> {
        None
    }
    /// Rows that one which is found stands for: as near as it, as far as the graph can tell.
    fn members(&self, _row: SlotId) -> &[u32] {
        &[]
    }
    /// Number of rows.
    fn rows(&self) -> usize;
    /// Memory, about.
    fn bytes(&self) -> usize;
    /// The engine's name.
    fn engine(&self) -> &'static str;
}

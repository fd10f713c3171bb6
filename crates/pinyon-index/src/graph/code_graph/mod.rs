//! Our own graph: a navigable small world of one level (Malkov and Yashunin, 2018; without the upper levels, which high
//! dimensions do not need: "Down with the Hierarchy", 2024), walked and built on codes of a byte a component. Links lie in
//! one array of fixed stride; a walk begins at the nearest of a sample of rows whose codes lie one after the other. Of rows
//! whose codes are the same up to rounding one has links and stands for the others.

mod beginning;
mod build;
mod links;
mod members;
mod parts;
mod pool;
mod scratch;
#[cfg(test)]
mod tests;

use super::{Found, Graph, GraphOptions, GraphRequest};
use crate::{DenseQuery, Work};
pub use beginning::Beginning;
pub use build::Building;
use links::Links;
use members::Members;
pub use parts::GraphParts;
use pinyon_distance::codes::{Int8Query, Int8Rows};
use pinyon_types::{Metric, SlotId};
use scratch::{Scratch, Scratches};
use std::sync::Arc;

/// Rows among which a walk finds its beginning.
const ENTRIES: usize = 256;
/// How many of them a walk begins with.
const BEGINNINGS: usize = 4;
/// A walk ends early when the nearest have not changed for this share of its effort ("Patience in Proximity", Teofili and Lin,
/// 2025). On 100,000 embeddings the effort that self-tests then ask for costs a tenth fewer distances and finds more; with 0.3 or
/// less self-tests, whose queries are harder than most, ask for so much that nothing is saved.
const PATIENCE: f64 = 0.4;

/// Codes of a row and of the one that stands for it differ by as much as two roundings, which adds to the errors of both.
const MEMBERS_TIMES: f32 = 1.5;

/// A graph over coded rows.
#[derive(Debug)]
pub struct CodeGraph {
    codes: Arc<Int8Rows>,
    links: Links,
    entries: Vec<u32>,
    /// The codes of the entries.
    entry_codes: Int8Rows,
    members: Members,
    scratches: Scratches,
}

/// When a walk ends.
#[derive(Debug, Clone, Copy)]
struct Length {
    /// Rows that it holds: it ends when all of them were expanded.
    ef: usize,
    /// How many of the nearest matter.
    settled: usize,
    /// Rows that are expanded without a change among these.
    patience: usize,
}

impl Length {
    /// Ends when nothing is left to expand.
    const fn full(ef: usize) -> Self {
        Self { ef, settled: 0, patience: usize::MAX }
    }

    fn of(request: GraphRequest) -> Self {
        let ef = request.ef.max(request.k);
        Self { ef, settled: request.settled, patience: (PATIENCE * ef as f64).ceil() as usize }
    }
}

impl CodeGraph {
    /// Memory of a graph over so many rows, in bytes, without the codes that it walks on.
    pub fn memory_for(metric: Metric, dim: usize, rows: usize, options: GraphOptions) -> usize {
        let entries = ENTRIES.min(rows) * Int8Rows::bytes_per_row(metric, dim);
        Links::bytes_for(rows, 2 * options.m) + entries
    }

    /// Fills `scratch.near` with rows that seem nearest; only the first `entries` of the entries begin a walk.
    fn walk(
        &self,
        query: &Int8Query,
        length: Length,
        entries: usize,
        scratch: &mut Scratch,
        work: &mut Work,
    ) {
        scratch.begin(self.codes.len(), length.ef);
        self.enter(query, entries, scratch, work);
        let mut unchanged = 0;
        while let Some(row) = scratch.near.next_to_expand() {
            if let Some(next) = scratch.near.peek_to_expand() {
                self.links.prefetch(query, next);
            }
            scratch.collect_unvisited(self.links.of(row), self.links.places());
            let Scratch { near, fresh, distances, .. } = scratch;
            query.distances_at(&self.codes, fresh, distances);
            work.hops += 1;
            work.code_distances += fresh.len() as u64;
            let mut nearest_place = usize::MAX;
            for (row, distance) in fresh.iter().zip(&*distances) {
                nearest_place = near.push(*distance, *row).map_or(nearest_place, |at| at.min(nearest_place));
            }
            unchanged = if nearest_place < length.settled { 0 } else { unchanged + 1 };
            if unchanged > length.patience {
                return;
            }
        }
    }

    fn enter(&self, query: &Int8Query, entries: usize, scratch: &mut Scratch, work: &mut Work) {
        let entries = &self.entries[..entries.min(self.entries.len())];
        let mut distances = [0.0; ENTRIES];
        let distances = &mut distances[..entries.len()];
        query.distances(&self.entry_codes, 0, distances);
        work.code_distances += entries.len() as u64;
        let mut begun = 0;
        for _ in 0..entries.len() {
            let nearest = distances.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
            let Some((at, distance)) = nearest.map(|(at, distance)| (at, *distance)) else { return };
            distances[at] = f32::INFINITY;
            // While a graph is built one of them may have been absorbed.
            if self.links.owner(entries[at]).is_some() {
                continue;
            }
            scratch.visit(entries[at]);
            scratch.near.push(distance, entries[at]);
            begun += 1;
            if begun == BEGINNINGS {
                return;
            }
        }
    }
}

impl Graph for CodeGraph {
    fn search(&self, query: DenseQuery<'_>, request: GraphRequest, work: &mut Work) -> Found {
        if self.codes.is_empty() {
            return Found { rows: Vec::new(), uncertainty: 0.0, limit: f32::INFINITY };
        }
        let (bytes, errors) = (&query.coded(&self.codes).bytes, query.coded(&self.codes).errors);
        work.graph_walks += 1;
        self.scratches.with(|scratch| {
            self.walk(bytes, Length::of(request), ENTRIES, scratch, work);
            let near = scratch.near.pairs().take(request.k);
            let rows: Vec<_> = near.map(|(distance, row)| (distance, SlotId::new(row))).collect();
            let errors =
                rows.iter().map(|(distance, row)| errors.of_estimate(&self.codes, row.get(), *distance));
            let error = errors.fold(0.0, f32::max);
            let error = if self.members.len() > 0 { error * MEMBERS_TIMES } else { error };
            Found {
                rows,
                uncertainty: std::f32::consts::SQRT_2 * error,
                limit: query.limit(&self.codes) + error,
            }
        })
    }

    fn beginning(&self, rows: usize, number: &dyn Fn(u32) -> Option<u32>) -> Option<Beginning> {
        Some(Beginning::of(self, rows, number))
    }

    fn members(&self, row: SlotId) -> &[u32] {
        self.members.of_row(row.get())
    }

    fn rows(&self) -> usize {
        self.codes.len()
    }

    fn bytes(&self) -> usize {
        self.links.bytes() + self.entry_codes.bytes() + self.members.bytes()
    }

    fn engine(&self) -> &'static str {
        "codes"
    }
}

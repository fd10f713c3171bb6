//! Rows with codes: a scan that reads fewer bytes. Bits choose some rows, bytes choose few of those, and only of the few is
//! the distance computed from the vector. How many are kept at each step is found by a self-test on the rows themselves.

mod build;
mod nearest;
mod query;
mod self_test;
#[cfg(test)]
mod tests;

use crate::{RowBlock, ScanEnd, TopK, Work, probes::K};
pub use build::Coding;
use nearest::Nearest;
use pinyon_distance::{
    QueryScorer,
    codes::{Int8Rows, SignLayout, SignRows},
};
use pinyon_types::{Distance, Effort, Metric, SlotId};
pub use query::{CodedQuery, DenseQuery};
use std::sync::Arc;

/// Below so many rows reading bytes costs less than reading bits first: where a prototype's curves crossed, at 384 components.
const SIGNS_ROWS_MIN: usize = 4096;
/// From so many rows on queries without a filter walk a graph: bits are for filters, and lie so that rows that pass can be
/// read without the others.
const APART_ROWS_MIN: usize = 20_000;
/// Scoring a row by its bytes takes so many times as long as by its bits where rows are read in no order: 20 ns and 3 ns at 384
/// components.
const BYTES_PER_SIGNS: usize = 6;
/// How much of the results may lie beyond the usual depth, of a search that goes [`SELECTIVE_TIMES`] as deep: a tenth.
const LATE_TIMES_MAX: usize = 10;
/// Rows whose vectors are fetched ahead.
const ROWS_AHEAD: usize = 2;
/// Rows whose estimates are computed before they are looked at.
const CHUNK: usize = 512;
/// Rows between two looks at whether to stop.
const ROWS_PER_CHECK: usize = 16 * CHUNK;
/// How much deeper searches under a filter go (see [`Wanted::is_selective`]).
const SELECTIVE_TIMES: usize = 4;

/// How many rows are kept after each step, for ten results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// After bits were read.
    pub by_signs: usize,
    /// After bytes were read: rows whose vectors are read, at most. Those that bytes say are certainly not among the results are left out.
    pub by_bytes: usize,
}

impl Depth {
    /// For `k` results.
    const fn of(self, k: usize) -> Self {
        self.times(if k > K { k.div_ceil(K) } else { 1 })
    }

    const fn times(self, times: usize) -> Self {
        Self { by_signs: self.by_signs * times, by_bytes: self.by_bytes * times }
    }

    /// With so much effort, for `k` results.
    fn with(self, effort: Effort, k: usize) -> Self {
        let by_bytes = effort.capped(effort.scaled(self.by_bytes, k), k);
        Self { by_signs: effort.scaled(self.by_signs, k), by_bytes }
    }
}

/// Codes of consecutive rows.
#[derive(Debug)]
pub struct CodedRows {
    bytes: Arc<Int8Rows>,
    signs: Option<SignRows>,
    depth: Depth,
}

/// What of the rows a search is about.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Whether a row counts.
    pub is_wanted: &'a dyn Fn(u32) -> bool,
    /// Whether rows were chosen by what they say rather than at random: the nearest of them may be far from the query, where
    /// many are about as far and estimates tell less.
    pub is_selective: bool,
    /// Whether to stop.
    pub stop: &'a dyn Fn() -> bool,
}

impl CodedRows {
    /// The codes of a byte a component.
    pub const fn bytes_codes(&self) -> &Arc<Int8Rows> {
        &self.bytes
    }

    /// The depth that the self-test found.
    pub const fn depth(&self) -> Depth {
        self.depth
    }

    /// How many rows a search for `k` results keeps; more under a filter that chooses rows by what they say.
    pub fn depth_for(&self, k: usize, effort: Effort, is_selective: bool) -> Depth {
        self.depth.of(k).times(if is_selective { SELECTIVE_TIMES } else { 1 }).with(effort, k)
    }

    /// Whether codes are the cheaper way to `k` results: not where most rows would be kept on the way.
    pub fn is_worth(&self, k: usize, effort: Effort) -> bool {
        let kept = if self.signs.is_some() { self.depth_for(k, effort, false).by_signs } else { k };
        self.bytes.len() >= 4 * kept
    }

    /// Whether there are codes of a bit a component.
    pub const fn has_signs(&self) -> bool {
        self.signs.is_some()
    }

    /// Memory of codes of a byte a component and of codes of a bit a component, in bytes.
    pub fn memory_bytes(&self) -> (usize, usize) {
        (self.bytes.bytes(), self.signs.as_ref().map_or(0, SignRows::bytes))
    }

    /// The same of so many rows that are not coded yet.
    pub const fn memory_for(metric: Metric, dim: usize, rows: usize) -> (usize, usize) {
        let signs = match sign_layout(rows) {
            Some(layout) => SignRows::bytes_for(layout, metric, dim, rows),
            None => 0,
        };
        (rows * Int8Rows::bytes_per_row(metric, dim), signs)
    }

    /// Whether some rows can be scored by their bits without the others.
    pub fn has_signs_apart(&self) -> bool {
        self.signs.as_ref().is_some_and(|signs| signs.layout() == SignLayout::Apart)
    }

    /// Whether bits choose among so many named rows before bytes do, in a search for `k` results.
    pub fn has_signs_for(&self, rows: usize, k: usize, effort: Effort) -> bool {
        let kept = self.depth_for(k, effort, true).by_signs;
        self.has_signs_apart() && rows * (BYTES_PER_SIGNS - 1) > kept * BYTES_PER_SIGNS
    }

    /// Adds the nearest wanted rows to `best`, whose distances come from the vectors of `block`.
    pub fn search(
        &self,
        (block, scorer): (RowBlock<'_>, &QueryScorer<'_>),
        (query, effort): (DenseQuery<'_>, Effort),
        wanted: Wanted<'_>,
        best: &mut TopK<(Distance, SlotId)>,
        work: &mut Work,
    ) -> ScanEnd {
        let (k, query) = (best.capacity(), query.within(best));
        let depth = self.depth_for(k, effort, wanted.is_selective);
        let (near, end) = match &self.signs {
            Some(signs) => {
                let (near, end) = scan_signs(signs, query.coded(&self.bytes), depth.by_signs, wanted, work);
                // They are few: to stop among them would not pay.
                (self.nearest_of(query, (&near, &|| false), (depth.by_bytes, k), work).0, end)
            }
            None => self.scan_bytes(query, (depth.by_bytes, k), wanted, work),
        };
        rescore(block, scorer, &near, best, work);
        end
    }

    /// The same of these rows alone.
    pub fn search_rows(
        &self,
        (block, scorer): (RowBlock<'_>, &QueryScorer<'_>),
        (query, effort): (DenseQuery<'_>, Effort),
        (rows, stop): (&[u32], &dyn Fn() -> bool),
        best: &mut TopK<(Distance, SlotId)>,
        work: &mut Work,
    ) -> ScanEnd {
        let (k, query) = (best.capacity(), query.within(best));
        let depth = self.depth_for(k, effort, true);
        let by_signs = match &self.signs {
            Some(signs) if self.has_signs_for(rows.len(), k, effort) => {
                self.nearest_by_signs((signs, query), (rows, stop), (depth, k), work)
            }
            _ => None,
        };
        let (near, end) =
            by_signs.unwrap_or_else(|| self.nearest_of(query, (rows, stop), (depth.by_bytes, k), work));
        rescore(block, scorer, &near, best, work);
        end
    }

    /// The nearest of some rows, of which bits choose those that bytes are read of. `None` where that was not enough: among rows
    /// that all are far from the query bits tell little, and some of the `k` nearest are seen to lie late in their order.
    fn nearest_by_signs(
        &self,
        (signs, query): (&SignRows, DenseQuery<'_>),
        among: (&[u32], &dyn Fn() -> bool),
        (depth, k): (Depth, usize),
        work: &mut Work,
    ) -> Option<(Vec<u32>, ScanEnd)> {
        let coded = query.coded(&self.bytes);
        let of_signs = signs.query(&coded.point);
        let by_signs = |rows: &[u32], out: &mut [f32]| of_signs.distances_at(signs, rows, out);
        let (chosen, end, seen) = nearest_of(among, depth.by_signs, by_signs);
        let usual = depth.by_signs / SELECTIVE_TIMES;
        let chosen = chosen.into_rows(usual);
        let mut distances = vec![0.0; chosen.len()];
        coded.bytes.distances_at(&self.bytes, &chosen, &mut distances);
        work.sign_distances += seen;
        work.code_distances += chosen.len() as u64;
        let mut nearest = Nearest::new(depth.by_bytes);
        nearest.take(&distances, |place| place as u32, |_| true);
        let bounds = |place| self.bounds(query, chosen[place as usize]);
        let places = nearest.into_close(k, bounds);
        let late = places.iter().take(k).filter(|place| **place as usize >= usual).count();
        let rows = || places.iter().map(|place| chosen[*place as usize]).collect();
        (late * LATE_TIMES_MAX <= k || end == ScanEnd::Stopped).then(|| (rows(), end))
    }

    fn nearest_of(
        &self,
        query: DenseQuery<'_>,
        among: (&[u32], &dyn Fn() -> bool),
        (depth, k): (usize, usize),
        work: &mut Work,
    ) -> (Vec<u32>, ScanEnd) {
        let coded = query.coded(&self.bytes);
        let by_bytes = |rows: &[u32], out: &mut [f32]| coded.bytes.distances_at(&self.bytes, rows, out);
        let (nearest, end, seen) = nearest_of(among, depth, by_bytes);
        work.code_distances += seen;
        (self.close(query, nearest, k), end)
    }

    fn scan_bytes(
        &self,
        query: DenseQuery<'_>,
        (depth, k): (usize, usize),
        wanted: Wanted<'_>,
        work: &mut Work,
    ) -> (Vec<u32>, ScanEnd) {
        let coded = query.coded(&self.bytes);
        let distances = |first, out: &mut [f32]| coded.bytes.distances(&self.bytes, first, out);
        let (near, end, seen) = scan(self.bytes.len(), depth, wanted, distances);
        work.code_distances += seen;
        (self.close(query, near, k), end)
    }

    fn close(&self, query: DenseQuery<'_>, near: Nearest, k: usize) -> Vec<u32> {
        near.into_close(k, |row| self.bounds(query, row))
    }

    /// How far two estimates of rows like this one may be wrong against each other, and what is beyond the query's bound.
    fn bounds(&self, query: DenseQuery<'_>, like: u32) -> (f32, f32) {
        (query.coded(&self.bytes).bytes.uncertainty(&self.bytes, like), query.limit(&self.bytes, like))
    }
}

/// How the bits of so many rows lie; `None` where they have none.
const fn sign_layout(rows: usize) -> Option<SignLayout> {
    match rows {
        APART_ROWS_MIN.. => Some(SignLayout::Apart),
        SIGNS_ROWS_MIN.. => Some(SignLayout::Interleaved),
        _ => None,
    }
}

/// The `depth` of some rows that seem nearest, and how many were looked at.
fn nearest_of(
    (rows, stop): (&[u32], &dyn Fn() -> bool),
    depth: usize,
    distances: impl Fn(&[u32], &mut [f32]),
) -> (Nearest, ScanEnd, u64) {
    let mut nearest = Nearest::new(depth);
    let mut chunk = [0.0; CHUNK];
    for (number, part) in rows.chunks(CHUNK).enumerate() {
        let first = number * CHUNK;
        if first > 0 && first.is_multiple_of(ROWS_PER_CHECK) && stop() {
            return (nearest, ScanEnd::Stopped, first as u64);
        }
        let chunk = &mut chunk[..part.len()];
        distances(part, chunk);
        nearest.take(chunk, |at| part[at], |_| true);
    }
    (nearest, ScanEnd::Done, rows.len() as u64)
}

fn scan_signs(
    signs: &SignRows,
    query: &CodedQuery,
    depth: usize,
    wanted: Wanted<'_>,
    work: &mut Work,
) -> (Vec<u32>, ScanEnd) {
    let query = signs.query(&query.point);
    let distances = |first, out: &mut [f32]| query.distances(signs, first, out);
    let (near, end, seen) = scan(signs.len(), depth, wanted, distances);
    work.sign_distances += seen;
    (near.into_rows(0), end)
}

/// The `depth` wanted rows that seem nearest, and how many were looked at.
fn scan(
    rows: usize,
    depth: usize,
    wanted: Wanted<'_>,
    distances: impl Fn(usize, &mut [f32]),
) -> (Nearest, ScanEnd, u64) {
    let mut nearest = Nearest::new(depth);
    let mut chunk = [0.0; CHUNK];
    for first in (0..rows).step_by(CHUNK) {
        if first > 0 && first % ROWS_PER_CHECK == 0 && (wanted.stop)() {
            return (nearest, ScanEnd::Stopped, first as u64);
        }
        let chunk = &mut chunk[..CHUNK.min(rows - first)];
        distances(first, chunk);
        nearest.take(chunk, |at| (first + at) as u32, wanted.is_wanted);
    }
    (nearest, ScanEnd::Done, rows as u64)
}

fn rescore(
    block: RowBlock<'_>,
    scorer: &QueryScorer<'_>,
    rows: &[u32],
    best: &mut TopK<(Distance, SlotId)>,
    work: &mut Work,
) {
    for (place, row) in rows.iter().enumerate() {
        if let Some(next) = rows.get(place + ROWS_AHEAD) {
            scorer.fetch(block.vector(*next as usize));
        }
        let at = *row as usize;
        let distance = scorer.distance(block.vector(at), block.inverse_norms[at]);
        best.push((distance, SlotId::new(block.first_slot.get() + row)));
    }
    work.distances += rows.len() as u64;
}

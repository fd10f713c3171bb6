//! Rows with codes: a scan that reads fewer bytes. Bits bound every row's distance from below, bytes are read of those that may be
//! near, and only of the few that may still be among the results is the distance computed from the vector.

mod build;
mod candidates;
mod codes_test;
mod kept;
mod query;
mod self_test;
#[cfg(test)]
mod tests;
mod within;

use crate::{ScanEnd, TopK, Work};
pub use build::Coding;
pub use codes_test::CodesTest;
pub use kept::KeptBits;
use pinyon_distance::{
    QueryScorer,
    codes::{Int8Rows, SignLayout, SignQuery, SignRows},
};
use pinyon_types::{Distance, Effort, Metric, SlotId};
pub use query::{CodedQuery, DenseQuery};
use std::{ops::Range, sync::Arc};
pub use within::Vectors;
use within::Within;

/// Below so many rows reading bytes costs less than reading bits first: where a prototype's curves crossed, at 384 components.
const SIGNS_ROWS_MIN: usize = 4096;
/// From so many rows on queries without a filter walk a graph: bits are for filters, and lie so that rows that pass can be
/// read without the others.
const APART_ROWS_MIN: usize = 20_000;
/// Scoring a row by its bytes takes so many times as long as by its bits where rows are read in no order: 20 ns and 3 ns at 384
/// components.
const BYTES_PER_SIGNS: u64 = 6;
/// Under a filter the nearest rows may be far, and bits tell less of rows that are about as far as each other: so many times the
/// rows whose bytes are read without one.
const FILTERED_TIMES: u64 = 2;
/// Rows whose estimates are computed before they are looked at.
const CHUNK: usize = 512;
/// Rows between two looks at whether to stop.
const ROWS_PER_CHECK: usize = 16 * CHUNK;

/// Codes of consecutive rows: bytes, and bits where there are many of them; or bits alone, where there is no room for bytes. Vectors are
/// read then where bytes would be.
#[derive(Debug)]
pub struct CodedRows {
    rows: usize,
    /// Of no row where there are bits alone: a query is made by what is the same for all of them.
    bytes: Arc<Int8Rows>,
    /// What [`Int8Rows::coarsest`] says.
    coarsest: [f32; 2],
    signs: Option<SignRows>,
    test: CodesTest,
    /// See [`CodedRows::since_us`].
    since_us: u64,
}

/// What of the rows a search is about.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Whether a row counts.
    pub is_wanted: &'a dyn Fn(u32) -> bool,
    /// Whether to stop.
    pub stop: &'a dyn Fn() -> bool,
}

impl CodedRows {
    /// The codes of a byte a component; of no row where there are bits alone.
    pub const fn bytes_codes(&self) -> &Arc<Int8Rows> {
        &self.bytes
    }

    /// Whether there are codes of a byte a component: graphs are walked on them.
    pub fn has_bytes(&self) -> bool {
        self.bytes.len() == self.rows
    }

    /// What the self-test found.
    pub const fn test(&self) -> CodesTest {
        self.test
    }

    /// The same, made and tested at a time, in microseconds since 1970.
    #[must_use]
    pub fn since(self, since_us: u64) -> Self {
        Self { since_us, ..self }
    }

    /// When they were made and tested; 0 if nobody told the time.
    pub const fn since_us(&self) -> u64 {
        self.since_us
    }

    /// How many standard deviations below its estimate by bits a row's bound lies; `None` where there are no bits.
    pub fn deviations(&self, effort: Effort) -> Option<f32> {
        self.signs.as_ref().map(|_| self.lowered_by(effort))
    }

    /// Whether codes are the cheaper way to `k` results: not where most rows would be kept on the way.
    pub fn is_worth(&self, k: usize) -> bool {
        !self.test.is_dear && self.rows >= 4 * k
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
    pub fn has_signs_for(&self, rows: usize, k: usize) -> bool {
        let kept = FILTERED_TIMES * self.test.bytes_read.max(k as u64);
        let is_cheaper = || rows as u64 * (BYTES_PER_SIGNS - 1) > kept * BYTES_PER_SIGNS;
        !self.has_bytes() || (self.has_signs_apart() && is_cheaper())
    }

    /// Adds the nearest wanted rows to `best`, whose distances come from their vectors.
    pub fn search(
        &self,
        vectors: (Vectors<'_>, &QueryScorer<'_>),
        (query, effort): (DenseQuery<'_>, Effort),
        wanted: Wanted<'_>,
        best: &mut TopK<(Distance, SlotId)>,
        work: &mut Work,
    ) -> ScanEnd {
        let query = query.within(best);
        let mut within = self.within(query, vectors, best.capacity());
        let end = match &self.signs {
            Some(signs) => self.scan_signs(signs, (query, effort), wanted, (&mut within, work)),
            None => self.scan_bytes(query, wanted, &mut within),
        };
        within.rescore(effort.candidates_max_for(best.capacity()), best, work);
        end
    }

    /// The same of these rows alone.
    pub fn search_rows(
        &self,
        vectors: (Vectors<'_>, &QueryScorer<'_>),
        (query, effort): (DenseQuery<'_>, Effort),
        (rows, stop): (&[u32], &dyn Fn() -> bool),
        best: &mut TopK<(Distance, SlotId)>,
        work: &mut Work,
    ) -> ScanEnd {
        let (k, query) = (best.capacity(), query.within(best));
        let mut within = self.within(query, vectors, k);
        let end = match &self.signs {
            Some(signs) if self.has_signs_for(rows.len(), k) => {
                self.signs_of(signs, (query, effort), (rows, stop), (&mut within, work))
            }
            _ => self.bytes_of_rows(query, (rows, stop), &mut within),
        };
        within.rescore(effort.candidates_max_for(k), best, work);
        end
    }

    fn within<'a>(
        &'a self,
        query: DenseQuery<'a>,
        vectors: (Vectors<'a>, &'a QueryScorer<'a>),
        k: usize,
    ) -> Within<'a> {
        let coded = query.coded(&self.bytes);
        Within::new((self, coded), vectors, (k.max(1), query.limit(&self.bytes)))
    }

    fn scan_signs(
        &self,
        signs: &SignRows,
        (query, effort): (DenseQuery<'_>, Effort),
        wanted: Wanted<'_>,
        (within, work): (&mut Within<'_>, &mut Work),
    ) -> ScanEnd {
        let bits = self.lower_bounds(signs, query, effort);
        let (end, seen) = chunks(signs.len(), wanted.stop, |rows, bounds| {
            let first = rows.start;
            bits.distances(signs, first, bounds);
            within.take_bounds(&bits, bounds, |at| (first + at) as u32, wanted.is_wanted);
        });
        within.read_waiting(&bits);
        work.sign_distances += seen;
        end
    }

    fn signs_of(
        &self,
        signs: &SignRows,
        (query, effort): (DenseQuery<'_>, Effort),
        (named, stop): (&[u32], &dyn Fn() -> bool),
        (within, work): (&mut Within<'_>, &mut Work),
    ) -> ScanEnd {
        let bits = self.lower_bounds(signs, query, effort);
        let (end, seen) = chunks(named.len(), stop, |rows, bounds| {
            let named = &named[rows];
            bits.distances_at(signs, named, bounds);
            within.take_bounds(&bits, bounds, |at| named[at], |_| true);
        });
        within.read_waiting(&bits);
        work.sign_distances += seen;
        end
    }

    fn scan_bytes(&self, query: DenseQuery<'_>, wanted: Wanted<'_>, within: &mut Within<'_>) -> ScanEnd {
        let bytes = &query.coded(&self.bytes).bytes;
        let scan = chunks(self.bytes.len(), wanted.stop, |rows, estimates| {
            let first = rows.start;
            bytes.distances(&self.bytes, first, estimates);
            within.take_estimates(estimates, |at| (first + at) as u32, wanted.is_wanted);
        });
        scan.0
    }

    fn bytes_of_rows(
        &self,
        query: DenseQuery<'_>,
        (named, stop): (&[u32], &dyn Fn() -> bool),
        within: &mut Within<'_>,
    ) -> ScanEnd {
        let bytes = &query.coded(&self.bytes).bytes;
        let scan = chunks(named.len(), stop, |rows, estimates| {
            let named = &named[rows];
            bytes.distances_at(&self.bytes, named, estimates);
            within.take_estimates(estimates, |at| named[at], |_| true);
        });
        scan.0
    }

    fn lower_bounds(&self, signs: &SignRows, query: DenseQuery<'_>, effort: Effort) -> SignQuery {
        signs.query(&query.coded(&self.bytes).point).lowered(self.lowered_by(effort))
    }

    fn lowered_by(&self, effort: Effort) -> f32 {
        self.test.deviations * effort.factor() as f32
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

/// Hands over some places after the others with room for a distance of each; says how many were looked at.
fn chunks(
    count: usize,
    stop: &dyn Fn() -> bool,
    mut look: impl FnMut(Range<usize>, &mut [f32]),
) -> (ScanEnd, u64) {
    let mut distances = [0.0; CHUNK];
    for first in (0..count).step_by(CHUNK) {
        if first > 0 && first.is_multiple_of(ROWS_PER_CHECK) && stop() {
            return (ScanEnd::Stopped, first as u64);
        }
        let rows = first..count.min(first + CHUNK);
        let distances = &mut distances[..rows.len()];
        look(rows, distances);
    }
    (ScanEnd::Done, count as u64)
}

//! A search by codes that leaves out only what is certainly too far. Bits bound each row's distance from below; of rows within the
//! limit bytes are read, which bound it from both sides and draw the limit nearer; of those that are left the vectors are read. Where
//! there are no bytes the vectors of rows within the limit are read at once, and say how far they are. How
//! many that are is for the rows to say: few of ordinary ones, a whole crowd where it lies at the limit.

use super::{
    CHUNK, CodedQuery, CodedRows,
    candidates::{Candidates, is_beyond},
};
use crate::{RowBlock, TopK, Work};
use pinyon_distance::{
    QueryScorer,
    codes::{Int8Rows, SignQuery},
};
use pinyon_types::{Distance, SlotId};

/// Estimates that are compared at once.
const LANES: usize = 32;
/// Rows that wait, at least, until bytes are read of the nearest of them: these draw the limit so near that most others are left out.
const WAITING: usize = 256;
/// The same where vectors are read, each of which may have to come from the disk.
const WAITING_FOR_VECTORS: usize = 1 << 14;
/// The nearest by their bits that are read before the others that wait, if `k` are fewer.
const FIRST_MIN: usize = 24;
/// Rows that are read at once, because one alone would be waited for.
const AT_ONCE: usize = 64;
/// Of rows whose bytes were read few are read again.
const AT_ONCE_VECTORS: usize = 16;
/// Rows beyond `k` among which `k` wanted ones are looked for: dead ones are few.
const SPARE: usize = 16;
/// Rows whose vectors are fetched ahead.
const ROWS_AHEAD: usize = 2;

/// The vectors of rows, and what is done before those of some are read: as many as are waited for at once.
#[derive(Clone, Copy)]
pub struct Vectors<'a> {
    /// All rows; the first has codes number 0.
    pub block: RowBlock<'a>,
    /// Called with the numbers of rows.
    pub before: &'a dyn Fn(&[u32]),
}

impl<'a> From<RowBlock<'a>> for Vectors<'a> {
    /// Vectors before which nothing is to be done.
    fn from(block: RowBlock<'a>) -> Self {
        Self { block, before: &|_| () }
    }
}

/// What a search has found so far.
pub(super) struct Within<'a> {
    rows: &'a Int8Rows,
    /// Whether these are codes, or only what a query was coded by.
    has_bytes: bool,
    vectors: Vectors<'a>,
    scorer: &'a QueryScorer<'a>,
    query: &'a CodedQuery,
    /// No row's bytes are wrong by more.
    error_most: f32,
    candidates: Candidates,
    /// Rows by their lower bounds, which are to be read.
    waiting: Vec<(f32, u32)>,
    /// How many may wait until some are read.
    patience: usize,
    scored: u64,
}

impl<'a> Within<'a> {
    /// Nothing yet, for `k` results not farther than `limit`.
    pub(super) fn new(
        (coded, query): (&'a CodedRows, &'a CodedQuery),
        (vectors, scorer): (Vectors<'a>, &'a QueryScorer<'a>),
        (k, limit): (usize, f32),
    ) -> Self {
        let error_most = query.errors.most(coded.coarsest);
        let has_bytes = coded.has_bytes();
        let waiting_max = if has_bytes { WAITING } else { WAITING_FOR_VECTORS };
        Self {
            rows: &coded.bytes,
            has_bytes,
            patience: waiting_max.max(2 * FIRST_MIN.max(k)),
            vectors,
            scorer,
            query,
            error_most,
            candidates: Candidates::new(k, limit),
            waiting: Vec::new(),
            scored: 0,
        }
    }

    /// Looks at rows by the lower bounds that `bits` gave them; `row` tells whose they are.
    pub(super) fn take_bounds(
        &mut self,
        bits: &SignQuery,
        bounds: &[f32],
        row: impl Fn(usize) -> u32,
        is_wanted: impl Fn(u32) -> bool,
    ) {
        let limit = bits.of_distance(self.candidates.limit());
        self.waiting.reserve(bounds.len());
        each_near(bounds, limit, |at| {
            let row = row(at);
            if is_wanted(row) {
                self.waiting.push((bounds[at], row));
            }
        });
        if self.waiting.len() >= self.patience {
            self.read_nearest(bits);
        }
        match self.has_bytes {
            _ if self.waiting.len() < self.patience => {}
            true => self.read_waiting(bits),
            // Those that come may draw the limit so near that none of these is read.
            false => self.patience = 2 * self.waiting.len(),
        }
    }

    /// How many of those that wait draw the limit nearer.
    fn first(&self) -> usize {
        FIRST_MIN.max(self.candidates.k())
    }

    /// Reads those that are nearest of the rows that wait, and lets those go that are beyond the limit then.
    fn read_nearest(&mut self, bits: &SignQuery) {
        let mut waiting = std::mem::take(&mut self.waiting);
        let first = self.first();
        if waiting.len() > first {
            waiting.select_nth_unstable_by(first, |a, b| a.0.total_cmp(&b.0));
            self.read(&waiting[..first], bits);
            waiting.drain(..first);
            let limit = bits.of_distance(self.candidates.limit());
            waiting.retain(|(bound, _)| !is_beyond(*bound, limit));
        }
        self.waiting = waiting;
    }

    /// Reads the rows that wait, those that are within the limit still.
    pub(super) fn read_waiting(&mut self, bits: &SignQuery) {
        self.read_nearest(bits);
        let mut waiting = std::mem::take(&mut self.waiting);
        if !self.has_bytes {
            waiting.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        }
        self.read(&waiting, bits);
        waiting.clear();
        self.waiting = waiting;
    }

    fn read(&mut self, waiting: &[(f32, u32)], bits: &SignQuery) {
        let mut near = [0; AT_ONCE];
        for waiting in waiting.chunks(AT_ONCE) {
            let limit = bits.of_distance(self.candidates.limit());
            let mut count = 0;
            for (_, row) in waiting.iter().filter(|(bound, _)| !is_beyond(*bound, limit)) {
                near[count] = *row;
                count += 1;
            }
            self.score(&near[..count]);
        }
    }

    fn score(&mut self, rows: &[u32]) {
        self.scored += rows.len() as u64;
        if !self.has_bytes {
            return self.score_by_vectors(rows);
        }
        let mut estimates = [0.0; AT_ONCE];
        let estimates = &mut estimates[..rows.len()];
        self.query.bytes.distances_at(self.rows, rows, estimates);
        for (row, estimate) in rows.iter().zip(estimates) {
            self.take(*row, *estimate);
        }
    }

    /// Distances that are not wrong at all.
    fn score_by_vectors(&mut self, rows: &[u32]) {
        (self.vectors.before)(rows);
        for row in rows {
            let distance = self.query.between_points(self.rows, self.distance(*row));
            self.candidates.take(*row, distance, 0.0);
        }
    }

    fn distance(&self, row: u32) -> Distance {
        let (block, at) = (self.vectors.block, row as usize);
        self.scorer.distance(block.vector(at), block.inverse_norms[at])
    }

    fn take(&mut self, row: u32, estimate: f32) {
        self.candidates.take(row, estimate, self.query.errors.of_estimate(self.rows, row, estimate));
    }

    /// Looks at rows by what their bytes say; `row` tells whose they are.
    pub(super) fn take_estimates(
        &mut self,
        estimates: &[f32],
        row: impl Fn(usize) -> u32,
        is_wanted: impl Fn(u32) -> bool,
    ) {
        self.scored += estimates.len() as u64;
        let limit = match self.candidates.limit() {
            f32::INFINITY => self.first_limit(estimates, &row, &is_wanted),
            limit => limit + self.error_most,
        };
        each_near(estimates, limit, |at| {
            let row = row(at);
            if is_wanted(row) {
                self.take(row, estimates[at]);
            }
        });
    }

    /// A limit for the first estimates, of which only few need a closer look: what the `k`-th nearest wanted one says, if it is among the
    /// few that are nearest.
    fn first_limit(
        &self,
        estimates: &[f32],
        row: &impl Fn(usize) -> u32,
        is_wanted: &impl Fn(u32) -> bool,
    ) -> f32 {
        let k = self.candidates.k();
        let nearest = k + SPARE;
        if estimates.len() <= nearest {
            return f32::INFINITY;
        }
        let mut keys = [0; CHUNK];
        let keys = &mut keys[..estimates.len()];
        keys.iter_mut()
            .zip(estimates)
            .zip(0..)
            .for_each(|((at_key, estimate), at)| *at_key = key(*estimate, at));
        keys.select_nth_unstable(nearest);
        let keys = &mut keys[..nearest];
        keys.sort_unstable();
        let mut wanted = keys.iter().map(|key| *key as u32 as usize).filter(|at| is_wanted(row(*at)));
        wanted.nth(k - 1).map_or(f32::INFINITY, |kth| 2.0 * self.error_most + estimates[kth])
    }

    /// Adds what is nearest by the vectors to `best`, having read at most so many.
    pub(super) fn rescore(mut self, most: usize, best: &mut TopK<(Distance, SlotId)>, work: &mut Work) {
        *(if self.has_bytes { &mut work.code_distances } else { &mut work.distances }) += self.scored;
        let rows = self.take_nearest(most);
        let block = self.vectors.block;
        for (place, (least, row)) in rows.iter().enumerate() {
            // All that follow are at least as far.
            let worst =
                best.worst().map_or(f32::INFINITY, |worst| self.query.between_points(self.rows, worst.0));
            if is_beyond(*least, worst) {
                return;
            }
            if self.has_bytes && place.is_multiple_of(AT_ONCE_VECTORS) {
                self.prepare(&rows[place..rows.len().min(place + AT_ONCE_VECTORS)]);
            }
            if let Some((_, next)) = rows.get(place + ROWS_AHEAD) {
                self.scorer.fetch(block.vector(*next as usize));
            }
            best.push((self.distance(*row), SlotId::new(block.first_slot.get() + row)));
            work.distances += 1;
        }
    }

    fn take_nearest(&mut self, most: usize) -> Vec<(f32, u32)> {
        let none = Candidates::new(self.candidates.k(), f32::INFINITY);
        let mut rows = std::mem::replace(&mut self.candidates, none).into_rows();
        rows.truncate(most);
        rows
    }

    /// Before vectors are read that were not read yet.
    fn prepare(&self, rows: &[(f32, u32)]) {
        let mut numbers = [0; AT_ONCE_VECTORS];
        numbers.iter_mut().zip(rows).for_each(|(number, (_, row))| *number = *row);
        (self.vectors.before)(&numbers[..rows.len()]);
    }
}

/// Calls for the place of each distance that is not beyond a limit.
fn each_near(distances: &[f32], limit: f32, mut take: impl FnMut(usize)) {
    debug_assert!(distances.len() <= CHUNK, "a chunk at most");
    for (group, distances) in distances.chunks(LANES).enumerate() {
        let mut near = near(distances, limit);
        while near != 0 {
            take(group * LANES + near.trailing_zeros() as usize);
            near &= near - 1;
        }
    }
}

/// A number that orders as distances do (see `f32::total_cmp`), equal ones by place.
const fn key(distance: f32, place: u32) -> u64 {
    let bits = distance.to_bits();
    // Below zero all bits are turned, from there on only the highest.
    let turned = (bits.cast_signed() >> 31).cast_unsigned() | 1 << 31;
    ((bits ^ turned) as u64) << 32 | place as u64
}

/// Which of at most [`LANES`] distances are not beyond a limit, a bit each.
fn near(distances: &[f32], limit: f32) -> u32 {
    let bits = |distances: &[f32]| {
        let lanes = distances.iter().enumerate();
        lanes.fold(0, |near, (at, distance)| near | u32::from(!is_beyond(*distance, limit)) << at)
    };
    // Compilers compare many lanes at once where they know how many there are.
    <&[f32; LANES]>::try_from(distances).map_or_else(|_| bits(distances), |all| bits(all))
}

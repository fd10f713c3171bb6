//! A search by codes that leaves out only what is certainly too far. Bits bound each row's distance from below; of rows within the
//! limit bytes are read, which bound it from both sides and draw the limit nearer; of those that are left the vectors are read. How
//! many that are is for the rows to say: few of ordinary ones, a whole crowd where it lies at the limit.

use super::{
    CHUNK, CodedQuery,
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
/// The nearest by their bits that are read before the others that wait, if `k` are fewer.
const FIRST_MIN: usize = 24;
/// Rows that are read at once, because one alone would be waited for.
const AT_ONCE: usize = 64;
/// Rows beyond `k` among which `k` wanted ones are looked for: dead ones are few.
const SPARE: usize = 16;
/// Rows whose vectors are fetched ahead.
const ROWS_AHEAD: usize = 2;

/// What a search has found so far.
pub(super) struct Within<'a> {
    rows: &'a Int8Rows,
    query: &'a CodedQuery,
    /// No row's bytes are wrong by more.
    error_most: f32,
    candidates: Candidates,
    /// Rows by their lower bounds, whose bytes are to be read.
    waiting: Vec<(f32, u32)>,
    scored: u64,
}

impl<'a> Within<'a> {
    /// Nothing yet, for `k` results not farther than `limit`, among rows of which the coarsest are like this.
    pub(super) fn new(
        rows: &'a Int8Rows,
        query: &'a CodedQuery,
        (k, limit): (usize, f32),
        coarsest: [f32; 2],
    ) -> Self {
        let error_most = query.errors.most(coarsest);
        Self {
            rows,
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
        let most = WAITING.max(2 * self.first());
        if self.waiting.len() >= most {
            self.read_nearest(bits);
            if self.waiting.len() >= most {
                self.read_waiting(bits);
            }
        }
    }

    /// How many of those that wait draw the limit nearer.
    fn first(&self) -> usize {
        FIRST_MIN.max(self.candidates.k())
    }

    /// Reads the bytes of those that are nearest of the rows that wait, and lets those go that are beyond the limit then.
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

    /// Reads the bytes of rows that wait, those that are within the limit still.
    pub(super) fn read_waiting(&mut self, bits: &SignQuery) {
        self.read_nearest(bits);
        let mut waiting = std::mem::take(&mut self.waiting);
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
        let mut estimates = [0.0; AT_ONCE];
        let estimates = &mut estimates[..rows.len()];
        self.query.bytes.distances_at(self.rows, rows, estimates);
        for (row, estimate) in rows.iter().zip(estimates) {
            self.take(*row, *estimate);
        }
        self.scored += rows.len() as u64;
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

    /// Adds what is nearest by the vectors of `block` to `best`, having read at most so many.
    pub(super) fn rescore(
        self,
        (block, scorer): (RowBlock<'_>, &QueryScorer<'_>),
        most: usize,
        best: &mut TopK<(Distance, SlotId)>,
        work: &mut Work,
    ) {
        work.code_distances += self.scored;
        let rows = self.candidates.into_rows();
        let rows = &rows[..most.min(rows.len())];
        for (place, (least, row)) in rows.iter().enumerate() {
            // All that follow are at least as far.
            let worst =
                best.worst().map_or(f32::INFINITY, |worst| self.query.between_points(self.rows, worst.0));
            if is_beyond(*least, worst) {
                return;
            }
            if let Some((_, next)) = rows.get(place + ROWS_AHEAD) {
                scorer.fetch(block.vector(*next as usize));
            }
            let at = *row as usize;
            let distance = scorer.distance(block.vector(at), block.inverse_norms[at]);
            best.push((distance, SlotId::new(block.first_slot.get() + row)));
            work.distances += 1;
        }
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

//! The best rows by sparse product alone, from posting lists.

use super::{
    combined,
    lists::{Posting, PostingLists, SparseRows, weight},
};
use crate::{ScanEnd, TopK, Work};
use pinyon_types::{Distance, SlotId, SparseRef};

/// Rows whose sums are kept at once: 32 KiB of them stay in the nearest cache.
const WINDOW_ROWS: u32 = 4096;

/// Room for the rounding of sums, as a share of the greatest sum that there could be.
const ROUNDING: f64 = 1e-9;

/// What to search.
#[derive(Debug, Clone, Copy)]
pub struct SparseRequest<'a> {
    /// What to be near to.
    pub query: SparseRef<'a>,
    /// The rows' posting lists.
    pub lists: PostingLists<'a>,
    /// The rows themselves.
    pub rows: SparseRows<'a>,
}

/// A list of the query, from the first row that was not looked at yet.
struct Cursor<'a> {
    query: f64,
    postings: &'a [Posting],
    /// The most that this list and all before it can add to a row.
    reach: f64,
}

/// Adds the best wanted rows whose product is above zero. It is the caller's business to find others if these are fewer
/// than k: rows that share nothing with the query have a product of zero, and some may be below that.
pub fn search(
    request: &SparseRequest<'_>,
    is_wanted: &dyn Fn(u32) -> bool,
    best: &mut TopK<(Distance, SlotId)>,
    work: &mut Work,
    stop: &dyn Fn() -> bool,
) -> ScanEnd {
    let mut cursors = cursors(request);
    let mut sums = Sums::new();
    let mut essential = 0;
    loop {
        // Rows that only the lists before the essential ones have cannot be better than what was found.
        essential += cursors[essential..].iter().take_while(|cursor| cursor.reach <= floor(best)).count();
        let first = cursors[essential..].iter().filter_map(|cursor| Some(cursor.postings.first()?[0])).min();
        let Some(first) = first else { return ScanEnd::Done };
        if stop() {
            return ScanEnd::Stopped;
        }
        for cursor in &mut cursors[essential..] {
            work.postings += sums.add(first, cursor);
        }
        let rest = essential.checked_sub(1).map_or(0.0, |last| cursors[last].reach);
        sums.drain(first, |slot, sum| {
            if sum + rest <= floor(best) || !is_wanted(slot) {
                return;
            }
            work.distances += 1;
            let product = request.query.dot(request.rows.row(slot));
            if product > 0.0 {
                best.push((combined(Distance::new(0.0), product), SlotId::new(slot)));
            }
        });
    }
}

/// What a product must exceed.
fn floor(best: &TopK<(Distance, SlotId)>) -> f64 {
    best.worst().map_or(0.0, |(distance, _)| -distance.get())
}

/// The query's lists, those that can add least first.
fn cursors<'a>(request: &SparseRequest<'a>) -> Vec<Cursor<'a>> {
    let mut slack = 0.0;
    let weighted = request.query.indices.iter().zip(request.query.values);
    let mut cursors: Vec<Cursor<'a>> = weighted
        .filter_map(|(index, value)| {
            let list = request.lists.list(*index)?;
            let query = f64::from(*value);
            let ends = [query * f64::from(list.least), query * f64::from(list.greatest)];
            slack += ROUNDING * ends[0].abs().max(ends[1].abs());
            // A row that lacks the index gets nothing from the list.
            Some(Cursor { query, postings: list.postings, reach: ends[0].max(ends[1]).max(0.0) })
        })
        .collect();
    cursors.sort_by(|a, b| a.reach.total_cmp(&b.reach));
    let mut reach = slack;
    for cursor in &mut cursors {
        reach += cursor.reach;
        cursor.reach = reach;
    }
    cursors
}

/// Sums of the rows of one window, and which of them have any.
struct Sums {
    sums: Vec<f64>,
    touched: Vec<u64>,
}

impl Sums {
    fn new() -> Self {
        Self { sums: vec![0.0; WINDOW_ROWS as usize], touched: vec![0; WINDOW_ROWS as usize / 64] }
    }

    /// Adds what a list has for the window that begins at `first`; returns how many postings that were.
    fn add(&mut self, first: u32, cursor: &mut Cursor<'_>) -> u64 {
        let end = first.saturating_add(WINDOW_ROWS);
        let mut read = 0;
        for posting in cursor.postings.iter().take_while(|posting| posting[0] < end) {
            let at = (posting[0] - first) as usize;
            self.sums[at] += cursor.query * weight(*posting);
            self.touched[at / 64] |= 1 << (at % 64);
            read += 1;
        }
        cursor.postings = &cursor.postings[read..];
        read as u64
    }

    /// Hands out every touched row in order and forgets it.
    fn drain(&mut self, first: u32, mut each: impl FnMut(u32, f64)) {
        for (word, bits) in self.touched.iter_mut().enumerate() {
            while *bits != 0 {
                let at = word * 64 + bits.trailing_zeros() as usize;
                *bits &= *bits - 1;
                each(first + at as u32, std::mem::take(&mut self.sums[at]));
            }
        }
    }
}

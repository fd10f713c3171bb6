//! Who is linked to whom: a fixed number of places for each row, one after the other.

use pinyon_distance::codes::Int8Query;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering::Relaxed},
};

/// No row; ends a list that is not full.
pub(super) const NOBODY: u32 = u32::MAX;
/// In the first place of a row without links: the rest of the number is the row that stands for it. Rows are fewer than 2^31.
const ABSORBED: u32 = 1 << 31;
/// Locks that rows share. Only builders that run beside each other ever wait for one.
const LOCKS: usize = 1024;

/// The links of all rows. Whoever reads a list while another thread changes it sees rows of the old list or of the new
/// one, which are rows all the same.
#[derive(Debug)]
pub(super) struct Links {
    /// Places for each row.
    stride: usize,
    rows: Vec<AtomicU32>,
}

impl Links {
    pub(super) fn new(rows: usize, stride: usize) -> Self {
        Self::of_places(stride, std::iter::repeat_n(NOBODY, rows * stride))
    }

    /// As [`Self::all`] gave them.
    pub(super) fn copy(stride: usize, links: &[u32]) -> Self {
        Self::of_places(stride, links.iter().copied())
    }

    fn of_places(stride: usize, links: impl ExactSizeIterator<Item = u32>) -> Self {
        let mut places = Vec::with_capacity(links.len());
        pinyon_distance::ask_for_huge_pages(places.spare_capacity_mut());
        places.extend(links.map(AtomicU32::new));
        Self { stride, rows: places }
    }

    pub(super) const fn stride(&self) -> usize {
        self.stride
    }

    /// Every place of every row, row after row.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> {
        self.rows.iter().map(|link| link.load(Relaxed))
    }

    /// How many rows one is linked to at most.
    pub(super) const fn places(&self) -> usize {
        self.stride
    }

    /// The rows that a row is linked to; none of one for which another stands.
    pub(super) fn of(&self, row: u32) -> impl Iterator<Item = u32> {
        self.list(row).iter().map(|link| link.load(Relaxed)).take_while(|link| *link < ABSORBED)
    }

    /// The row that stands for this one, if it was absorbed.
    pub(super) fn owner(&self, row: u32) -> Option<u32> {
        owner_in(self.list(row).first()?.load(Relaxed))
    }

    /// Lets another row stand for this one.
    pub(super) fn absorb(&self, row: u32, owner: u32) {
        self.set(row, std::iter::once(owner | ABSORBED));
    }

    /// Replaces a row's list; what does not fit is left out.
    pub(super) fn set(&self, row: u32, links: impl Iterator<Item = u32>) {
        for (place, link) in self.list(row).iter().zip(links.chain(std::iter::repeat(NOBODY))) {
            place.store(link, Relaxed);
        }
    }

    pub(super) fn prefetch(&self, query: &Int8Query, row: u32) {
        for line in self.list(row).chunks(16) {
            query.prefetch_line(&line[0]);
        }
    }

    pub(super) const fn bytes_for(rows: usize, stride: usize) -> usize {
        rows * stride * size_of::<AtomicU32>()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.rows.len() * size_of::<AtomicU32>()
    }

    fn list(&self, row: u32) -> &[AtomicU32] {
        &self.rows[row as usize * self.stride..(row as usize + 1) * self.stride]
    }
}

/// The row that a first place names as the one that stands for its row.
pub(super) const fn owner_in(place: u32) -> Option<u32> {
    if place >= ABSORBED && place != NOBODY { Some(place & !ABSORBED) } else { None }
}

/// The lengths of links, beside the links and needed only while a graph is built, and the locks of their lists.
#[derive(Debug)]
pub(super) struct Edges {
    stride: usize,
    lengths: Vec<AtomicU32>,
    locks: Vec<Mutex<()>>,
}

impl Edges {
    pub(super) fn new(rows: usize, stride: usize) -> Self {
        Self {
            stride,
            lengths: (0..rows * stride).map(|_| AtomicU32::new(0)).collect(),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
        }
    }

    /// Whoever changes a row's list holds this.
    pub(super) fn lock(&self, row: u32) -> MutexGuard<'_, ()> {
        self.locks[row as usize % LOCKS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, row: u32) -> impl Iterator<Item = f32> {
        self.list(row).iter().map(|bits| f32::from_bits(bits.load(Relaxed)))
    }

    pub(super) fn set(&self, row: u32, lengths: impl Iterator<Item = f32>) {
        for (place, length) in self.list(row).iter().zip(lengths) {
            place.store(length.to_bits(), Relaxed);
        }
    }

    fn list(&self, row: u32) -> &[AtomicU32] {
        &self.lengths[row as usize * self.stride..(row as usize + 1) * self.stride]
    }
}

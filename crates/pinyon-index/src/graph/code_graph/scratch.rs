//! Memory that a walk needs and that is kept for the next one.

use super::pool::Pool;
use std::sync::{Mutex, PoisonError};

/// What one walk works on.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) near: Pool,
    /// Rows seen for the first time at this hop, and their distances.
    pub(super) fresh: Vec<u32>,
    pub(super) distances: Vec<f32>,
    /// The walk in which each row was seen last: forgetting all of them is counting one up.
    seen: Vec<u16>,
    walk: u16,
}

impl Scratch {
    pub(super) fn begin(&mut self, rows: usize, ef: usize) {
        self.near.begin(ef);
        if self.walk == u16::MAX || self.seen.len() != rows {
            self.seen.clear();
            self.seen.resize(rows, 0);
            self.walk = 0;
        }
        self.walk += 1;
    }

    /// Marks a row; returns whether it was seen before.
    pub(super) fn visit(&mut self, row: u32) -> bool {
        let seen = &mut self.seen[row as usize];
        std::mem::replace(seen, self.walk) == self.walk
    }

    /// Keeps those of at most `most` rows that were not seen before. Without a branch: which ones these are cannot be predicted.
    pub(super) fn collect_unvisited(&mut self, rows: impl Iterator<Item = u32>, most: usize) {
        self.fresh.resize(most, 0);
        let mut kept = 0;
        for row in rows {
            self.fresh[kept] = row;
            kept += usize::from(!self.visit(row));
        }
        self.fresh.truncate(kept);
        self.distances.resize(kept, 0.0);
    }
}

/// Scratches that nobody uses right now: as many as walks ran beside each other.
#[derive(Debug, Default)]
pub(super) struct Scratches(Mutex<Vec<Scratch>>);

impl Scratches {
    pub(super) fn with<T>(&self, walk: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut scratch = self.lock().pop().unwrap_or_default();
        let result = walk(&mut scratch);
        self.lock().push(scratch);
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

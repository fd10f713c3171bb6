//! How far a move is, for people: numbers that live as long as it is worked at.

use super::pace::Throttled;
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// What has been done in this process.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Records and bytes that were read of the source, those of rounds and comparisons too.
    pub(super) rows: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// Records that the source had when it was looked at first.
    pub(super) rows_in_all: AtomicU64,
    /// Rounds of catching up that were not empty.
    pub(super) rounds: AtomicU64,
    /// Microseconds for which the tenant's writers waited.
    pub(super) closed_us: AtomicU64,
    /// Microseconds for which each of their writes waits at the moment, because the target cannot keep up.
    pub(super) slowed_us: AtomicU64,
    pub(super) waits_for_readers: AtomicBool,
    throttled: Mutex<Throttled>,
    /// What the last attempt met.
    pub(super) trouble: Mutex<Option<String>>,
}

impl Progress {
    pub(super) fn count(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn set_throttled(&self, throttled: Throttled) {
        *self.throttled.lock().unwrap_or_else(PoisonError::into_inner) = throttled;
    }

    pub(super) fn throttled(&self) -> Throttled {
        *self.throttled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says whether it is another one than before.
    pub(super) fn set_trouble(&self, trouble: Option<&str>) -> bool {
        let mut kept = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = kept.as_deref() != trouble;
        *kept = trouble.map(str::to_owned);
        is_new
    }
}

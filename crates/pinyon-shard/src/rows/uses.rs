//! When rows were used.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// Looks without a query after which a namespace may give way to one that is queried: five seconds or a little more.
pub(crate) const IDLE_TICKS: u32 = 5;

/// When a namespace's rows in a segment were last searched, and whether what was made of them was dropped since.
#[derive(Debug, Default)]
pub(crate) struct Use {
    /// 0 for never since the start, or since it was dropped.
    last: AtomicU32,
    is_dropped: AtomicBool,
}

impl Use {
    /// Notes a search. Reads first: a line that many threads write to is passed around between them.
    pub(crate) fn note(&self, tick: u32) {
        if self.last.load(Relaxed) != tick {
            self.last.store(tick, Relaxed);
        }
    }

    /// Whether codes and graphs may be made: what was dropped waits for a search.
    pub(crate) fn may_derive(&self) -> bool {
        !self.is_dropped.load(Relaxed) || self.last.load(Relaxed) > 0
    }

    pub(crate) fn is_recent(&self, tick: u32) -> bool {
        let last = self.last.load(Relaxed);
        last > 0 && last.saturating_add(IDLE_TICKS) >= tick
    }

    pub(crate) fn drop_note(&self) {
        self.is_dropped.store(true, Relaxed);
        self.last.store(0, Relaxed);
    }

    /// When they were last searched.
    pub(crate) fn last(&self) -> u32 {
        self.last.load(Relaxed)
    }
}

//! What of the deleted is to leave the files, and since when.

use crate::{rows::layer::Layer, settings::ErasureTimes};
use pinyon_types::{NamespaceId, SegmentId, TenantId};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What an erasure did.
#[derive(Debug, Default)]
pub struct Erased {
    /// Segments that were written again, or removed because nothing in them was alive.
    pub segments: u64,
    /// Files that had been set aside or left over, and were removed.
    pub leftovers: u64,
    /// What readers may still read from.
    pub(crate) leaving: Vec<Weak<Layer>>,
}

impl Erased {
    /// Whether some reader still holds a file that has no name any more: its bytes are given back when the last one lets go.
    pub fn is_held(&self) -> bool {
        self.leaving.iter().any(|layer| layer.strong_count() > 0)
    }

    /// This and another shard's.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.leaving.extend(other.leaving);
        let (segments, leftovers) = (self.segments + other.segments, self.leftovers + other.leftovers);
        Self { segments, leftovers, leaving: self.leaving }
    }
}

/// What is to be erased.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// Everything that is dead.
    All,
    /// The dead rows of these namespaces.
    Namespaces(Vec<NamespaceId>),
    /// The dead rows of a namespace, where they take much of a segment.
    Room(NamespaceId),
    /// The dead rows of every namespace of a tenant, also of one that was erased before.
    Tenant(TenantId),
}

/// An erasure on its way, one step after the other.
#[derive(Debug)]
pub(crate) struct Erasing {
    pub(crate) wanted: Wanted,
    /// Segments that are to be written again; `None` before the log was let go.
    pub(crate) left: Option<VecDeque<SegmentId>>,
    pub(crate) done: Erased,
}

/// What is owed, and since when, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    /// The first change since everything was erased; 0 if there was none.
    pub(crate) records_since: AtomicU64,
    pub(crate) namespaces: Mutex<BTreeMap<NamespaceId, u64>>,
    pub(crate) running: Mutex<Option<Erasing>>,
    /// Not tried before this time, because there was no room.
    pub(crate) rests_until: AtomicU64,
}

impl Owed {
    pub(crate) fn namespaces(&self) -> MutexGuard<'_, BTreeMap<NamespaceId, u64>> {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn running(&self) -> MutexGuard<'_, Option<Erasing>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every write comes here: the time is asked for the first only.
    pub(crate) fn note_change(&self, now_us: impl Fn() -> u64) {
        if self.records_since.load(Ordering::Relaxed) == 0 {
            self.records_since.store(now_us(), Ordering::Relaxed);
        }
    }

    pub(crate) fn note_namespace(&self, namespace: NamespaceId, now_us: u64) {
        self.namespaces().entry(namespace).or_insert(now_us);
    }

    /// What is due by now, which is owed no more once this was called.
    pub(crate) fn take_due(&self, times: ErasureTimes, now_us: u64) -> Option<Wanted> {
        let is_due = |since: u64, after: Duration| now_us.saturating_sub(since) >= micros(after);
        let records_since = self.records_since.load(Ordering::Relaxed);
        let mut namespaces = self.namespaces();
        if records_since > 0 && is_due(records_since, times.records) {
            self.records_since.store(0, Ordering::Relaxed);
            namespaces.clear();
            return Some(Wanted::All);
        }
        let due: Vec<NamespaceId> = namespaces
            .extract_if(.., |_, since| is_due(*since, times.namespaces))
            .map(|(one, _)| one)
            .collect();
        (!due.is_empty()).then_some(Wanted::Namespaces(due))
    }

    /// When something is due; now if it has begun.
    pub(crate) fn due_us(&self, times: ErasureTimes) -> Option<u64> {
        if self.running().is_some() {
            return Some(self.rests_until.load(Ordering::Relaxed));
        }
        let records_since = self.records_since.load(Ordering::Relaxed);
        let records = (records_since > 0).then(|| records_since.saturating_add(micros(times.records)));
        let first = self.namespaces().values().min().copied();
        let namespaces = first.map(|since| since.saturating_add(micros(times.namespaces)));
        records.into_iter().chain(namespaces).min()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

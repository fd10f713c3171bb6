//! Who watches a namespace: what is noted of its changes, in the commit that makes them.

use crate::{Noted, writing::log_entry::Operation};
use pinyon_types::{NamespaceId, RecordId};
use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// Memory that a noted id takes beside its text: a set's node, and the text's own head.
const ID_BYTES: usize = 64;

/// Notes that are being made.
#[derive(Debug)]
pub(crate) struct Notes {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    noted: Noted,
    bytes: usize,
}

/// The watches of a shard, by namespace. The writer asks them in every commit; one that was dropped goes with the next.
#[derive(Debug, Default)]
pub(crate) struct Watches(BTreeMap<NamespaceId, Vec<Weak<Notes>>>);

impl Watches {
    /// Begins to note what changes in a namespace.
    pub(crate) fn begin(&mut self, namespace: NamespaceId, bytes_max: usize) -> Arc<Notes> {
        let notes = Arc::new(Notes { bytes_max, kept: Mutex::default() });
        self.0.entry(namespace).or_default().push(Arc::downgrade(&notes));
        notes
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes what an entry is about to change. To be called under the writer's lock, before the change is visible.
    pub(crate) fn note(&mut self, namespace: NamespaceId, operations: &[Operation]) {
        let Some(watching) = self.0.get_mut(&namespace) else { return };
        watching.retain(|notes| notes.upgrade().map(|notes| notes.note(operations)).is_some());
        if watching.is_empty() {
            self.0.remove(&namespace);
        }
    }
}

impl Notes {
    /// What was noted since this was asked before. To be called under the writer's lock.
    pub(crate) fn take(&self) -> Noted {
        mem::take(&mut *self.lock()).noted
    }

    fn note(&self, operations: &[Operation]) {
        let mut kept = self.lock();
        for operation in operations {
            match operation {
                Operation::Put(record) => kept.note(&record.id, self.bytes_max),
                Operation::Delete(id) => kept.note(id, self.bytes_max),
                Operation::Clear => kept.clear(),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn note(&mut self, id: &RecordId, bytes_max: usize) {
        let is_within = |(first, last): &(RecordId, RecordId)| (first..=last).contains(&id);
        if self.noted.range.as_ref().is_some_and(is_within) || !self.noted.ids.insert(id.clone()) {
            return;
        }
        self.bytes += ID_BYTES + id.as_str().len();
        if self.bytes > bytes_max {
            self.widen();
        }
    }

    /// Lets the range stand for the ids.
    fn widen(&mut self) {
        let mut ids = mem::take(&mut self.noted.ids);
        ids.extend(self.noted.range.take().into_iter().flat_map(<[RecordId; 2]>::from));
        self.noted.range = ids.first().cloned().zip(ids.last().cloned());
        self.bytes = 0;
    }

    /// What was noted before is of records that are gone.
    fn clear(&mut self) {
        *self = Self { noted: Noted { is_cleared: true, ..Noted::default() }, bytes: 0 };
    }
}

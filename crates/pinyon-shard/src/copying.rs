//! Copying a namespace out while it changes: pages of its records, and a watch that notes which records change, in the commit that
//! changes them and before anybody sees the change. Pages need no snapshot: what one read too early or too late is named by the
//! notes. These live in memory as long as the watch does, and are bounded: beyond that, a range of ids stands for the ids.

use crate::{
    Located, Namespace, Noted, Shard, ShardError,
    log_entry::Operation,
    read::{self, ListRequest},
    shard::{Inner, check_page},
};
use pinyon_backend::ScanPage;
use pinyon_types::{NamespaceId, RecordId};
use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// Memory that a noted id takes beside its text: a set's node, and the text's own head.
const ID_BYTES: usize = 64;

/// A watch over one namespace. Notes are made until it is dropped.
#[derive(Debug)]
pub struct LocalWatch {
    inner: Arc<Inner>,
    notes: Arc<Notes>,
}

/// Notes that are being made.
#[derive(Debug)]
struct Notes {
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

impl Shard {
    /// Up to `limit` records whose ids come after `after`, in byte order of their ids, and whether more follow: fewer where more would
    /// take more than `bytes_max`, but one at least. What changes between two pages may be on none of them; a
    /// [`LocalWatch`] tells of it.
    ///
    /// # Errors
    /// A limit of 0 or beyond [`pinyon_types::limits::LIST_PAGE_MAX`].
    pub fn scan(
        &self,
        namespace: &Namespace,
        page: ScanPage<'_>,
    ) -> Result<(Vec<Located>, bool), ShardError> {
        let ScanPage { after, limit, bytes_max } = page;
        check_page(limit)?;
        let request = ListRequest { prefix: "", after: after.map(RecordId::as_str), limit };
        self.reading(|| Ok(read::scan(&self.snapshot(), namespace.id(), request, bytes_max)))
    }

    /// Begins to note which records of a namespace change. Changes that are visible already are not noted, every later one is. The notes
    /// of ids take about `bytes_max` at most.
    ///
    /// # Errors
    /// The shard takes no writes any more.
    pub fn watch(&self, namespace: &Namespace, bytes_max: usize) -> Result<LocalWatch, ShardError> {
        let notes = Arc::new(Notes { bytes_max, kept: Mutex::default() });
        let mut writer = self.inner.writing()?;
        writer.watches.0.entry(namespace.id()).or_default().push(Arc::downgrade(&notes));
        drop(writer);
        Ok(LocalWatch { inner: Arc::clone(&self.inner), notes })
    }
}

impl LocalWatch {
    /// What changed since the notes were taken before. Waits for a commit that is on its way.
    ///
    /// # Errors
    /// The shard takes no writes any more, so that nobody knows what becomes of those that failed.
    pub fn take(&mut self) -> Result<Noted, ShardError> {
        let writer = self.inner.writing()?;
        let Kept { noted, bytes: _ } = mem::take(&mut *self.notes.lock());
        let seq = self.inner.snapshot.load().seq;
        drop(writer);
        Ok(Noted { seq, ..noted })
    }
}

impl Watches {
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

//! Copying a namespace out while it changes: pages of its records, and a watch that notes which records change, in the commit that
//! changes them and before anybody sees the change. Pages need no snapshot: what one read too early or too late is named by the
//! notes. These live in memory as long as the watch does, and are bounded: beyond that, a range of ids stands for the ids.

use crate::{
    Frozen, Located, Namespace, Noted, Shard, ShardError,
    inner::Inner,
    search::read::{self, ListRequest, check_page},
    writing::watches::Notes,
};
use pinyon_backend::ScanPage;
use pinyon_types::RecordId;
use std::sync::Arc;

/// A watch over one namespace. Notes are made until it is dropped.
#[derive(Debug)]
pub struct LocalWatch {
    inner: Arc<Inner>,
    notes: Arc<Notes>,
}

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
        let notes = self.inner.writing()?.watches.begin(namespace.id(), bytes_max);
        Ok(LocalWatch { inner: Arc::clone(&self.inner), notes })
    }

    /// Lets no more writes in that were routed as this handle was or before; they get [`ShardError::StaleRoute`]. What was answered
    /// before is in what stays; what was not is turned back. Holds until the namespace or the shard is opened again.
    ///
    /// # Errors
    /// A poisoned shard.
    pub fn close_namespace(&self, namespace: &Namespace) -> Result<Frozen, ShardError> {
        let mut writer = self.inner.writing()?;
        writer.gate.close(namespace);
        let state = self.inner.snapshot.load();
        Ok(Frozen { records: state.count(namespace.id()), seq: state.seq })
    }

    /// Lets them in again.
    ///
    /// # Errors
    /// A poisoned shard.
    pub fn open_namespace(&self, namespace: &Namespace) -> Result<(), ShardError> {
        self.inner.writing()?.gate.open(namespace.id());
        Ok(())
    }
}

impl LocalWatch {
    /// What changed since the notes were taken before. Waits for a commit that is on its way.
    ///
    /// # Errors
    /// The shard takes no writes any more, so that nobody knows what becomes of those that failed.
    pub fn take(&mut self) -> Result<Noted, ShardError> {
        let writer = self.inner.writing()?;
        let noted = self.notes.take();
        let seq = self.inner.snapshot.load().seq;
        drop(writer);
        Ok(Noted { seq, ..noted })
    }
}

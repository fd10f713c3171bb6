//! A shard of this process behind the seam of the router.

use crate::{Shard, ShardError, shard::copying::LocalWatch, upkeep::owed::Wanted, writing::queue::Undone};
use pinyon_backend::{
    BackendError, Capabilities, Change, CopyEntry, Found, Frozen, ListPage, Located, MatchPage, Namespace,
    Noted, Page, Query, Receipt, ScanPage, Scope, ShardBackend, Until, Watch, WriteError,
};
use pinyon_types::{Epoch, Filter, RecordId, SeqNo};

impl From<ShardError> for BackendError {
    fn from(error: ShardError) -> Self {
        let text = error.to_string();
        match error {
            ShardError::Invalid(invalid) => invalid.into(),
            ShardError::StaleRoute { given, seen } => Self::Closed { given, seen },
            ShardError::Poisoned { .. } => Self::WritesRefused(text),
            ref error if error.is_disk_full() => Self::Full(text),
            ShardError::Backlog { .. } | ShardError::MemoryFull { .. } => Self::Busy(text),
            ShardError::Suspect { .. } => Self::Suspect(text),
            ShardError::OtherShape { .. } => Self::OtherShape(text),
            ShardError::Damaged { .. }
            | ShardError::Foreign { .. }
            | ShardError::Stale { .. }
            | ShardError::Log(_)
            | ShardError::Segment(_)
            | ShardError::Manifest(_) => Self::Damaged(text),
            ShardError::DiskFull { .. } => Self::Full(text),
            ShardError::NotWritten { .. } | ShardError::TooManyRows { .. } | ShardError::Io { .. } => {
                Self::Failed(text)
            }
        }
    }
}

impl From<Undone> for WriteError {
    fn from(Undone { error, may_be_durable, change }: Undone) -> Self {
        let error = error.into();
        if may_be_durable { Self::Unknown(error) } else { Self::Refused { error, change } }
    }
}

impl Watch for LocalWatch {
    fn take(&mut self) -> Result<Noted, BackendError> {
        Ok(Self::take(self)?)
    }
}

/// Whatever this process keeps is answered at once, or waits for its own disk: a deadline matters before a write begins, and to searches.
impl ShardBackend for Shard {
    fn capabilities(&self) -> Capabilities {
        Capabilities { answers_at_once: true, has_positions: true }
    }

    fn write(&self, to: &Namespace, change: Change, until: Until<'_>) -> Result<Receipt, WriteError> {
        if until.is_over() {
            return Err(WriteError::Refused {
                error: BackendError::TimedOut,
                change: Some(Box::new(change)),
            });
        }
        Ok(self.change(to, change)?)
    }

    /// A write that has no outcome has poisoned the shard: nothing takes effect until it was opened again, which settles it.
    fn settle(&self, _of: &Namespace, _until: Until<'_>) -> Result<(), BackendError> {
        match self.poisoned() {
            Some(reason) => Err(ShardError::Poisoned { reason }.into()),
            None => Ok(()),
        }
    }

    fn close(&self, of: &Namespace, _until: Until<'_>) -> Result<Frozen, BackendError> {
        Ok(self.close_namespace(of)?)
    }

    fn open(&self, of: &Namespace) -> Result<(), BackendError> {
        Ok(self.open_namespace(of)?)
    }

    fn watch(&self, of: &Namespace, bytes_max: usize) -> Result<Box<dyn Watch>, BackendError> {
        Ok(Box::new(Self::watch(self, of, bytes_max)?))
    }

    fn find(
        &self,
        of: &Namespace,
        ids: &[RecordId],
        _until: Until<'_>,
    ) -> Result<Vec<Located>, BackendError> {
        Ok(Self::find(self, of, ids)?)
    }

    fn list(&self, of: &Namespace, page: ListPage<'_>, _until: Until<'_>) -> Result<Page, BackendError> {
        Ok(Self::list(self, of, page.prefix, page.after, page.limit)?)
    }

    fn find_matching(
        &self,
        of: &Namespace,
        page: MatchPage<'_>,
        _until: Until<'_>,
    ) -> Result<(Vec<Located>, bool), BackendError> {
        Ok(Self::find_matching(self, of, page.filter, page.after, page.limit)?)
    }

    fn count(&self, of: &Namespace, filter: Option<&Filter>, _until: Until<'_>) -> Result<u64, BackendError> {
        Ok(Self::count(self, of, filter)?)
    }

    fn scan(
        &self,
        of: &Namespace,
        page: ScanPage<'_>,
        _until: Until<'_>,
    ) -> Result<(Vec<Located>, bool), BackendError> {
        Ok(Self::scan(self, of, page)?)
    }

    fn search(&self, scope: Scope<'_>, query: Query<'_>, until: Until<'_>) -> Result<Found, BackendError> {
        Ok(Self::search(self, scope, query, &|| until.is_over())?)
    }

    fn records(&self, scope: Scope<'_>) -> u64 {
        let state = self.snapshot();
        let of = |number| state.count(number);
        match scope {
            Scope::All => state.rows(),
            Scope::AllBut(left_out) => {
                state.without(left_out).map_or_else(|| state.rows(), |rest| rest.rows())
            }
            Scope::Namespaces(namespaces) => namespaces.iter().map(|one| of(one.id())).sum(),
        }
    }

    fn position(&self) -> Option<SeqNo> {
        Some(self.last_seq())
    }

    fn epoch_seen(&self) -> Epoch {
        Self::epoch_seen(self)
    }

    fn copies(&self, _until: Until<'_>) -> Result<Vec<CopyEntry>, BackendError> {
        let state = self.snapshot();
        let entry = |(number, (name, records))| {
            let namespace = Namespace::routed(number, name, state.namespace_epoch(number));
            CopyEntry { namespace, records }
        };
        Ok(state.namespaces().into_iter().map(entry).collect())
    }

    fn adopt(&self, copy: &Namespace, _until: Until<'_>) -> Result<(), WriteError> {
        self.inner.adopt(copy)?;
        Ok(())
    }

    fn drop_copy(&self, copy: &Namespace, _until: Until<'_>) -> Result<(), WriteError> {
        self.change(copy, Change::DeleteAll)?;
        // The epoch goes with the records; the gate stays.
        self.close_namespace(copy).map_err(WriteError::refused)?;
        Ok(())
    }

    fn reclaim(&self, copy: &Namespace) -> Result<(), BackendError> {
        self.inner.erase_all(Wanted::Room(copy.id()))?;
        Ok(())
    }
}

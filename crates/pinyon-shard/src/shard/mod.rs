//! The shard itself: its parts, and the operations on it.

mod backend;
mod copying;
mod stats;
mod suspects;

pub use copying::LocalWatch;
pub use stats::{NamespaceStats, SegmentStats, ShardStats};

use crate::{
    Change, Found, Located, Namespace, Page, PartRecall, Query, Receipt, ResidentBytes, Scope, ShardError,
    ShardOptions, ShardShape, Stored,
    derived::{codes, graphs, questions, recall},
    inner::Inner,
    place::ShardPlace,
    rows::{part::Part, snapshot::Snapshot},
    search::{
        self,
        read::{self, ListRequest, check_page},
    },
    upkeep::{
        budget::Member,
        maintenance::Step,
        owed::Erased,
        pressure::Pressure,
        reclaim::{self, WantedRoom},
        recover,
    },
    writing::queue::Outcome,
};
use pinyon_storage::{Owner, io::SharedIo};
use pinyon_types::{Epoch, Filter, Invalid, NamespaceId, RecordId, SeqNo, TenantId, limits};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, PoisonError, atomic::Ordering},
};

/// One shard. Cheap to clone; clones are the same shard.
#[derive(Debug, Clone)]
pub struct Shard {
    pub(crate) inner: Arc<Inner>,
}

impl Shard {
    /// Opens the shard in `dir`, or creates it there, whosever it is. Reads the manifest, verifies every segment, replays the log.
    ///
    /// # Errors
    /// As [`Self::open_in`].
    pub fn open(
        io: &SharedIo,
        dir: &Path,
        shape: ShardShape,
        options: ShardOptions,
    ) -> Result<Self, ShardError> {
        Self::open_in(io, dir, (shape, ShardPlace::unknown(shape.shard.get())), options)
    }

    /// The same of the shard that belongs in a place.
    ///
    /// # Errors
    /// Data of another shape, of another shard or of an earlier day, damaged data (the error names the file), or the disk's.
    pub fn open_in(
        io: &SharedIo,
        dir: &Path,
        shape_and_place: (ShardShape, ShardPlace),
        options: ShardOptions,
    ) -> Result<Self, ShardError> {
        let inner = Arc::new(recover::open(io, dir, shape_and_place, options)?);
        if let Some(budget) = &inner.options.memory {
            let member: Arc<dyn Member> = Arc::clone(&inner) as _;
            budget.join(Arc::downgrade(&member));
        }
        Ok(Self { inner })
    }

    /// Whether the shard in `dir` ever took a write, by its files. Changes nothing; reads every log.
    ///
    /// # Errors
    /// A damaged manifest, the disk's.
    pub fn took_writes(io: &SharedIo, dir: &Path) -> Result<bool, ShardError> {
        recover::took_writes(io, dir)
    }

    /// Makes a change of one namespace durable and visible; all of it or nothing.
    ///
    /// # Errors
    /// Refused input, a stale route, a poisoned shard, a full disk: nothing was changed. [`ShardError::Poisoned`] after
    /// a failed sync: the change may or may not be there after a restart.
    pub fn write(&self, namespace: &Namespace, change: Change) -> Result<Receipt, ShardError> {
        self.change(namespace, change).map_err(|undone| undone.error)
    }

    /// The same; says whether what failed may be durable, and gives the change back where it was not used up.
    pub(crate) fn change(&self, namespace: &Namespace, change: Change) -> Outcome {
        let is_deletion = change.is_deletion();
        let receipt = self.inner.write(namespace, change)?;
        if is_deletion && !self.snapshot().has_records(namespace.id()) {
            questions::forget(&self.inner, Part::Namespace(namespace.id()));
        }
        Ok(receipt)
    }

    /// The records with these ids, in the order asked; ids that do not exist are left out.
    ///
    /// # Errors
    /// More ids than one request may name.
    pub fn find(&self, namespace: &Namespace, ids: &[RecordId]) -> Result<Vec<Located>, ShardError> {
        if ids.len() > limits::BATCH_RECORDS_MAX {
            let problem = format!("must be at most {}, are {}", limits::BATCH_RECORDS_MAX, ids.len());
            return Err(Invalid::new("ids", problem).into());
        }
        self.reading(|| Ok(read::find(&self.snapshot(), namespace.id(), ids)))
    }

    /// The same with all that they hold.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn fetch(&self, namespace: &Namespace, ids: &[RecordId]) -> Result<Vec<Stored>, ShardError> {
        self.reading(|| Ok(self.find(namespace, ids)?.iter().map(Located::stored).collect()))
    }

    /// Up to `limit` ids with a prefix that come after `after`, in byte order.
    ///
    /// # Errors
    /// A limit of 0 or beyond [`limits::LIST_PAGE_MAX`].
    pub fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Page, ShardError> {
        check_page(limit)?;
        let request = ListRequest { prefix, after: after.map(RecordId::as_str), limit };
        self.reading(|| Ok(read::list(&self.snapshot(), namespace.id(), request)))
    }

    /// Up to `limit` records that pass a filter and whose ids come after `after`, in byte order of their ids, and
    /// whether more follow.
    ///
    /// # Errors
    /// A limit of 0 or beyond [`limits::LIST_PAGE_MAX`].
    pub fn find_matching(
        &self,
        namespace: &Namespace,
        filter: &Filter,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<(Vec<Located>, bool), ShardError> {
        check_page(limit)?;
        let after = after.map(RecordId::as_str);
        self.reading(|| Ok(read::find_matching(&self.snapshot(), namespace.id(), filter, after, limit)))
    }

    /// How many records a namespace has; with a filter, how many pass it.
    ///
    /// # Errors
    /// [`ShardError::Suspect`].
    pub fn count(&self, namespace: &Namespace, filter: Option<&Filter>) -> Result<u64, ShardError> {
        let state = self.snapshot();
        match filter {
            None => Ok(state.count(namespace.id())),
            Some(filter) => {
                self.reading(|| Ok(read::matching(&state, namespace.id(), filter).count() as u64))
            }
        }
    }

    /// The records nearest to a vector. Takes no lock; `stop` is asked every thousand rows or so, and a search that it
    /// stops says so in [`Found::complete`].
    ///
    /// # Errors
    /// A query of another shape than the shard's.
    pub fn search(
        &self,
        scope: Scope<'_>,
        query: Query<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Found, ShardError> {
        search::check_query(query, self.inner.shape)?;
        let settings = search::SearchSettings {
            metric: self.inner.shape.metric,
            scan_ms_max: self.inner.options.scan_ms_max,
            graph_rows_min: self.inner.options.graph_rows_min,
            tick: self.inner.options.memory.as_ref().map(|budget| budget.tick()),
        };
        let snapshot = search::seen_in(scope, self.snapshot());
        codes::load(&self.inner, &snapshot, scope, stop);
        let searched = self.reading(|| Ok(search::search(&snapshot, settings, scope, query, stop)))?;
        if searched.met_many {
            self.inner.note_question(scope, query);
        }
        Ok(searched.found)
    }

    /// How good the answers of every part are that has codes or a graph.
    pub fn recalls(&self) -> Vec<PartRecall> {
        recall::collect(&self.inner)
    }

    /// The namespaces that have records, with their names and counts.
    pub fn namespaces(&self) -> BTreeMap<NamespaceId, (TenantId, u64)> {
        self.snapshot().namespaces()
    }

    /// How many records there are in all namespaces.
    pub fn records(&self) -> u64 {
        self.snapshot().rows()
    }

    /// What the shard holds and what it costs.
    pub fn stats(&self) -> ShardStats {
        stats::collect(&self.inner)
    }

    /// Bytes that it keeps in memory. Reads no file.
    pub fn resident(&self) -> ResidentBytes {
        ResidentBytes::of(&self.snapshot())
    }

    /// The position of the last visible write.
    pub fn last_seq(&self) -> SeqNo {
        self.snapshot().seq
    }

    /// The highest routing epoch that any write carried: the routing table must not be older (see `doctor`).
    pub fn epoch_seen(&self) -> Epoch {
        self.snapshot().epoch_seen
    }

    /// Why writes are refused, if they are (WAL-3).
    pub fn poisoned(&self) -> Option<String> {
        let reason = self.inner.poison_reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.inner.poisoned.load(Ordering::Acquire).then(|| reason.unwrap_or_default())
    }

    /// Why the last background step failed, until one succeeds.
    pub fn step_failure(&self) -> Option<String> {
        self.inner.step_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where room on the disk is scarce: what would make some, and finds none to be rewritten in.
    pub fn wants_room(&self) -> Option<WantedRoom> {
        reclaim::wanted_room(&self.inner)
    }

    /// Whose name stands in its files.
    pub fn owner(&self) -> Owner {
        self.inner.place.owner
    }

    /// What the shard is.
    pub fn shape(&self) -> ShardShape {
        self.inner.shape
    }

    /// Does the next piece of sealing or merging, if there is one. A server lets [`crate::Keepers`] call this; a test
    /// calls it when it wants it to happen.
    ///
    /// # Errors
    /// The disk's; the state stays as it was and the step can be tried again.
    pub fn step(&self) -> Result<Step, ShardError> {
        self.inner.step()
    }

    /// Seals the memtable now, however small it is.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn seal(&self) -> Result<Step, ShardError> {
        self.inner.seal_now()
    }

    /// Does the next of the steps that would be done if nobody wrote for long: seals the memtable, however small it is, or
    /// merges segments. [`Self::derive`] makes their codes and graphs.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn settle_step(&self) -> Result<Step, ShardError> {
        self.inner.settle_step()
    }

    /// Merges everything into one segment and drops what is dead.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn compact(&self) -> Result<Step, ShardError> {
        self.inner.compact_now()
    }

    /// Erases what was deleted of a tenant: no log and no segment of the shard holds it when this returns, only what is written
    /// meanwhile. Takes as long as writing every segment again in which rows of the tenant are dead.
    ///
    /// # Errors
    /// As [`Self::step`], and too little room for a segment's live rows beside it; it can be tried again.
    pub fn erase(&self, tenant: &TenantId) -> Result<Erased, ShardError> {
        self.inner.erase(tenant)
    }

    /// Makes what searches are faster with: the next missing codes, then the next missing graph of a large namespace, which
    /// is read from its file, or built on `pool` and kept in one. `stop` ends it early. A file that cannot be read or written
    /// changes nothing but the time it takes.
    pub fn derive(&self, pool: &rayon::ThreadPool, stop: &dyn Fn() -> bool) -> Step {
        if self.inner.shape.dim.is_none() || self.inner.is_given_up.load(Ordering::Acquire) {
            return Step::Idle;
        }
        let memory = self.inner.options.memory.as_deref();
        let stop = &|| stop() || memory.is_some_and(|budget| budget.pressure() > Pressure::None);
        match codes::derive_next(&self.inner, stop) {
            Step::Idle => {}
            step => return step,
        }
        match graphs::build_next(&self.inner, pool, stop) {
            Step::Idle => {}
            step => return step,
        }
        match graphs::retest_next(&self.inner, stop) {
            Step::Idle => questions::keep_next(&self.inner),
            step => step,
        }
    }

    /// Looks at the limit on memory, if there is one, and drops what is above it from any shard that shares it.
    /// [`crate::Keepers`] do this several times a second.
    pub fn keep_memory(&self) {
        if let Some(budget) = &self.inner.options.memory {
            budget.keep();
        }
    }

    /// Ends the log cleanly, so that later damage to its end is noticed. Writes are refused from then on.
    ///
    /// # Errors
    /// The disk's; nothing acknowledged is lost by it.
    pub fn close(&self) -> Result<(), ShardError> {
        questions::keep_all(&self.inner);
        self.inner.close()
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.snapshot.load_full()
    }
}

//! The routing table: looked up without a lock, changed durably, by one writer at a time.

use super::{
    StoredSettings,
    checked::{CheckedStore, Image},
    codec,
    draft::{Draft, NotCommitted},
    identity::{self, Identity},
    layout::{IDENTITY_KEY, SETTINGS_KEY},
    opening::Contents,
    readers::EarlierReaders,
    store::{CatalogError, CatalogKind, Change},
    view::{Assignment, Pin, Routes, View},
    writer::Writer,
};
use arc_swap::ArcSwap;
use pinyon_storage::{io::SharedIo, witness::Witness};
use pinyon_types::{Epoch, NamespaceId, ShardId, TenantId};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// A wish to assign a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignRequest {
    /// Which tenant.
    pub tenant: TenantId,
    /// Where to.
    pub shard: ShardId,
    /// `Placed` keeps an assignment that is there already; `Explicit` replaces it.
    pub pin: Pin,
}

/// Where every tenant lives.
#[derive(Debug)]
pub struct RoutingTable {
    pub(super) view: ArcSwap<View>,
    queue: Mutex<VecDeque<Arc<Pending>>>,
    pub(super) writer: Mutex<Writer>,
    /// Held, before the writer's lock, by who folds, exports or writes the store anew.
    pub(super) upkeep: Mutex<()>,
    settings: Mutex<Option<StoredSettings>>,
    identity: Mutex<Option<Identity>>,
    takes_changes: Arc<AtomicBool>,
    pub(super) io: SharedIo,
    pub(super) export_path: PathBuf,
}

#[derive(Debug)]
struct Pending {
    requests: Vec<AssignRequest>,
    outcome: Mutex<Option<Result<Vec<Assignment>, CatalogError>>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RoutingTable {
    /// Opens the table in `dir`, which must exist, or begins one there.
    ///
    /// # Errors
    /// A damaged store, another kind of store than the one that is there, the store's own.
    pub fn open_on(io: &SharedIo, dir: &Path, kind: CatalogKind) -> Result<Self, CatalogError> {
        let (store, entries) = CheckedStore::open_on(io, dir, kind)?;
        Self::from_image(store, &Image { entries }, dir)
    }

    /// The same in a directory of the machine.
    #[cfg(test)]
    pub(crate) fn open(dir: &Path, kind: CatalogKind) -> Result<Self, CatalogError> {
        Self::open_on(&crate::system_io(), dir, kind)
    }

    /// Stands in for a table that could not be read: it knows nobody and takes no changes.
    pub(crate) fn lost(io: &SharedIo, dir: &Path, problem: String) -> Result<Self, CatalogError> {
        Self::from_image(CheckedStore::lost(io, dir, problem), &Image::default(), dir)
    }

    pub(super) fn from_image(store: CheckedStore, image: &Image, dir: &Path) -> Result<Self, CatalogError> {
        let damaged = |problem: String| CatalogError::Damaged { path: store.path().to_owned(), problem };
        let Contents { view, stored, settings, identity } =
            Contents::read(image, store.epoch()).map_err(damaged)?;
        let (takes_changes, io) = (store.takes_changes(), Arc::clone(store.io()));
        let mut writer = Writer::new(store, stored);
        while writer.remove_unnamed()? {}
        Ok(Self {
            view: ArcSwap::from_pointee(view),
            queue: Mutex::default(),
            writer: Mutex::new(writer),
            upkeep: Mutex::default(),
            settings: Mutex::new(settings),
            identity: Mutex::new(identity),
            takes_changes,
            io,
            export_path: dir.join("catalog.json"),
        })
    }

    /// Reads the store again after a change whose outcome nobody knows, and goes on from what it holds: the state before that change or
    /// the one after it. Does nothing where none failed.
    ///
    /// # Errors
    /// The store's; the table goes on taking no changes, and may be read again.
    pub(crate) fn read_again(&self) -> Result<(), CatalogError> {
        let _one_at_a_time = lock(&self.upkeep);
        let mut writer = lock(&self.writer);
        if writer.store.check().is_ok() {
            return Ok(());
        }
        let image = writer.store.read_again()?;
        let contents = Contents::read(&image, writer.store.epoch());
        let Contents { view, stored, settings, identity } =
            contents.map_err(|problem| writer.damaged(problem))?;
        writer.stored = stored;
        // What changed is not known any more.
        writer.changes_since_export = view.tenants.len();
        // Who reads by the state that was seen until now may read by copies that are not those of the new one.
        let generation = self.view.load().generation.succeed();
        self.view.store(Arc::new(View { generation, ..view }));
        (*lock(&self.settings), *lock(&self.identity)) = (settings, identity);
        while writer.remove_unnamed()? {}
        Ok(())
    }

    /// The table as it is now, for whoever looks up more than one tenant or wants to hold on to it. Takes no lock.
    pub(crate) fn routes(&self) -> Routes {
        self.view.load()
    }

    /// Where a tenant lives. Takes no lock; well below a microsecond.
    pub fn lookup(&self, tenant: &str) -> Option<Assignment> {
        self.view.load().get(tenant)
    }

    /// The table's version.
    pub fn epoch(&self) -> Epoch {
        self.view.load().epoch
    }

    /// The number that the next copy will have; waits for changes that are on their way.
    pub(crate) fn next_number(&self) -> NamespaceId {
        NamespaceId::new(lock(&self.writer).stored.next_namespace)
    }

    /// Whether it takes changes: none failed since it was opened. Takes no lock.
    pub fn takes_changes(&self) -> bool {
        self.takes_changes.load(Ordering::Relaxed)
    }

    /// Says why it takes no changes, if it does not; waits for those that are on their way.
    ///
    /// # Errors
    /// [`CatalogError::Poisoned`].
    pub(crate) fn check_changes(&self) -> Result<(), CatalogError> {
        lock(&self.writer).store.check()
    }

    /// Number of tenants.
    pub fn len(&self) -> usize {
        self.view.load().tenants.len()
    }

    /// Every tenant, ordered by name.
    pub fn all(&self) -> Vec<(TenantId, Assignment)> {
        self.view.load().sorted()
    }

    /// What the data were made with, once something was stored.
    pub fn settings(&self) -> Option<StoredSettings> {
        lock(&self.settings).clone()
    }

    /// Stores what the data are made with; durable when this returns.
    ///
    /// # Errors
    /// The store's.
    pub fn store_settings(&self, settings: &StoredSettings) -> Result<(), CatalogError> {
        let mut writer = lock(&self.writer);
        let encoded = codec::encode(settings).map_err(|problem| writer.damaged(problem))?;
        let epoch = writer.store.epoch().next();
        writer.store.commit(&[Change { key: SETTINGS_KEY.to_vec(), value: Some(encoded) }], epoch)?;
        self.publish(|view| view.epoch = epoch);
        *lock(&self.settings) = Some(settings.clone());
        Ok(())
    }

    /// The names of the index and its shards, once somebody drew them.
    pub(crate) fn identity(&self) -> Option<Identity> {
        lock(&self.identity).clone()
    }

    /// Stores these names; durable when this returns. The epoch stays: a table that went back to an earlier state would come up to what the
    /// shards have seen.
    pub(crate) fn store_identity(&self, identity: &Identity) -> Result<(), CatalogError> {
        let mut writer = lock(&self.writer);
        let change = Change { key: IDENTITY_KEY.to_vec(), value: Some(identity::encode(identity)) };
        let epoch = writer.store.epoch();
        writer.store.commit(&[change], epoch)?;
        *lock(&self.identity) = Some(identity.clone());
        Ok(())
    }

    /// Has a witness know of every change from now on.
    ///
    /// # Errors
    /// [`CatalogError::RolledBack`] if it knows of later ones.
    pub(crate) fn watch(&self, witness: Arc<Witness>) -> Result<(), CatalogError> {
        lock(&self.writer).store.watch(witness)
    }

    /// Refuses to go on when the shards have seen a later epoch than the store came back with.
    ///
    /// # Errors
    /// [`CatalogError::RolledBack`].
    pub fn check_epoch(&self, seen: Epoch) -> Result<(), CatalogError> {
        let have = self.epoch();
        if seen > have { Err(CatalogError::RolledBack { have, seen }) } else { Ok(()) }
    }

    /// Assigns tenants; durable when this returns, in one commit with whatever else waits. Answers with where each
    /// tenant lives now.
    ///
    /// # Errors
    /// The store's; nothing was assigned as far as is known, and nothing will be until the store was read again.
    pub fn assign(&self, requests: Vec<AssignRequest>) -> Result<Vec<Assignment>, CatalogError> {
        let pending = Arc::new(Pending { requests, outcome: Mutex::new(None) });
        lock(&self.queue).push_back(Arc::clone(&pending));
        let mut writer = lock(&self.writer);
        // Whoever held the lock before may have committed this request with its own.
        if let Some(outcome) = lock(&pending.outcome).take() {
            return outcome;
        }
        let group: Vec<Arc<Pending>> = lock(&self.queue).drain(..).collect();
        self.commit_group(&mut writer, &group);
        drop(writer);
        let outcome = lock(&pending.outcome).take();
        outcome.expect("invariant: the group that was committed contains this request")
    }

    fn commit_group(&self, writer: &mut Writer, group: &[Arc<Pending>]) {
        let mut draft = self.draft(writer);
        for request in group.iter().flat_map(|pending| &pending.requests) {
            decide(&mut draft, request);
        }
        let committed = self.commit(writer, draft);
        let view = self.view.load();
        for pending in group {
            let lives = |request: &AssignRequest| view.get(request.tenant.as_str());
            let outcome = match &committed {
                Ok(()) => Ok(pending.requests.iter().filter_map(lives).collect()),
                Err(error) => Err(CatalogError::Poisoned { reason: error.to_string() }),
            };
            *lock(&pending.outcome) = Some(outcome);
        }
    }

    /// Changes several things at once, under conditions: `decide` sees the newest state, which nobody else changes meanwhile, and writes a
    /// draft of the next one or refuses. Durable and seen by readers when this returns; in one commit, which takes as much as what is
    /// changed and not as the table.
    ///
    /// # Errors
    /// See [`NotCommitted`].
    pub(crate) fn change<T, R>(
        &self,
        decide: impl FnOnce(&mut Draft) -> Result<T, R>,
    ) -> Result<T, NotCommitted<R>> {
        let mut writer = lock(&self.writer);
        writer.store.check().map_err(NotCommitted::Unavailable)?;
        let mut draft = self.draft(&writer);
        let decided = decide(&mut draft).map_err(NotCommitted::Refused)?;
        match self.commit(&mut writer, draft) {
            Ok(()) => Ok(decided),
            Err(error) if writer.store.check().is_ok() => Err(NotCommitted::Unavailable(error)),
            Err(error) => Err(NotCommitted::Unknown(error)),
        }
    }

    /// Begins a generation of readers; says who reads by the states before.
    pub(crate) fn begin_generation(&self) -> EarlierReaders {
        let _writer = lock(&self.writer);
        let readers = self.view.load().readers();
        self.publish(|view| view.generation = view.generation.succeed());
        readers
    }

    fn draft(&self, writer: &Writer) -> Draft {
        Draft::new(&self.view.load(), writer.store.epoch().next(), writer.stored.next_namespace)
    }

    fn commit(&self, writer: &mut Writer, mut draft: Draft) -> Result<(), CatalogError> {
        if draft.is_empty() {
            return Ok(());
        }
        writer.write(&mut draft)?;
        self.view.store(Arc::new(draft.into_view()));
        Ok(())
    }

    pub(super) fn publish(&self, change: impl FnOnce(&mut View)) {
        let mut view = View::clone(&self.view.load());
        change(&mut view);
        self.view.store(Arc::new(view));
    }
}

/// What a request means to the newest state; it may change nothing.
fn decide(draft: &mut Draft, request: &AssignRequest) {
    let AssignRequest { tenant, shard, pin } = request;
    let old = draft.view().get(tenant.as_str());
    let (namespace, position_base) = match old {
        Some(_) if *pin == Pin::Placed => return,
        Some(old) if old.shard == *shard && old.pin == *pin => return,
        Some(old) => (old.namespace, old.position_base),
        None => (draft.fresh_number(), 0),
    };
    let epoch = draft.epoch();
    let assignment = Assignment { namespace, shard: *shard, epoch, pin: *pin, position_base };
    draft.assign(tenant.clone(), assignment);
}

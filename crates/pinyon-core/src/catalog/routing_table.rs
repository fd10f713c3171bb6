//! The routing table: looked up without a lock, changed durably, packed into few values. The store holds a base (all
//! assignments at some epoch) and the deltas since; when the deltas have grown to half of the base they are folded into
//! a new one, so that what is written stays in proportion to what changed.

use super::{
    StoredSettings,
    checked::{CheckedStore, Image},
    codec,
    declared::{self, Declared},
    export::{export_head, export_pieces},
    identity::{self, Identity},
    layout::{
        BASES, DELTAS, IDENTITY_KEY, REMOVED_KEY, SETTINGS_KEY, STATE_KEY, base_key, base_prefix,
        decode_state, delta_key, encode_state,
    },
    packing::{pack, unpack},
    store::{CatalogError, CatalogKind, Change},
    view::{Assignment, Pin, Routes, View},
};
use arc_swap::ArcSwap;
use pinyon_storage::{
    io::{self, SharedIo},
    witness::Witness,
};
use pinyon_types::{Epoch, NamespaceId, ShardId, TenantId};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Deltas are not folded before they have this many bytes, however small the base is.
const FOLD_BYTES_MIN: usize = 1 << 20;
/// Values of a new base written in one commit, so that no commit grows with the table.
const FOLD_VALUES_PER_COMMIT: usize = 64;
/// No table comes to numbers beyond this one.
const NUMBER_MAX: u64 = 1_000_000_000_000_000_000;
/// `catalog.json` is written again after this many changes, or a quarter of the table, whichever is more.
const EXPORT_CHANGES_MIN: usize = 1_000;

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
    pub(super) declared: ArcSwap<Declared>,
    pub(super) writer: Mutex<Writer>,
    settings: Mutex<Option<StoredSettings>>,
    identity: Mutex<Option<Identity>>,
    takes_changes: Arc<AtomicBool>,
    io: SharedIo,
    export_path: PathBuf,
}

#[derive(Debug)]
struct Pending {
    requests: Vec<AssignRequest>,
    outcome: Mutex<Option<Result<Vec<Assignment>, CatalogError>>>,
}

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) store: CheckedStore,
    /// See [`REMOVED_KEY`].
    pub(super) removed_since: Option<u64>,
    generation: u64,
    next_namespace: u64,
    base_keys: Vec<Vec<u8>>,
    base_bytes: usize,
    delta_keys: Vec<Vec<u8>>,
    delta_bytes: usize,
    changes_since_export: usize,
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
        let settings = image.entries.get(SETTINGS_KEY).map(|bytes| codec::decode(bytes)).transpose();
        let settings = settings.map_err(damaged)?;
        let identity = image.entries.get(IDENTITY_KEY).map(|bytes| identity::decode(bytes)).transpose();
        let identity = identity.map_err(damaged)?;
        let declared = declared::read(image).map_err(damaged)?;
        let (generation, next_namespace) = match image.entries.get(STATE_KEY) {
            Some(bytes) => decode_state(bytes).and_then(believed).map_err(damaged)?,
            None => (0, 1),
        };
        let mut view = View::empty();
        let mut writer = Writer {
            generation,
            next_namespace,
            base_keys: Vec::new(),
            base_bytes: 0,
            delta_keys: Vec::new(),
            delta_bytes: 0,
            changes_since_export: 0,
            removed_since: image.entries.get(REMOVED_KEY).and_then(|bytes| removed_since(bytes)),
            store,
        };
        writer.read_base_and_deltas(image, &mut view)?;
        writer.drop_stale_bases(image)?;
        view.epoch = writer.store.epoch();
        let (takes_changes, io) = (writer.store.takes_changes(), Arc::clone(writer.store.io()));
        Ok(Self {
            view: ArcSwap::from_pointee(view),
            queue: Mutex::default(),
            declared: ArcSwap::from_pointee(declared),
            writer: Mutex::new(writer),
            settings: Mutex::new(settings),
            identity: Mutex::new(identity),
            takes_changes,
            io,
            export_path: dir.join("catalog.json"),
        })
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
        self.view.load().len()
    }

    /// Every tenant, ordered by name.
    pub fn all(&self) -> Vec<(TenantId, Assignment)> {
        let view = self.view.load();
        let mut all: Vec<_> = view.iter().map(|(tenant, assignment)| (tenant.clone(), *assignment)).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
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
        let encoded = codec::encode(settings).map_err(|problem| writer.failed(problem))?;
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
    /// The store's; nothing was assigned, and nothing will be until a restart.
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
        let mut view = View::clone(&self.view.load());
        let epoch = writer.store.epoch().next();
        let mut changed: Vec<TenantId> = Vec::new();
        let mut next_namespace = writer.next_namespace;
        for request in group.iter().flat_map(|pending| &pending.requests) {
            let old = view.get(request.tenant.as_str());
            if let Some(assignment) = decide(old, request, epoch, &mut next_namespace) {
                view.set(request.tenant.clone(), assignment);
                changed.push(request.tenant.clone());
            }
        }
        let committed = writer.write_delta(&view, &changed, epoch, next_namespace);
        if committed.is_ok() && !changed.is_empty() {
            view.epoch = epoch;
            self.view.store(Arc::new(view));
        }
        let view = self.view.load();
        for pending in group {
            let lives = |request: &AssignRequest| view.get(request.tenant.as_str());
            let outcome = match &committed {
                Ok(()) => Ok(pending.requests.iter().filter_map(lives).collect()),
                Err(error) => Err(CatalogError::Poisoned { reason: error.to_string() }),
            };
            *lock(&pending.outcome) = Some(outcome);
        }
        self.after_commit(writer);
    }

    /// Replaces every assignment: how `doctor` rebuilds the table from the shards. The epoch moves beyond `seen`.
    ///
    /// # Errors
    /// The store's.
    pub fn replace_all(
        &self,
        assignments: Vec<(TenantId, NamespaceId, ShardId)>,
        seen: Epoch,
    ) -> Result<(), CatalogError> {
        let mut writer = lock(&self.writer);
        let epoch = writer.store.epoch().max(seen).next();
        let mut view = View::empty();
        let highest = assignments.iter().map(|(_, namespace, _)| namespace.get()).max().unwrap_or(0);
        for (tenant, namespace, shard) in assignments {
            let old = self.view.load().get(tenant.as_str()).filter(|old| old.shard == shard);
            let pin = old.map_or(Pin::Explicit, |old| old.pin);
            view.set(tenant, Assignment { namespace, shard, epoch, pin });
        }
        view.epoch = epoch;
        writer.next_namespace = writer.next_namespace.max(highest + 1);
        writer.fold(&view, epoch)?;
        self.view.store(Arc::new(view));
        self.export(&mut writer)
    }

    /// Writes `catalog.json`, the copy for people and for moving to another store.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(&self) -> Result<(), CatalogError> {
        let mut writer = lock(&self.writer);
        if writer.changes_since_export == 0 && self.is_exported() {
            return Ok(());
        }
        self.export(&mut writer)
    }

    /// Whether the export that is there was made at this epoch, which moves with every change.
    fn is_exported(&self) -> bool {
        let head = export_head(self.epoch());
        let mut found = vec![0; head.len()];
        let file = self.io.open_to_read(&self.export_path, io::Through::Cache);
        file.and_then(|file| file.read_at(&mut found, 0)).is_ok_and(|read| read == head.len())
            && found == head
    }

    /// Folding and exporting keep the store small and add a way back; a failure of theirs loses nothing and is met
    /// again by the next change.
    fn after_commit(&self, writer: &mut Writer) {
        let view = self.view.load_full();
        if writer.delta_bytes > FOLD_BYTES_MIN.max(writer.base_bytes / 2)
            && let Err(error) = writer.fold(&view, view.epoch)
        {
            tracing::warn!(error = %error, "routing table not folded");
        }
        if writer.changes_since_export >= EXPORT_CHANGES_MIN.max(view.len() / 4)
            && let Err(error) = self.export(writer)
        {
            tracing::warn!(error = %error, "catalog.json not written");
        }
    }

    /// Lets go of the store's files while nobody changes anything; called now and then.
    pub(crate) fn rest(&self) {
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.store.rest();
        }
    }

    pub(super) fn publish(&self, change: impl FnOnce(&mut View)) {
        let mut view = View::clone(&self.view.load());
        change(&mut view);
        self.view.store(Arc::new(view));
    }

    pub(super) fn export(&self, writer: &mut Writer) -> Result<(), CatalogError> {
        let path = &self.export_path;
        let mut pieces = export_pieces(self.all(), self.epoch());
        io::write_pieces_atomically(&*self.io, path, &mut pieces)
            .map_err(|error| CatalogError::Store { path: path.clone(), problem: error.to_string() })?;
        writer.changes_since_export = 0;
        Ok(())
    }
}

/// Refuses numbers that no table comes to, so that counting on from any other cannot overflow.
fn believed((generation, next_namespace): (u64, u64)) -> Result<(u64, u64), String> {
    if generation.max(next_namespace) > NUMBER_MAX {
        return Err(format!("its state: base {generation}, next namespace {next_namespace}"));
    }
    Ok((generation, next_namespace))
}

fn removed_since(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// What a request means; `None` when it changes nothing.
fn decide(
    old: Option<Assignment>,
    request: &AssignRequest,
    epoch: Epoch,
    next_namespace: &mut u64,
) -> Option<Assignment> {
    let namespace = match old {
        Some(_) if request.pin == Pin::Placed => return None,
        Some(old) if old.shard == request.shard && old.pin == request.pin => return None,
        Some(old) => old.namespace,
        None => {
            *next_namespace += 1;
            NamespaceId::new(*next_namespace - 1)
        }
    };
    Some(Assignment { namespace, shard: request.shard, epoch, pin: request.pin })
}

impl Writer {
    fn read_base_and_deltas(&mut self, image: &Image, view: &mut View) -> Result<(), CatalogError> {
        let base = base_prefix(self.generation);
        let in_base = image.entries.range(base.clone()..).take_while(|(key, _)| key.starts_with(&base));
        for (key, value) in in_base {
            self.base_keys.push(key.clone());
            self.base_bytes += value.len();
            self.read_value(key, value, view)?;
        }
        let deltas = image.entries.range(DELTAS.to_vec()..).take_while(|(key, _)| key.starts_with(DELTAS));
        for (key, value) in deltas {
            self.delta_keys.push(key.clone());
            self.delta_bytes += value.len();
            self.read_value(key, value, view)?;
        }
        self.check_numbers(view)
    }

    /// A namespace that was given and would be given again could be read by two tenants (TEN-1).
    fn check_numbers(&self, view: &View) -> Result<(), CatalogError> {
        let next = self.next_namespace;
        let given = view.iter().find(|(_, assignment)| assignment.namespace.get() >= next);
        match given {
            Some((tenant, assignment)) => Err(self.failed(format!(
                "its state: the next namespace is {next}, and {tenant} has {} already",
                assignment.namespace
            ))),
            None => Ok(()),
        }
    }

    /// A crash while folding leaves parts of a base that nothing names: the next one, or the one before.
    fn drop_stale_bases(&mut self, image: &Image) -> Result<(), CatalogError> {
        let bases = image.entries.range(BASES.to_vec()..).map(|(key, _)| key);
        let stale =
            bases.take_while(|key| key.starts_with(BASES)).filter(|key| !self.base_keys.contains(key));
        let changes: Vec<Change> = stale.map(|key| Change { key: key.clone(), value: None }).collect();
        if changes.is_empty() { Ok(()) } else { self.store.commit(&changes, self.store.epoch()) }
    }

    fn read_value(&self, key: &[u8], value: &[u8], view: &mut View) -> Result<(), CatalogError> {
        let assignments = unpack(value)
            .map_err(|problem| self.failed(format!("{}: {problem}", String::from_utf8_lossy(key))))?;
        for (tenant, assignment) in assignments {
            match assignment {
                Some(assignment) => view.set(tenant, assignment),
                None => view.remove(tenant.as_str()),
            }
        }
        Ok(())
    }

    pub(super) fn failed(&self, problem: String) -> CatalogError {
        CatalogError::Damaged { path: self.store.path().to_owned(), problem }
    }

    fn write_delta(
        &mut self,
        view: &View,
        changed: &[TenantId],
        epoch: Epoch,
        next_namespace: u64,
    ) -> Result<(), CatalogError> {
        if changed.is_empty() {
            return Ok(());
        }
        let chunks = pack(changed.iter().map(|tenant| (tenant, view.get(tenant.as_str()))));
        let mut changes: Vec<Change> = Vec::new();
        for (part, chunk) in chunks.into_iter().enumerate() {
            changes.push(Change { key: delta_key(epoch, part), value: Some(chunk) });
        }
        let state = encode_state(self.generation, next_namespace);
        changes.push(Change { key: STATE_KEY.to_vec(), value: Some(state) });
        self.store.commit(&changes, epoch)?;
        self.next_namespace = next_namespace;
        changes.pop();
        self.delta_bytes +=
            changes.iter().filter_map(|change| change.value.as_ref()).map(Vec::len).sum::<usize>();
        self.delta_keys.extend(changes.into_iter().map(|change| change.key));
        self.changes_since_export += changed.len();
        Ok(())
    }

    /// Writes a new base in bounded commits that nothing names yet, then switches to it in one, then drops the old.
    pub(super) fn fold(&mut self, view: &View, epoch: Epoch) -> Result<(), CatalogError> {
        let generation = self.generation + 1;
        let chunks = pack(view.iter().map(|(tenant, assignment)| (tenant, Some(*assignment))));
        let mut base_keys = Vec::new();
        let mut base_bytes = 0;
        for group in chunks.chunks(FOLD_VALUES_PER_COMMIT) {
            let mut changes = Vec::new();
            for chunk in group {
                let key = base_key(generation, base_keys.len());
                base_bytes += chunk.len();
                base_keys.push(key.clone());
                changes.push(Change { key, value: Some(chunk.clone()) });
            }
            self.store.commit(&changes, self.store.epoch())?;
        }
        let state = encode_state(generation, self.next_namespace);
        let mut switch = vec![Change { key: STATE_KEY.to_vec(), value: Some(state) }];
        let deltas = std::mem::take(&mut self.delta_keys);
        switch.extend(deltas.into_iter().map(|key| Change { key, value: None }));
        self.store.commit(&switch, epoch)?;
        let old = std::mem::replace(&mut self.base_keys, base_keys);
        (self.generation, self.base_bytes, self.delta_bytes) = (generation, base_bytes, 0);
        let drop_old: Vec<Change> = old.into_iter().map(|key| Change { key, value: None }).collect();
        self.store.commit(&drop_old, epoch)
    }
}

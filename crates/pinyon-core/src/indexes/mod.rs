//! Every index of a data directory: the tenants' own, which the tenant API speaks to, and those that customers make.
//! Each is an [`Engine`] in a directory of its own; a small durable registry says which there are.

mod leftovers;
mod names;
mod offline;
mod registry;
#[cfg(test)]
mod rollback_tests;
mod room;
mod state;
mod tenants;
#[cfg(test)]
mod tenants_tests;
#[cfg(test)]
mod tests;

use crate::{
    Engine, EngineError, EngineSettings, ErrorCode,
    engine::{Pools, keep_older_out, lock_dir, new_index_name, write_format},
    settings::ShapeSource,
};
use arc_swap::ArcSwap;
pub use names::{INDEX_NAME_BYTES_MAX, check_index_name};
pub use offline::IndexPlace;
use pinyon_embed::HashEmbedder;
use pinyon_storage::io::LockGuard;
use pinyon_types::{Dim, Effort, Metric, UniqueId};
use registry::Registry;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Indexes that a start opens at once.
const OPENED_AT_ONCE: usize = 16;

/// The tenants' index has this number, and its data lie in the data directory itself.
const TENANTS_ID: u64 = 0;

/// What an index is, apart from its records.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexDescription {
    /// Never given twice.
    pub id: u64,
    /// Its name in its files, which no other index anywhere has; none of the tenants' index, and of one that an earlier version made.
    pub unique_id: UniqueId,
    /// Unique among the indexes that there are.
    pub name: String,
    /// Components of every dense vector; none in an index of sparse ones.
    pub dim: Dim,
    /// How nearness is measured.
    pub metric: Metric,
    /// Where it is served; kept as long as the index lives, because clients remember it.
    pub port: u16,
    /// Whether deleting it is refused.
    pub is_protected: bool,
    /// The customer's labels.
    pub tags: BTreeMap<String, String>,
    /// What the layer above wants to remember; means nothing here.
    pub attributes: String,
    /// The effort of queries in it that name none; if not here, as the settings say.
    pub scan_factor: Option<f64>,
}

/// What somebody wants an index to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRequest {
    /// Its name.
    pub name: String,
    /// Components of every dense vector; none in an index of sparse ones.
    pub dim: Dim,
    /// How nearness is measured.
    pub metric: Metric,
    /// Whether deleting it is refused.
    pub is_protected: bool,
    /// The customer's labels.
    pub tags: BTreeMap<String, String>,
    /// What the layer above wants to remember.
    pub attributes: String,
}

/// An open index. Cheap to clone through its `Arc`.
#[derive(Debug)]
pub struct Index {
    /// What it is, as of the look-up that gave it.
    pub description: IndexDescription,
    /// Its records.
    pub engine: Engine,
}

type Map = BTreeMap<String, Arc<Index>>;

/// Every index of a data directory.
#[derive(Debug)]
pub struct Indexes {
    /// The data directory.
    root: PathBuf,
    /// Where customers' indexes lie in it.
    dir: PathBuf,
    settings: EngineSettings,
    pools: Pools,
    open: ArcSwap<Map>,
    tenants: ArcSwap<Engine>,
    registry: Mutex<Registry>,
}

impl Indexes {
    /// Opens everything in a data directory, which is made if need be. `settings` are those of the tenants' index;
    /// every other one differs from them in dimension and metric. `pick_port` is asked, with the ports that are taken,
    /// when the tenants' index has none yet.
    ///
    /// # Errors
    /// As [`Engine::open`] for each; a registry that is damaged or knows another index by the tenants' name.
    pub fn open(
        dir: &Path,
        settings: EngineSettings,
        tenants_name: &str,
        pick_port: impl FnOnce(&[u16]) -> u16,
    ) -> Result<Self, EngineError> {
        let pools = Pools::new(&settings)?;
        settings.check()?;
        let (io, home) = (settings.environment.io(), dir.join("indexes"));
        let tenants = open_or_keep_out(dir, settings.clone(), &pools, &lock_dir(io, dir)?)?;
        let (mut registry, mut known) = Registry::open(io, &home, settings.catalog)?;
        registry.remove_leftovers(&known)?;
        let named = registry.enter_tenants(&mut known, of_tenants(tenants_name, &settings), pick_port)?;
        let named = registry.finish_deletion(dir, named)?;
        known.retain(|one| one.id != TENANTS_ID);
        let mut open = open_all(&home, &settings, known, &pools, &tenants.lock())?;
        registry.enter_names(&mut open)?;
        if let Err(error) = write_format(io, dir) {
            // It says what every file says of itself; a full disk is no reason not to start.
            tracing::warn!(error = %error, "FORMAT not written");
        }
        tenants.set_scan_factor(named.scan_factor);
        let own = Index { description: named, engine: tenants.clone() };
        open.insert(own.description.name.clone(), Arc::new(own));
        let (open, tenants) = (ArcSwap::from_pointee(open), ArcSwap::from_pointee(tenants));
        let (root, registry) = (dir.to_owned(), Mutex::new(registry));
        Ok(Self { root, dir: home, settings, pools, open, tenants, registry })
    }

    /// The data directory, as it was given.
    pub fn data_dir(&self) -> &Path {
        &self.root
    }

    /// The index that the tenant API speaks to.
    pub fn tenants(&self) -> Arc<Engine> {
        self.tenants.load_full()
    }

    /// An index by its name. Takes no lock.
    pub fn get(&self, name: &str) -> Option<Arc<Index>> {
        self.open.load().get(name).cloned()
    }

    /// The tenants' own.
    pub fn tenants_index(&self) -> Option<Arc<Index>> {
        self.open.load().values().find(|index| index.description.id == TENANTS_ID).cloned()
    }

    /// Every index, ordered by name.
    pub fn all(&self) -> Vec<Arc<Index>> {
        self.open.load().values().cloned().collect()
    }

    /// Makes an index; durable when this returns. `pick_port` is asked with the ports that are taken.
    ///
    /// # Errors
    /// A name that exists ([`ErrorCode::AlreadyExists`]), the disk's.
    pub fn create(
        &self,
        request: IndexRequest,
        pick_port: impl FnOnce(&[u16]) -> u16,
    ) -> Result<Arc<Index>, EngineError> {
        let mut registry = self.lock();
        if let Some(index) = self.get(&request.name) {
            if !index.is_listed() {
                return Err(tenants::name_is_kept(&request.name));
            }
            return Err(EngineError::new(ErrorCode::AlreadyExists, "Resource already exists."));
        }
        let taken: Vec<u16> = self.all().iter().map(|index| index.description.port).collect();
        let IndexRequest { name, dim, metric, is_protected, tags, attributes } = request;
        let (id, port) = (registry.next_id(), pick_port(&taken));
        let description = IndexDescription {
            id,
            unique_id: new_index_name()?,
            name,
            dim,
            metric,
            port,
            is_protected,
            tags,
            attributes,
            scan_factor: None,
        };
        room::check(&self.settings)?;
        let dir = index_dir(&self.dir, description.id);
        let made = settings_of(&self.settings, &description);
        let engine = Engine::open_under(&dir, made, &self.pools, self.tenants().lock());
        let engine = engine.inspect_err(|_| {
            // Nobody wrote into it, and the next index gets its number, with another shape perhaps.
            let _ = self.settings.environment.io().remove_tree(&index_dir(&self.dir, id));
        })?;
        registry.enter(&description)?;
        let index = Arc::new(Index { description, engine });
        self.publish(|open| drop(open.insert(index.description.name.clone(), Arc::clone(&index))));
        Ok(index)
    }

    /// Changes what is remembered of an index; durable when this returns. Name, number, shape and port stay.
    ///
    /// # Errors
    /// No such index, a scan factor out of range, or what `change` says.
    pub fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut IndexDescription) -> Result<(), EngineError>,
    ) -> Result<Arc<Index>, EngineError> {
        let mut registry = self.lock();
        let old = self.get(name).ok_or_else(|| not_found(name))?;
        let mut description = old.description.clone();
        change(&mut description)?;
        let IndexDescription { is_protected, tags, attributes, scan_factor, .. } = description;
        Effort::new(scan_factor, None, 1)?;
        let description =
            IndexDescription { is_protected, tags, attributes, scan_factor, ..old.description.clone() };
        registry.enter(&description)?;
        old.engine.set_scan_factor(scan_factor);
        let index = Arc::new(Index { description, engine: old.engine.clone() });
        self.publish(|open| drop(open.insert(name.to_owned(), Arc::clone(&index))));
        Ok(index)
    }

    /// Deletes an index with its records; it is gone for good when this returns. Requests that run in it may still end.
    ///
    /// # Errors
    /// No such index, one that is protected ([`ErrorCode::PermissionDenied`]), the registry's.
    pub fn delete(&self, name: &str) -> Result<(), EngineError> {
        let mut registry = self.lock();
        let index = self.get(name).filter(|index| index.is_listed()).ok_or_else(|| not_found(name))?;
        if index.description.is_protected {
            let message =
                "Deletion protection is enabled for this index. Disable deletion protection before retrying.";
            return Err(EngineError::new(ErrorCode::PermissionDenied, message));
        }
        if index.is_of_tenants() {
            return self.delete_tenants(&mut registry, &index);
        }
        registry.strike(index.description.id)?;
        self.publish(|open| drop(open.remove(name)));
        self.remove_files(&index);
        Ok(())
    }

    fn remove_files(&self, index: &Index) {
        let IndexDescription { id, name, .. } = &index.description;
        // Nobody is to write into files that are about to go. What fails here is tidied up at the next start.
        if let Err(error) = index.engine.close() {
            tracing::warn!(index = name, error = %error, "deleted index not closed cleanly");
        }
        let dir = index_dir(&self.dir, *id);
        if let Err(error) = self.settings.environment.io().remove_tree(&dir) {
            tracing::warn!(path = %dir.display(), error = %error, "files of a deleted index not removed");
        }
    }

    /// Ends every log cleanly. Nothing acknowledged is lost without it.
    ///
    /// # Errors
    /// The first index that could not; the others were ended all the same.
    pub fn close(&self) -> Result<(), EngineError> {
        let ended = self
            .all()
            .into_iter()
            .map(|index| index.engine.close().map_err(|error| within(error, &index.description.name)));
        let ended: Vec<Result<(), EngineError>> = ended.collect();
        ended.into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        // The registry takes no more changes after a failed one; a panic between leaves it as it was.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only called with the registry locked: readers never wait, writers never cross.
    fn publish(&self, change: impl FnOnce(&mut Map)) {
        let mut open = Map::clone(&self.open.load());
        change(&mut open);
        self.open.store(Arc::new(open));
    }
}

fn index_dir(home: &Path, id: u64) -> PathBuf {
    home.join(format!("index-{id:08}"))
}

/// The tenants' index as its first start describes it.
fn of_tenants(name: &str, settings: &EngineSettings) -> IndexDescription {
    IndexDescription {
        id: TENANTS_ID,
        unique_id: UniqueId::NONE,
        name: name.to_owned(),
        dim: settings.dim,
        metric: settings.metric,
        port: 0,
        is_protected: true,
        tags: BTreeMap::new(),
        attributes: String::new(),
        scan_factor: None,
    }
}

/// Opens indexes beside each other: most of the time each waits for the disk.
fn open_all(
    home: &Path,
    settings: &EngineSettings,
    known: Vec<IndexDescription>,
    pools: &Pools,
    lock: &Arc<dyn LockGuard>,
) -> Result<Map, EngineError> {
    use rayon::prelude::{IntoParallelIterator, ParallelIterator};
    let open = |description: IndexDescription| {
        let dir = index_dir(home, description.id);
        let engine = open_or_keep_out(&dir, settings_of(settings, &description), pools, lock)
            .map_err(|error| within(error, &description.name))?;
        engine.set_scan_factor(description.scan_factor);
        Ok((description.name.clone(), Arc::new(Index { description, engine })))
    };
    if settings.environment.is_stepped() {
        return known.into_iter().map(open).collect();
    }
    let threads = known.len().clamp(1, OPENED_AT_ONCE);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| EngineError::new(ErrorCode::Internal, error.to_string()))?;
    pool.install(|| known.into_par_iter().map(open).collect())
}

/// Opens an engine; one whose routing table is damaged is kept out, so that others are served.
fn open_or_keep_out(
    dir: &Path,
    settings: EngineSettings,
    pools: &Pools,
    lock: &Arc<dyn LockGuard>,
) -> Result<Engine, EngineError> {
    Engine::open_under(dir, settings.clone(), pools, Arc::clone(lock)).or_else(|error| {
        let mut lock = Arc::clone(lock);
        if error.is_damage() {
            // Others beside it are given names.
            keep_older_out(settings.environment.io(), dir, &mut lock)?;
        }
        Engine::keep_out(dir, settings, pools, lock, error)
    })
}

fn settings_of(settings: &EngineSettings, description: &IndexDescription) -> EngineSettings {
    EngineSettings {
        shard_prefix: description.name.clone(),
        dim: description.dim,
        metric: description.metric,
        // Texts of customers' indexes are embedded by whoever speaks for the index; their engine sees vectors.
        embedder: Arc::new(HashEmbedder::new(description.dim)),
        shape_source: ShapeSource::Registry(description.unique_id),
        ..settings.clone()
    }
}

fn within(mut error: EngineError, index: &str) -> EngineError {
    error.message = format!("index {index}: {}", error.message);
    error
}

fn not_found(name: &str) -> EngineError {
    EngineError::new(ErrorCode::NotFound, format!("Index {name} not found."))
}

//! Opening: lock, catalog, settings, shards, in this order; then the threads. And closing. Settings that are wrong by
//! themselves are refused before anything is made.

use super::{
    Engine, Fleet, Generation, Inner, Member, Pools, Quarantine, QuarantineReason, Upkeep, names,
    older::{check_format, lock_file},
    shards::{Opening, Places, check_own, check_settings, check_shards},
};
use crate::{
    EngineError, EngineSettings, ErrorCode, catalog::RoutingTable, cross_shard::CrossShard,
    environment::system_io,
};
use pinyon_planted::is_planted;
use pinyon_shard::{Birth, Shard};
use pinyon_storage::io::{LockGuard, SharedIo, lock_holder};
use pinyon_types::Epoch;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

impl Engine {
    /// Opens the engine in a directory, which is made if need be.
    ///
    /// # Errors
    /// Settings that contradict what the data were made with (the message says the way out), a directory that another
    /// process has open, damaged data (the message names the file), the system's.
    pub fn open(dir: &Path, settings: EngineSettings) -> Result<Self, EngineError> {
        let pools = Pools::new(&settings)?;
        Self::open_with(dir, settings, &pools)
    }

    /// Whether a directory holds an engine's data, or what is left of them. Makes nothing.
    ///
    /// # Errors
    /// The system's.
    pub fn holds_data(dir: &Path) -> Result<bool, EngineError> {
        Self::holds_data_on(&system_io(), dir)
    }

    /// The same of a directory of a file system.
    pub(crate) fn holds_data_on(io: &SharedIo, dir: &Path) -> Result<bool, EngineError> {
        let exists = |path: PathBuf| io.exists(&path).map_err(|error| EngineError::io(&path, &error));
        Ok(exists(catalog_dir(dir))? || exists(dir.join("shards"))?)
    }

    pub(super) fn open_with(
        dir: &Path,
        settings: EngineSettings,
        pools: &Pools,
    ) -> Result<Self, EngineError> {
        settings.check()?;
        let lock = lock_dir(settings.environment.io(), dir)?;
        Self::open_under(dir, settings, pools, lock)
    }

    /// Opens an engine that shares its threads with others, under a lock that is held already.
    pub(crate) fn open_under(
        dir: &Path,
        settings: EngineSettings,
        pools: &Pools,
        lock: Arc<dyn LockGuard>,
    ) -> Result<Self, EngineError> {
        let engine = Self::open_unchecked(dir, settings, pools, lock)?;
        engine.inner.routing.check_epoch(engine.epoch_seen())?;
        engine.upkeep.begin_moves(&engine.inner);
        // What it took to read the routing table serves the next engine that is opened.
        engine.inner.routing.rest();
        Ok(engine)
    }

    /// The same, although the routing table may be older than the shards.
    fn open_unchecked(
        dir: &Path,
        settings: EngineSettings,
        pools: &Pools,
        lock: Arc<dyn LockGuard>,
    ) -> Result<Self, EngineError> {
        let io = settings.environment.io();
        io.create_dir_all(dir).map_err(|error| EngineError::io(dir, &error))?;
        let home = Generation::read(io, dir)?.home(dir);
        let routing = open_catalog(&home, &settings)?;
        check_not_lost(io, &home, &routing)?;
        Self::open_home((dir, &home), settings, routing, lock, pools)
    }

    fn open_home(
        (dir, home): (&Path, &Path),
        settings: EngineSettings,
        routing: RoutingTable,
        mut lock: Arc<dyn LockGuard>,
        pools: &Pools,
    ) -> Result<Self, EngineError> {
        check_settings(home, &settings, &routing)?;
        let places = names::establish((dir, home), &settings, &routing, &mut lock)?;
        if is_planted(11) {
            routing.store_settings(&settings.stored())?;
        }
        let opening = Opening { settings: &settings, pools, places: &places };
        let shards = opening.known_shards(&routing)?;
        Self::assemble(settings, (routing, places), shards, lock, pools)
    }

    /// Opens an empty engine like this one in a directory below its own, under the same lock.
    pub(crate) fn open_empty(&self, home: &Path, pools: &Pools) -> Result<Self, EngineError> {
        // What an earlier try left.
        let settings = self.inner.settings.clone();
        let removed = settings.environment.io().remove_tree(home);
        removed.map_err(|error| EngineError::io(home, &error))?;
        let routing = open_catalog(home, &settings)?;
        let engine = Self::open_home((home, home), settings, routing, Arc::clone(&self.inner.lock), pools)?;
        engine.upkeep.begin_moves(&engine.inner);
        Ok(engine)
    }

    /// Opens the engine as it is, to look at it: one whose routing table cannot be read is kept out as a whole.
    ///
    /// # Errors
    /// As [`Engine::open`], but for damage.
    pub fn open_to_diagnose(dir: &Path, settings: EngineSettings) -> Result<Self, EngineError> {
        let settings = settings.verified_at_open();
        let pools = Pools::new(&settings)?;
        settings.check()?;
        let lock = lock_dir(settings.environment.io(), dir)?;
        Self::open_unchecked(dir, settings.clone(), &pools, Arc::clone(&lock))
            .or_else(|error| Self::keep_out(dir, settings, &pools, lock, error))
    }

    /// Opens the engine although its routing table was lost or rolled back, for [`Engine::repair`] to mend. A catalog that does not open
    /// is set aside once every shard was opened: what they were made with is theirs to say, and settings that contradict it change
    /// nothing.
    ///
    /// # Errors
    /// As [`Engine::open`], but for what a repair can mend.
    pub fn open_for_repair(dir: &Path, settings: EngineSettings) -> Result<Self, EngineError> {
        let settings = settings.verified_at_open();
        settings.check()?;
        let io = settings.environment.io();
        let mut lock = lock_dir(io, dir)?;
        let home = Generation::read(io, dir)?.home(dir);
        let pools = Pools::new(&settings)?;
        let opened = open_catalog(&home, &settings)
            .and_then(|routing| check_own(io, &home, &routing).map(|()| routing));
        let found = match opened {
            Err(error) if error.is_damage() => None,
            opened => Some(opened?),
        };
        let believed = found.as_ref().filter(|routing| routing.settings().is_some());
        match believed {
            Some(routing) => check_settings(&home, &settings, routing)?,
            None => check_shards(&home, &settings)?,
        }
        let places = match believed.and_then(RoutingTable::identity) {
            Some(identity) => names::places(&home, &settings, identity)?,
            None => names::of_shards((dir, &home), &settings, &mut lock)?,
        };
        let opening = Opening { settings: &settings, pools: &pools, places: &places };
        let shards = match believed {
            Some(routing) => opening.known_shards(routing)?,
            None => opening.all_shards()?,
        };
        let routing = match found {
            Some(routing) => routing,
            None => set_catalog_aside(io, &home).and_then(|()| open_catalog(&home, &settings))?,
        };
        if routing.identity().as_ref() != Some(&places.identity) {
            routing.store_identity(&places.identity)?;
        }
        names::accept_catalog(&routing, &places)?;
        Self::assemble(settings, (routing, places), shards, lock, &pools)
    }

    /// Keeps an engine out as a whole that did not open because of damage, so that others are served. Its files are not touched.
    ///
    /// # Errors
    /// The error itself if it is none of damage.
    pub(crate) fn keep_out(
        dir: &Path,
        settings: EngineSettings,
        pools: &Pools,
        lock: Arc<dyn LockGuard>,
        error: EngineError,
    ) -> Result<Self, EngineError> {
        if !error.is_damage() {
            return Err(error);
        }
        // Of which index a file is says its place in the data directory.
        let io = settings.environment.io();
        let data_dir = data_dir_of_index(io, dir).ok().flatten().unwrap_or(dir);
        let problem = error.relative_to(data_dir).message;
        let reason = QuarantineReason::Damaged;
        let keep_out = |_| Member::kept_out(reason, problem.clone(), &pools.clock);
        let shards: Vec<Member> = (0..settings.shards).map(keep_out).collect();
        let lost = shards.first().and_then(Member::quarantine);
        let routing = RoutingTable::lost(io, &catalog_dir(dir), problem)?;
        Self::start(settings, (routing, lost, None), shards, lock, pools)
    }

    fn assemble(
        settings: EngineSettings,
        (routing, places): (RoutingTable, Places),
        shards: Vec<Member>,
        lock: Arc<dyn LockGuard>,
        pools: &Pools,
    ) -> Result<Self, EngineError> {
        // Last of all that may fail: from now on no other settings are let in.
        if routing.settings().is_none() {
            routing.store_settings(&settings.stored())?;
        }
        let places = places.made_known(&routing, &shards)?;
        Self::start(settings, (routing, None, Some(places)), shards, lock, pools)
    }

    fn start(
        settings: EngineSettings,
        (routing, lost, places): (RoutingTable, Option<Quarantine>, Option<Places>),
        shards: Vec<Member>,
        lock: Arc<dyn LockGuard>,
        pools: &Pools,
    ) -> Result<Self, EngineError> {
        Fleet::name_kept_out(&settings.shard_prefix, &shards);
        let clock = Arc::clone(&pools.clock);
        let fleet = Arc::new(Fleet::new(shards, settings.shard_prefix.clone(), Arc::clone(&clock)));
        let cross_shard = CrossShard::new(settings.cross_shard, &clock);
        let inner = Arc::new(Inner {
            scan_factor: settings.scan_factor.to_bits().into(),
            settings,
            clock,
            routing,
            fleet,
            searchers: Arc::clone(&pools.search),
            tenant_latency: Default::default(),
            single_tenant_queries: 0.into(),
            cross_shard,
            lost,
            places,
            reopening: Default::default(),
            moves_tenants: Default::default(),
            holds: Default::default(),
            rerouting: Default::default(),
            scrubbed: Default::default(),
            lock,
        });
        let upkeep = Upkeep::begin(&inner, pools);
        Ok(Self { inner, upkeep: Arc::new(upkeep) })
    }

    /// Waits for the background steps that run, after which there are no more, ends every log cleanly and writes `catalog.json`. Writes are
    /// refused from then on. Nothing acknowledged is lost without it.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(&self) -> Result<(), EngineError> {
        self.upkeep.end();
        for (_, shard) in self.inner.fleet.local() {
            shard.close()?;
        }
        if self.inner.lost.is_none() {
            self.inner.routing.close()?;
        }
        Ok(())
    }

    /// The lock of its directory.
    pub(crate) fn lock(&self) -> Arc<dyn LockGuard> {
        Arc::clone(&self.inner.lock)
    }

    pub(crate) fn epoch_seen(&self) -> Epoch {
        self.inner.fleet.backends().map(|(_, shard)| shard.epoch_seen()).max().unwrap_or(Epoch::ZERO)
    }
}

/// Locks a directory; that of an index, which lies in the data directory of others, with that as a whole.
pub(crate) fn lock_dir(io: &SharedIo, dir: &Path) -> Result<Arc<dyn LockGuard>, EngineError> {
    io.create_dir_all(dir).map_err(|error| EngineError::io(dir, &error))?;
    let dir = data_dir_of_index(io, dir)?.unwrap_or(dir);
    check_format(io, dir)?;
    let path = lock_file(io, dir)?;
    io.create_dir_all(path.parent().unwrap_or(dir)).map_err(|error| EngineError::io(dir, &error))?;
    io.lock(&path).map(Arc::from).map_err(|error| locked(dir, &path, &error))
}

/// Keeps a data directory from being opened as long as it lives.
#[derive(Debug)]
pub struct DataLock(#[allow(dead_code)] Box<dyn LockGuard>); // held, never read

/// Locks a data directory to look at its files, and changes none; nothing where nobody ever locked it.
///
/// # Errors
/// Another process has it open, data of a later format, the system's.
pub fn lock_to_look(dir: &Path) -> Result<Option<DataLock>, EngineError> {
    let io = system_io();
    let dir = data_dir_of_index(&io, dir)?.unwrap_or(dir);
    check_format(&io, dir)?;
    let path = lock_file(&io, dir)?;
    if !io.exists(&path).map_err(|error| EngineError::io(&path, &error))? {
        return Ok(None);
    }
    let lock = io.lock_to_look(&path).map_err(|error| locked(dir, &path, &error))?;
    Ok(Some(DataLock(lock)))
}

fn locked(dir: &Path, path: &Path, error: &io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::WouldBlock => {
            let holder = lock_holder(path).map_or_else(String::new, |holder| format!(", {holder}"));
            let remedy = "stop that one, or talk to it with --server";
            let message = format!("{} is open in another process{holder}: {remedy}", dir.display());
            EngineError::new(ErrorCode::Locked, message)
        }
        _ => EngineError::io(dir, error),
    }
}

/// The data directory in which the directory of an index lies, if it is one.
pub(super) fn data_dir_of_index<'a>(io: &SharedIo, dir: &'a Path) -> Result<Option<&'a Path>, EngineError> {
    let Some(data_dir) = above_index(dir) else { return Ok(None) };
    let lock = data_dir.join("LOCK");
    let is_there = io.exists(&lock).map_err(|error| EngineError::io(&lock, &error))?;
    Ok(is_there.then_some(data_dir))
}

/// The directory two above one that is named like an index's.
fn above_index(dir: &Path) -> Option<&Path> {
    let indexes = dir.parent().filter(|indexes| indexes.file_name().is_some_and(|name| name == "indexes"))?;
    let name = dir.file_name()?.to_str()?.strip_prefix("index-")?;
    let is_number = name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_digit());
    indexes.parent().filter(|_| is_number)
}

pub(super) fn catalog_dir(dir: &Path) -> PathBuf {
    dir.join("catalog")
}

fn open_catalog(dir: &Path, settings: &EngineSettings) -> Result<RoutingTable, EngineError> {
    let (io, catalog) = (settings.environment.io(), catalog_dir(dir));
    io.create_dir_all(&catalog).map_err(|error| EngineError::io(&catalog, &error))?;
    Ok(RoutingTable::open_on(io, &catalog, settings.catalog)?)
}

/// Data without a catalog mean that it was lost: serving them as an empty engine would hide them.
fn check_not_lost(io: &SharedIo, home: &Path, routing: &RoutingTable) -> Result<(), EngineError> {
    let shards = home.join("shards");
    let has_shards = io.exists(&shards).map_err(|error| EngineError::io(&shards, &error))?;
    if routing.settings().is_some() || !has_shards {
        return Ok(());
    }
    // Names come before shards, and settings after them: a first start was cut off in between, and nobody was served.
    let is_being_made = routing.identity().is_some_and(|identity| identity.birth == Birth::Making);
    if is_being_made && !took_writes(io, home)? {
        return Ok(());
    }
    let message = format!(
        "{} holds shards, but the routing table in {} is empty: `pinyon doctor --data-dir DIR --repair` rebuilds it \
         from the shards",
        shards.display(),
        catalog_dir(home).display()
    );
    Err(EngineError::new(ErrorCode::DataDamaged, message))
}

/// How the names of routing tables begin that a repair set aside.
pub(super) const CATALOG_ASIDE: &str = "catalog-damaged-";

fn set_catalog_aside(io: &SharedIo, dir: &Path) -> Result<(), EngineError> {
    let catalog = catalog_dir(dir);
    let failed = |error: io::Error| EngineError::io(&catalog, &error);
    for number in 1.. {
        let aside = dir.join(format!("{CATALOG_ASIDE}{number}"));
        if !io.exists(&aside).map_err(failed)? {
            io.rename(&catalog, &aside).map_err(failed)?;
            break;
        }
    }
    io.sync_dir(dir).map_err(failed)
}

/// Whether anybody wrote into the engine of a directory. Opens nothing.
pub(crate) fn took_writes(io: &SharedIo, dir: &Path) -> Result<bool, EngineError> {
    let shards = dir.join("shards");
    let failed = |error: std::io::Error| EngineError::io(&shards, &error);
    if !io.exists(&shards).map_err(failed)? {
        return Ok(false);
    }
    for name in io.list_dirs(&shards).map_err(failed)? {
        if Shard::took_writes(io, &shards.join(name))? {
            return Ok(true);
        }
    }
    Ok(false)
}

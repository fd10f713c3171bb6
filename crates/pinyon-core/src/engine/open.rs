//! Opening: lock, catalog, settings, shards, in this order; then the threads. And closing. Settings that are wrong by
//! themselves are refused before anything is made.

use super::{Engine, Fleet, Generation, Inner, Member, Upkeep};
use crate::{
    EngineError, EngineSettings, ErrorCode,
    catalog::{self, RoutingTable},
    cross_shard::CrossShard,
    fan_out::Searchers,
    latency::LatencyMeter,
    load::LoadMeter,
    settings::check_stored,
};
use pinyon_shard::{Keepers, KeepersOptions, Shard, ShardOptions, ShardShape};
use pinyon_storage::{
    SystemClock, give_way,
    io::{Io, LockGuard, RealIo, SharedIo, lock_holder},
    manifest::MANIFEST_FILE_NAME,
};
use pinyon_types::{Clock, Epoch, ShardId};
use std::{
    fmt::Display,
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
        let exists = |path: PathBuf| RealIo.exists(&path).map_err(|error| EngineError::io(&path, &error));
        Ok(exists(catalog_dir(dir))? || exists(dir.join("shards"))?)
    }

    /// Opens an engine that shares its threads with others.
    pub(crate) fn open_with(
        dir: &Path,
        settings: EngineSettings,
        pools: &Pools,
    ) -> Result<Self, EngineError> {
        settings.check()?;
        let lock = lock_dir(dir)?;
        Self::open_under(dir, settings, pools, lock)
    }

    /// The same under a lock that is held already.
    pub(crate) fn open_under(
        dir: &Path,
        settings: EngineSettings,
        pools: &Pools,
        lock: Arc<dyn LockGuard>,
    ) -> Result<Self, EngineError> {
        RealIo.create_dir_all(dir).map_err(|error| EngineError::io(dir, &error))?;
        let home = Generation::read(dir)?.home(dir);
        let routing = open_catalog(&home, &settings)?;
        check_not_lost(dir, &home, &routing)?;
        let shards = open_known_shards(&home, &settings, &routing, pools)?;
        let engine = Self::assemble(settings, routing, shards, lock, pools)?;
        engine.inner.routing.check_epoch(engine.epoch_seen())?;
        Ok(engine)
    }

    /// Opens an empty engine like this one in a directory below its own, under the same lock.
    pub(crate) fn open_empty(&self, home: &Path, pools: &Pools) -> Result<Self, EngineError> {
        // What an earlier try left.
        catalog::remove_tree(home).map_err(|error| EngineError::io(home, &error))?;
        let settings = self.inner.settings.clone();
        let routing = open_catalog(home, &settings)?;
        let shards = open_known_shards(home, &settings, &routing, pools)?;
        Self::assemble(settings, routing, shards, Arc::clone(&self.inner.lock), pools)
    }

    /// Opens the engine although its routing table was lost or rolled back, for [`Engine::repair`] to mend. A catalog that does not open
    /// is set aside once every shard was opened: what they were made with is theirs to say, and settings that contradict it change
    /// nothing.
    ///
    /// # Errors
    /// As [`Engine::open`], but for what a repair can mend.
    pub fn open_for_repair(dir: &Path, settings: EngineSettings) -> Result<Self, EngineError> {
        settings.check()?;
        let lock = lock_dir(dir)?;
        let home = Generation::read(dir)?.home(dir);
        let pools = Pools::new(&settings)?;
        let found = match open_catalog(&home, &settings) {
            Err(error) if error.code == ErrorCode::DataDamaged || error.code == ErrorCode::Internal => None,
            opened => Some(opened?),
        };
        let (routing, shards) = match found {
            Some(routing) if routing.settings().is_some() => {
                let shards = open_known_shards(&home, &settings, &routing, &pools)?;
                (routing, shards)
            }
            lost => {
                check_shards(&home, &settings)?;
                let shards = open_shards(&home, &settings, &pools)?;
                let routing = lost.map_or_else(
                    || set_catalog_aside(&home).and_then(|()| open_catalog(&home, &settings)),
                    Ok,
                )?;
                (routing, shards)
            }
        };
        Self::assemble(settings, routing, shards, lock, &pools)
    }

    fn assemble(
        settings: EngineSettings,
        routing: RoutingTable,
        shards: Vec<Member>,
        lock: Arc<dyn LockGuard>,
        pools: &Pools,
    ) -> Result<Self, EngineError> {
        // Last of all that may fail: from now on no other settings are let in.
        if routing.settings().is_none() {
            routing.store_settings(&settings.stored())?;
        }
        let clock = Arc::clone(&pools.clock);
        let shard_prefix = settings.shard_prefix.clone();
        let fleet = Arc::new(Fleet {
            began_us: clock.now_us(),
            clock: Arc::clone(&clock),
            members: shards,
            shard_prefix,
            tenant_loads: Default::default(),
        });
        let cross_shard = CrossShard::new(settings.cross_shard, &clock);
        let inner = Inner {
            scan_factor: settings.scan_factor.to_bits().into(),
            settings,
            clock,
            routing,
            fleet,
            searchers: Arc::clone(&pools.search),
            tenant_latency: Default::default(),
            single_tenant_queries: 0.into(),
            cross_shard,
            lock,
        };
        let inner = Arc::new(inner);
        let upkeep = Upkeep::begin(&inner, &pools.keepers);
        Ok(Self { inner, upkeep: Arc::new(upkeep) })
    }

    /// Waits for the background steps that run, after which there are no more, ends every log cleanly and writes `catalog.json`. Writes are
    /// refused from then on. Nothing acknowledged is lost without it.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(&self) -> Result<(), EngineError> {
        self.upkeep.end();
        for member in &self.inner.fleet.members {
            member.shard.close()?;
        }
        Ok(self.inner.routing.close()?)
    }

    /// The lock of its directory.
    pub(crate) fn lock(&self) -> Arc<dyn LockGuard> {
        Arc::clone(&self.inner.lock)
    }

    pub(crate) fn epoch_seen(&self) -> Epoch {
        self.inner.fleet.members.iter().map(|member| member.shard.epoch_seen()).max().unwrap_or(Epoch::ZERO)
    }
}

/// Half as many as there are cores: what they do is not urgent, and queries want the others.
fn keeper_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| (cores.get() / 2).max(2))
}

/// Threads that engines share, and the clock that they go by.
#[derive(Debug)]
pub(crate) struct Pools {
    clock: Arc<dyn Clock>,
    open: rayon::ThreadPool,
    search: Arc<Searchers>,
    keepers: Arc<Keepers>,
}

impl Pools {
    pub(crate) fn new(settings: &EngineSettings) -> Result<Self, EngineError> {
        let internal = |error: &dyn Display| EngineError::new(ErrorCode::Internal, error.to_string());
        let pool = |name: &'static str, threads: usize, start: fn(usize)| {
            let builder = rayon::ThreadPoolBuilder::new().num_threads(threads).start_handler(start);
            builder.thread_name(move |at| format!("{name}-{at}")).build().map_err(|error| internal(&error))
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let keepers = KeepersOptions {
            threads: keeper_threads(),
            clock: Arc::clone(&clock),
            memory: settings.shard_options.memory.clone(),
            graphs: Arc::new(pool("graph", 1, |_| give_way())?),
        };
        Ok(Self {
            clock,
            open: pool("open", settings.search_threads, |_| ())?,
            search: Arc::new(Searchers::start(settings.search_threads).map_err(|error| internal(&error))?),
            keepers: Arc::new(Keepers::start(keepers).map_err(|error| internal(&error))?),
        })
    }

    /// The same with a clock that a test moves.
    #[cfg(test)]
    pub(crate) fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }
}

/// Locks a directory; that of an index, which lies in the data directory of others, with that as a whole.
pub(super) fn lock_dir(dir: &Path) -> Result<Arc<dyn LockGuard>, EngineError> {
    RealIo.create_dir_all(dir).map_err(|error| EngineError::io(dir, &error))?;
    let indexes = dir.parent().filter(|indexes| indexes.file_name().is_some_and(|name| name == "indexes"));
    let dir = indexes.and_then(Path::parent).unwrap_or(dir);
    let path = dir.join("LOCK");
    RealIo.lock(&path).map(Arc::from).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            let holder = lock_holder(&path).map_or_else(String::new, |holder| format!(", {holder}"));
            let remedy = "stop that one, or talk to it with --server";
            let message = format!("{} is open in another process{holder}: {remedy}", dir.display());
            EngineError::new(ErrorCode::Locked, message)
        }
        _ => EngineError::io(dir, &error),
    })
}

pub(super) fn catalog_dir(dir: &Path) -> PathBuf {
    dir.join("catalog")
}

pub(super) fn shard_dir(dir: &Path, shard: u32) -> PathBuf {
    dir.join("shards").join(format!("shard-{shard:04}"))
}

fn open_catalog(dir: &Path, settings: &EngineSettings) -> Result<RoutingTable, EngineError> {
    let catalog = catalog_dir(dir);
    RealIo.create_dir_all(&catalog).map_err(|error| EngineError::io(&catalog, &error))?;
    Ok(RoutingTable::open(&catalog, settings.catalog)?)
}

/// Data without a catalog mean that it was lost: serving them as an empty engine would hide them.
fn check_not_lost(dir: &Path, home: &Path, routing: &RoutingTable) -> Result<(), EngineError> {
    let shards = home.join("shards");
    let has_shards = RealIo.exists(&shards).map_err(|error| EngineError::io(&shards, &error))?;
    if routing.settings().is_some() || !has_shards {
        return Ok(());
    }
    let message = format!(
        "{} holds shards, but the routing table is empty: `pinyon doctor --data-dir {} --repair` rebuilds it from \
         the shards",
        home.display(),
        dir.display()
    );
    Err(EngineError::new(ErrorCode::DataDamaged, message))
}

fn set_catalog_aside(dir: &Path) -> Result<(), EngineError> {
    let catalog = catalog_dir(dir);
    let failed = |error: io::Error| EngineError::io(&catalog, &error);
    for number in 1.. {
        let aside = dir.join(format!("catalog-damaged-{number}"));
        if !RealIo.exists(&aside).map_err(failed)? {
            RealIo.rename(&catalog, &aside).map_err(failed)?;
            break;
        }
    }
    RealIo.sync_dir(dir).map_err(failed)
}

/// Whether anybody wrote into the engine of a directory. Opens nothing.
pub(crate) fn took_writes(dir: &Path) -> Result<bool, EngineError> {
    let shards = dir.join("shards");
    let failed = |error: std::io::Error| EngineError::io(&shards, &error);
    if !RealIo.exists(&shards).map_err(failed)? {
        return Ok(false);
    }
    let io: SharedIo = Arc::new(RealIo);
    for shard in catalog::list_dirs(&shards).map_err(failed)? {
        if Shard::took_writes(&io, &shard)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens the shards that a catalog knows. Once a tenant was placed there is no shard that was never made: one without files was lost.
fn open_known_shards(
    home: &Path,
    settings: &EngineSettings,
    routing: &RoutingTable,
    pools: &Pools,
) -> Result<Vec<Member>, EngineError> {
    if let Some(found) = routing.settings() {
        check_stored(home, &found, &settings.stored())?;
    }
    if routing.len() > 0 {
        (0..settings.shards).try_for_each(|number| check_there(home, number))?;
    }
    open_shards(home, settings, pools)
}

pub(super) fn check_there(home: &Path, number: u32) -> Result<(), EngineError> {
    let dir = shard_dir(home, number);
    let manifest = dir.join(MANIFEST_FILE_NAME);
    if RealIo.exists(&manifest).map_err(|error| EngineError::io(&manifest, &error))? {
        return Ok(());
    }
    let message = format!(
        "{} is missing or has no MANIFEST: the shard was made and its records are not there. Put it back from a backup; \
         nothing was changed",
        dir.display()
    );
    Err(EngineError::new(ErrorCode::DataDamaged, message))
}

/// Checks settings against shards whose catalog was lost.
fn check_shards(home: &Path, settings: &EngineSettings) -> Result<(), EngineError> {
    let found = super::stored::in_shards(home)?;
    let settings = [
        ("NUM_SHARDS", found.shards.map(|shards| shards.to_string()), settings.shards.to_string()),
        ("VECTOR_DIMENSION", found.dimension.map(|dim| dim.to_string()), settings.dim.get().to_string()),
        ("METRIC", found.metric.map(|metric| metric.to_string()), settings.metric.to_string()),
    ];
    for (name, found, asked) in settings {
        if let Some(found) = found.filter(|found| *found != asked) {
            let message = format!(
                "the shards in {} were made with {name}={found}, this repair asks for {name}={asked}: repair with \
                 {name}={found} or without it; nothing was changed",
                home.display()
            );
            return Err(EngineError::new(ErrorCode::FailedPrecondition, message));
        }
    }
    Ok(())
}

/// Opens all shards at the same time: each is one pass over its files.
fn open_shards(dir: &Path, settings: &EngineSettings, pools: &Pools) -> Result<Vec<Member>, EngineError> {
    use rayon::prelude::{IntoParallelIterator, ParallelIterator};
    let io: SharedIo = Arc::new(RealIo);
    let clock = &pools.clock;
    let open = |number: u32| {
        let shape = ShardShape { shard: ShardId::new(number), dim: settings.dim, metric: settings.metric };
        let options = ShardOptions { clock: Some(Arc::clone(clock)), ..settings.shard_options.clone() };
        let shard = Shard::open(&io, &shard_dir(dir, number), shape, options)?;
        Ok(Member { shard, latency: LatencyMeter::new(Arc::clone(clock)), load: LoadMeter::default() })
    };
    pools.open.install(|| (0..settings.shards).into_par_iter().map(open).collect())
}

//! Opening the shards of an engine, each by itself.

use super::{Member, Pools, QuarantineReason, open::catalog_dir};
use crate::{
    EngineError, EngineSettings, ErrorCode,
    catalog::{Identity, RoutingTable},
    settings::Contradiction,
};
use pinyon_shard::{Birth, Shard, ShardError, ShardOnDisk, ShardOptions, ShardPlace, ShardShape};
use pinyon_storage::{
    Owner,
    io::SharedIo,
    manifest::{MANIFEST_FILE_NAME, MadeWith},
    witness::Witness,
};
use pinyon_types::{Clock, SeqNo, ShardId, UniqueId, limits::SHARDS_MAX};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub(super) fn shard_dir(dir: &Path, shard: u32) -> PathBuf {
    dir.join("shards").join(format!("shard-{shard:04}"))
}

/// Where the files of shards lie that were given up.
pub(super) fn dropped_dir(dir: &Path) -> PathBuf {
    dir.join("dropped")
}

/// The shards' places: what they are called, and who knows from outside how far they came.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) identity: Identity,
    pub(super) made_with: MadeWith,
    pub(super) witness: Arc<Witness>,
    /// Where they lie.
    pub(super) home: PathBuf,
}

impl Places {
    /// Opens a shard in its place.
    pub(super) fn open(
        &self,
        settings: &EngineSettings,
        clock: &Arc<dyn Clock>,
        number: u32,
        birth: Birth,
    ) -> Result<Shard, ShardError> {
        let shape = ShardShape { shard: ShardId::new(number), dim: settings.dim, metric: settings.metric };
        let options = ShardOptions { clock: Some(Arc::clone(clock)), ..settings.shard_options.clone() };
        Shard::open_in(
            settings.environment.io(),
            &shard_dir(&self.home, number),
            (shape, self.of(number, birth)),
            options,
        )
    }

    /// Has the catalog remember that all shards are there, if they are.
    pub(super) fn made_known(
        mut self,
        routing: &RoutingTable,
        shards: &[Member],
    ) -> Result<Self, EngineError> {
        let are_there = shards.iter().all(|member| member.quarantine().is_none());
        if are_there && self.identity.birth != Birth::Made {
            self.identity.birth = Birth::Made;
            routing.store_identity(&self.identity)?;
        }
        Ok(self)
    }

    pub(super) fn of(&self, number: u32, birth: Birth) -> ShardPlace {
        let shard = self.identity.shards.get(number as usize).copied().unwrap_or_default();
        ShardPlace {
            owner: Owner { number, index: self.identity.index, shard },
            birth,
            made_with: Some(self.made_with.clone()),
            witness: Some(Arc::clone(&self.witness)),
            starts_after: SeqNo::ZERO,
        }
    }
}

/// What it takes to open shards.
pub(super) struct Opening<'a> {
    pub(super) settings: &'a EngineSettings,
    pub(super) pools: &'a Pools,
    pub(super) places: &'a Places,
}

impl Opening<'_> {
    /// Opens the shards; one that is damaged is kept out by itself. One that was made and has no files was lost.
    pub(super) fn known_shards(&self, routing: &RoutingTable) -> Result<Vec<Member>, EngineError> {
        let Self { settings, pools, places } = self;
        let (io, home) = (settings.environment.io(), &places.home);
        self.name_others()?;
        let was_made = match places.identity.birth {
            Birth::Making => return self.all_shards(),
            // Until the first tenant was placed a crash may have left less.
            Birth::Upgrading => routing.len() > 0,
            Birth::Made => true,
        };
        on_all_shards(settings, pools, |number| {
            let birth = match check_there(io, home, number) {
                Err(error) if was_made => {
                    let problem = error.relative_to(home).message;
                    return Ok(Member::kept_out(QuarantineReason::Missing, problem, &pools.clock));
                }
                Err(_) => Birth::Making,
                Ok(()) => places.identity.birth,
            };
            Member::of(self.shard(number, birth), home, &pools.clock)
        })
    }

    /// Says which directories among the shards are none: copies, perhaps, that somebody put there.
    fn name_others(&self) -> Result<(), EngineError> {
        let (io, home) = (self.settings.environment.io(), &self.places.home);
        let shards = home.join("shards");
        if !io.exists(&shards).map_err(|error| EngineError::io(&shards, &error))? {
            return Ok(());
        }
        let names = io.list_dirs(&shards).map_err(|error| EngineError::io(&shards, &error))?;
        let dirs: Vec<PathBuf> = names.into_iter().map(|name| shards.join(name)).collect();
        let own = |dir: &PathBuf| (0..self.settings.shards).any(|number| *dir == shard_dir(home, number));
        for dir in dirs.iter().filter(|dir| !own(dir)) {
            tracing::warn!(dir = %dir.display(), "it is no shard of this index: nothing reads it, and nothing removes it");
        }
        Ok(())
    }

    /// Opens every shard, or none.
    pub(super) fn all_shards(&self) -> Result<Vec<Member>, EngineError> {
        let Self { settings, pools, places } = self;
        on_all_shards(settings, pools, |number| {
            Ok(Member::serving_at_first(self.shard(number, places.identity.birth)?, &pools.clock))
        })
    }

    /// Begins a shard where there is none.
    pub(super) fn empty_shard(&self, shard: ShardId) -> Result<(), EngineError> {
        Ok(self.shard(shard.get(), Birth::Making)?.close()?)
    }

    fn shard(&self, number: u32, birth: Birth) -> Result<Shard, ShardError> {
        self.places.open(self.settings, &self.pools.clock, number, birth)
    }
}

/// Refuses settings that contradict those that a catalog knows.
pub(super) fn check_settings(
    home: &Path,
    settings: &EngineSettings,
    routing: &RoutingTable,
) -> Result<(), EngineError> {
    let Some(found) = routing.settings() else { return Ok(()) };
    match Contradiction::between(&found, &settings.stored()) {
        None => Ok(()),
        Some(contradiction) => {
            check_own(settings.environment.io(), home, routing)?;
            Err(contradiction.refusal(home, settings.shape_source))
        }
    }
}

/// Checks that a catalog is that of the shards beside it: of their shape and, as far as they have names, of their index.
pub(super) fn check_own(io: &SharedIo, home: &Path, routing: &RoutingTable) -> Result<(), EngineError> {
    let Some(found) = routing.settings() else { return Ok(()) };
    let index = routing.identity().map(|identity| identity.index).unwrap_or_default();
    let on_disk = |number| {
        let found = ShardOnDisk::read(&**io, &shard_dir(home, number)).ok().flatten()?;
        Some((found.shape?, found.owner.index))
    };
    let shards: Vec<(ShardShape, UniqueId)> = (0..found.shards.min(SHARDS_MAX)).filter_map(on_disk).collect();
    let is_own = |(shape, of): &(ShardShape, UniqueId)| {
        let is_of = index.is_none() || of.is_none() || *of == index;
        is_of && shape.dim.get() == found.dimension && shape.metric.name() == found.metric
    };
    let Some((shape, of)) = shards.first().filter(|_| !shards.iter().any(is_own)) else { return Ok(()) };
    let message = format!(
        "the catalog in {} is of other data: it says VECTOR_DIMENSION={} and METRIC={}, of index {index}, the shards beside it \
         were made with {} and {}, of index {of}. Put it back from a backup, or let `pinyon doctor --repair` make it anew; \
         nothing was changed",
        catalog_dir(home).display(),
        found.dimension,
        found.metric,
        shape.dim.get(),
        shape.metric,
    );
    Err(EngineError::new(ErrorCode::DataDamaged, message))
}

pub(super) fn check_there(io: &SharedIo, home: &Path, number: u32) -> Result<(), EngineError> {
    let dir = shard_dir(home, number);
    let manifest = dir.join(MANIFEST_FILE_NAME);
    if io.exists(&manifest).map_err(|error| EngineError::io(&manifest, &error))? {
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
pub(super) fn check_shards(home: &Path, settings: &EngineSettings) -> Result<(), EngineError> {
    let found = super::stored::in_shards(settings.environment.io(), home)?;
    let settings = [
        ("NUM_SHARDS", found.shards.map(|shards| shards.to_string()), settings.shards.to_string()),
        ("VECTOR_DIMENSION", found.dimension.map(|dim| dim.to_string()), settings.dim.get().to_string()),
        ("METRIC", found.metric.map(|metric| metric.to_string()), settings.metric.to_string()),
        ("PLACEMENT", found.placement, settings.placement.name().to_owned()),
        ("EMBEDDER", found.embedder, settings.embedder.model_id().to_owned()),
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

/// Does something with all shards at the same time: opening one is one pass over its files.
fn on_all_shards(
    settings: &EngineSettings,
    pools: &Pools,
    open: impl Fn(u32) -> Result<Member, EngineError> + Send + Sync,
) -> Result<Vec<Member>, EngineError> {
    use rayon::prelude::{IntoParallelIterator, ParallelIterator};
    match &pools.open {
        Some(threads) => threads.install(|| (0..settings.shards).into_par_iter().map(open).collect()),
        None => (0..settings.shards).map(open).collect(),
    }
}

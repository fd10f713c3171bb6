//! Opening the shards of an engine, each by itself.

use super::{Member, Pools, QuarantineReason, open::catalog_dir};
use crate::{
    EngineError, EngineSettings, ErrorCode,
    catalog::{RoutingTable, StoredSettings},
    settings::Contradiction,
};
use pinyon_shard::{Shard, ShardError, ShardOptions, ShardShape};
use pinyon_storage::{
    io::{Io, RealIo, SharedIo},
    manifest::MANIFEST_FILE_NAME,
};
use pinyon_types::{ShardId, limits::SHARDS_MAX};
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

/// Begins a shard where there is none.
pub(super) fn open_empty_shard(
    home: &Path,
    settings: &EngineSettings,
    shard: ShardId,
) -> Result<(), EngineError> {
    let pools = Pools::new(settings)?;
    Ok(open_shard(home, settings, &pools, shard.get())?.close()?)
}

/// Opens the shards that a catalog knows; one that is damaged is kept out by itself. Once a tenant was placed there is no shard that
/// was never made: one without files was lost.
pub(super) fn open_known_shards(
    home: &Path,
    settings: &EngineSettings,
    routing: &RoutingTable,
    pools: &Pools,
) -> Result<Vec<Member>, EngineError> {
    let Some(found) = routing.settings() else { return open_shards(home, settings, pools) };
    if let Some(contradiction) = Contradiction::between(&found, &settings.stored()) {
        check_own(home, &found)?;
        return Err(contradiction.refusal(home, settings.shape_source));
    }
    let has_tenants = routing.len() > 0;
    on_all_shards(settings, pools, |number| {
        if has_tenants && let Err(error) = check_there(home, number) {
            let problem = error.relative_to(home).message;
            return Ok(Member::kept_out(QuarantineReason::Missing, problem, &pools.clock));
        }
        Member::of(open_shard(home, settings, pools, number), home, &pools.clock)
    })
}

/// Checks that a catalog's settings are those that shards beside it were made with: else it is of other data.
pub(super) fn check_own(home: &Path, found: &StoredSettings) -> Result<(), EngineError> {
    let on_disk = |number| ShardShape::on_disk(&RealIo, &shard_dir(home, number)).ok().flatten();
    let shapes: Vec<ShardShape> = (0..found.shards.min(SHARDS_MAX)).filter_map(on_disk).collect();
    let is_own =
        |shape: &ShardShape| shape.dim.get() == found.dimension && shape.metric.name() == found.metric;
    let Some(shape) = shapes.first().filter(|_| !shapes.iter().any(is_own)) else { return Ok(()) };
    let message = format!(
        "the catalog in {} is of other data: it says VECTOR_DIMENSION={} and METRIC={}, the shards beside it were made \
         with {} and {}. Put it back from a backup, or let `pinyon doctor --repair` make it anew; nothing was changed",
        catalog_dir(home).display(),
        found.dimension,
        found.metric,
        shape.dim.get(),
        shape.metric,
    );
    Err(EngineError::new(ErrorCode::DataDamaged, message))
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
pub(super) fn check_shards(home: &Path, settings: &EngineSettings) -> Result<(), EngineError> {
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

/// Opens every shard, or none.
pub(super) fn open_shards(
    dir: &Path,
    settings: &EngineSettings,
    pools: &Pools,
) -> Result<Vec<Member>, EngineError> {
    on_all_shards(settings, pools, |number| {
        Ok(Member::serving_at_first(open_shard(dir, settings, pools, number)?, &pools.clock))
    })
}

/// Does something with all shards at the same time: opening one is one pass over its files.
fn on_all_shards(
    settings: &EngineSettings,
    pools: &Pools,
    open: impl Fn(u32) -> Result<Member, EngineError> + Send + Sync,
) -> Result<Vec<Member>, EngineError> {
    use rayon::prelude::{IntoParallelIterator, ParallelIterator};
    pools.open.install(|| (0..settings.shards).into_par_iter().map(open).collect())
}

fn open_shard(
    dir: &Path,
    settings: &EngineSettings,
    pools: &Pools,
    number: u32,
) -> Result<Shard, ShardError> {
    let io: SharedIo = Arc::new(RealIo);
    let shape = ShardShape { shard: ShardId::new(number), dim: settings.dim, metric: settings.metric };
    let options = ShardOptions { clock: Some(Arc::clone(&pools.clock)), ..settings.shard_options.clone() };
    Shard::open(&io, &shard_dir(dir, number), shape, options)
}

//! The settings that a directory's data were made with, read before an engine is opened with them.

use super::{Engine, Generation, open, shards};
use crate::{
    EngineError,
    catalog::{CatalogKind, RoutingTable},
    environment::system_io,
};
use pinyon_shard::ShardOnDisk;
use pinyon_storage::io::SharedIo;
use pinyon_types::Metric;
use std::path::Path;

/// The settings that data were made with, as far as the directory tells them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MadeWith {
    /// Number of shards.
    pub shards: Option<u32>,
    /// Components of every vector.
    pub dimension: Option<u32>,
    /// The metric.
    pub metric: Option<Metric>,
    /// The placement policy's name.
    pub placement: Option<String>,
    /// The embedder's id: recipe, version, dimension.
    pub embedder: Option<String>,
    /// The store that keeps the catalog.
    pub catalog: Option<CatalogKind>,
}

impl Engine {
    /// Reads the settings that the data in a directory were made with: those in the catalog, or what the shards tell where
    /// the catalog is lost or damaged. Makes nothing; a directory without data has none of them.
    ///
    /// # Errors
    /// A directory that another process has open, damaged manifests, the system's.
    pub fn made_with(dir: &Path) -> Result<MadeWith, EngineError> {
        let io = system_io();
        if !Self::holds_data_on(&io, dir)? {
            return Ok(MadeWith::default());
        }
        let _lock = open::lock_dir(&io, dir)?;
        let home = Generation::read(&io, dir)?.home(dir);
        match in_catalog(&io, &home) {
            Some(found) => Ok(found),
            None => in_shards(&io, &home),
        }
    }
}

/// Whatever is wrong with a catalog, one of other data too, is said when it is opened to stay open.
fn in_catalog(io: &SharedIo, home: &Path) -> Option<MadeWith> {
    let catalog_dir = open::catalog_dir(home);
    let catalog = CatalogKind::present_in(io, &catalog_dir).ok().flatten()?;
    let routing = RoutingTable::open_on(io, &catalog_dir, catalog).ok()?;
    let stored = routing.settings()?;
    shards::check_own(io, home, &routing).ok()?;
    Some(MadeWith {
        shards: Some(stored.shards),
        dimension: Some(stored.dimension),
        metric: Metric::from_name(&stored.metric).ok(),
        placement: Some(stored.placement),
        embedder: Some(stored.embedder),
        catalog: Some(catalog),
    })
}

/// What the shards tell. They are numbered from 0 without a gap: where one is missing, how many there were is not known.
pub(super) fn in_shards(io: &SharedIo, dir: &Path) -> Result<MadeWith, EngineError> {
    let catalog = CatalogKind::present_in(io, &open::catalog_dir(dir))?;
    let mut found = MadeWith { catalog, ..MadeWith::default() };
    for number in 0..pinyon_types::limits::SHARDS_MAX {
        let Some(shard) = ShardOnDisk::read(&**io, &shards::shard_dir(dir, number))? else { continue };
        let Some(shape) = shard.shape else { continue };
        if found.shards.unwrap_or(0) < number {
            shards::check_there(io, dir, number - 1)?;
        }
        let dimension = Some(shape.dim.get());
        found = MadeWith { shards: Some(number + 1), dimension, metric: Some(shape.metric), ..found };
        if let Some(made_with) = shard.made_with {
            found.placement = Some(made_with.placement);
            found.embedder = Some(made_with.embedder);
        }
    }
    Ok(found)
}

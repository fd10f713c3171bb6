//! Finding an index's directory without opening the index: what is wrong with it is its doctor's business.

use super::{IndexDescription, TENANTS_ID, index_dir, registry::Registry, settings_of};
use crate::{EngineError, EngineSettings, ErrorCode, engine::lock_dir};
use std::path::{Path, PathBuf};

/// Where an index lies, and the settings that it is opened with.
#[derive(Debug, Clone)]
pub struct IndexPlace {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    /// What it is opened with.
    pub settings: EngineSettings,
}

impl IndexPlace {
    /// Every index of a data directory, as its registry has them; the tenants' index first. `settings` are those of that one.
    ///
    /// # Errors
    /// A directory that another process has open, a registry that is damaged, the system's.
    pub fn all(
        data_dir: &Path,
        settings: &EngineSettings,
        tenants_name: &str,
    ) -> Result<Vec<Self>, EngineError> {
        let io = settings.environment.io();
        let _lock = lock_dir(io, data_dir)?;
        let home = data_dir.join("indexes");
        let (_, known) = Registry::open(io, &home, settings.catalog)?;
        let of_tenants = known.iter().find(|one| one.id == TENANTS_ID).map(|one| one.name.clone());
        let tenants = Self {
            name: of_tenants.unwrap_or_else(|| tenants_name.to_owned()),
            dir: data_dir.to_owned(),
            settings: settings.clone(),
        };
        let of_customers = known.into_iter().filter(|one| one.id != TENANTS_ID);
        let place = |description: IndexDescription| Self {
            dir: index_dir(&home, description.id),
            settings: settings_of(settings, &description),
            name: description.name,
        };
        Ok(std::iter::once(tenants).chain(of_customers.map(place)).collect())
    }

    /// The one of these that a shard is of, by its name.
    ///
    /// # Errors
    /// None is.
    pub fn of_shard<'a>(all: &'a [Self], shard: &str) -> Result<&'a Self, EngineError> {
        let prefix = shard.rsplit_once('-').map_or("", |(prefix, _)| prefix);
        let found = all.iter().find(|place| place.settings.shard_prefix == prefix);
        found.ok_or_else(|| {
            let prefixes: Vec<String> =
                all.iter().map(|place| format!("{}-0", place.settings.shard_prefix)).collect();
            let message = format!(
                "{shard} is no shard of this data directory: shards are named like {}; nothing was changed",
                prefixes.join(", ")
            );
            EngineError::new(ErrorCode::NotFound, message)
        })
    }
}

//! Giving up a shard that is kept out: an empty one takes its place, and its files are set aside.

use super::{
    Engine, Pools, QuarantinedShard,
    shards::{Opening, Places, dropped_dir, shard_dir},
};
use crate::{EngineError, ErrorCode};
use pinyon_planted::is_planted;
use pinyon_storage::{
    io::SharedIo,
    witness::{Claim, Subject},
};
use pinyon_types::ShardId;
use std::{
    io,
    path::{Path, PathBuf},
};

/// A shard that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedShard {
    /// Its name.
    pub index_name: String,
    /// Tenants that live on it; they have no records now.
    pub assigned_tenants: u64,
    /// Where its files lie now, if there were any.
    pub aside: Option<PathBuf>,
}

impl Engine {
    /// Puts an empty shard in the place of one that is kept out. Its tenants keep their place and lose their records; its files are set
    /// aside, not deleted. It is served from the next opening on.
    ///
    /// # Errors
    /// No shard of that name is kept out, or the system's.
    pub fn drop_shard(&self, name: &str) -> Result<DroppedShard, EngineError> {
        let (found, places) = self.kept_out_shard(name)?;
        let aside = set_aside(self.inner.settings.environment.io(), &places.home, found.shard)?;
        // Files of the one that is given up are not those of the one that begins.
        let renamed = places.identity.clone().renamed(found.shard.get());
        let identity = renamed.map_err(|problem| EngineError::new(ErrorCode::Internal, problem))?;
        self.inner.routing.store_identity(&identity)?;
        let (settings, places) = (&self.inner.settings, Places { identity, ..places.clone() });
        let pools = Pools::new(settings)?;
        Opening { settings, pools: &pools, places: &places }.empty_shard(found.shard)?;
        Ok(DroppedShard { index_name: found.index_name, assigned_tenants: found.assigned_tenants, aside })
    }

    /// Takes a shard as it is that went back to an earlier state: what was acknowledged since is given up. It is served from the next
    /// opening on.
    ///
    /// # Errors
    /// No shard of that name is kept out, or the system's.
    pub fn accept_older(&self, name: &str) -> Result<QuarantinedShard, EngineError> {
        let (found, places) = self.kept_out_shard(name)?;
        places.witness.lower(Subject::Shard(found.shard.get()), Claim::default());
        places.witness.rest();
        Ok(found)
    }

    pub(super) fn kept_out_shard(&self, name: &str) -> Result<(QuarantinedShard, &Places), EngineError> {
        let is_it = |one: &QuarantinedShard| {
            one.index_name == name || (is_planted(13) && one.index_name.starts_with(name))
        };
        let Some(found) = self.quarantined().into_iter().find(is_it) else {
            let kept_out: Vec<String> = self.quarantined().into_iter().map(|one| one.index_name).collect();
            let which = if kept_out.is_empty() {
                "none is".to_owned()
            } else {
                format!("{} are", kept_out.join(", "))
            };
            let message = format!("{name} is not a shard that is quarantined: {which}; nothing was changed");
            return Err(EngineError::new(ErrorCode::FailedPrecondition, message));
        };
        match &self.inner.places {
            Some(places) => Ok((found, places)),
            None => {
                let message = "the routing table cannot be read: --repair it first; nothing was changed";
                Err(EngineError::new(ErrorCode::FailedPrecondition, message))
            }
        }
    }
}

pub(super) fn set_aside(io: &SharedIo, home: &Path, shard: ShardId) -> Result<Option<PathBuf>, EngineError> {
    let from = shard_dir(home, shard.get());
    let failed = |error: io::Error| EngineError::io(&from, &error);
    if !io.exists(&from).map_err(failed)? {
        return Ok(None);
    }
    let dropped = dropped_dir(home);
    io.create_dir_all(&dropped).map_err(failed)?;
    for number in 1.. {
        let aside = dropped.join(format!("shard-{:04}-{number}", shard.get()));
        if !io.exists(&aside).map_err(failed)? {
            io.rename(&from, &aside).map_err(failed)?;
            io.sync_dir(&dropped).map_err(failed)?;
            io.sync_dir(&home.join("shards")).map_err(failed)?;
            return Ok(Some(aside));
        }
    }
    Ok(None)
}

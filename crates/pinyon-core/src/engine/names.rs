//! The names of an engine and its shards: drawn once, before anything is made, and asked of everything that lies in their places. And the
//! witness, which knows from outside how far each of them came.

use super::{
    older::keep_older_out,
    shards::{Places, shard_dir},
};
use crate::{
    EngineError, EngineSettings, ErrorCode,
    catalog::{Identity, RoutingTable, draw},
};
use pinyon_shard::{Birth, ShardOnDisk};
use pinyon_storage::{
    Owner,
    io::LockGuard,
    manifest::MadeWith,
    witness::{Claim, Subject, WITNESS_FILE_NAME, Witness},
};
use pinyon_types::UniqueId;
use std::{path::Path, sync::Arc};

/// Finds out, or draws, what an engine and its shards are called, before anything of the shards is looked at. `lock` is that of the data
/// directory; whoever makes names keeps versions out that know of none.
pub(super) fn establish(
    (dir, home): (&Path, &Path),
    settings: &EngineSettings,
    routing: &RoutingTable,
    lock: &mut Arc<dyn LockGuard>,
) -> Result<Places, EngineError> {
    let identity = match routing.identity() {
        Some(identity)
            if routing.settings().is_none() && identity.shards.len() != settings.shards as usize =>
        {
            // A start with another number of shards made nothing but names.
            store(routing, Identity::drawn(identity.index, settings.shards, Birth::Making))?
        }
        Some(identity) => identity,
        None => {
            let birth = birth_of_unnamed(home, settings, routing)?;
            keep_older_out(settings.environment.io(), dir, lock)?;
            store(routing, Identity::drawn(settings.shape_source.index(), settings.shards, birth))?
        }
    };
    check_index(home, settings, &identity)?;
    let places = places(home, settings, identity)?;
    routing.watch(Arc::clone(&places.witness))?;
    Ok(places)
}

/// Without names in its catalog an engine is new, or an earlier version made it.
fn birth_of_unnamed(
    home: &Path,
    settings: &EngineSettings,
    routing: &RoutingTable,
) -> Result<Birth, EngineError> {
    if routing.settings().is_none() {
        return Ok(Birth::Making);
    }
    let shards_have_names = owners_on_disk(home, settings)
        .is_ok_and(|owners| owners.iter().flatten().any(|owner| !owner.index.is_none()));
    if settings.shape_source.index().is_none() && !shards_have_names {
        return Ok(Birth::Upgrading);
    }
    let message = format!(
        "the catalog in {} went back to an earlier state: it has no names, and its index or its shards have. Put it \
         back from a backup; nothing was changed",
        home.display()
    );
    Err(EngineError::new(ErrorCode::DataDamaged, message))
}

fn check_index(home: &Path, settings: &EngineSettings, identity: &Identity) -> Result<(), EngineError> {
    let (found, expected) = (identity.index, settings.shape_source.index());
    if expected.is_none() || found == expected {
        return Ok(());
    }
    let message = format!(
        "the files in {} are of index {found}, and this index is {expected}: put back its own from a backup; nothing was \
         changed",
        home.display()
    );
    Err(EngineError::new(ErrorCode::DataDamaged, message))
}

fn store(routing: &RoutingTable, identity: Result<Identity, String>) -> Result<Identity, EngineError> {
    let identity = identity.map_err(|problem| EngineError::new(ErrorCode::Internal, problem))?;
    routing.store_identity(&identity)?;
    Ok(identity)
}

/// A name for an index that is to be made.
pub(crate) fn new_index_name() -> Result<UniqueId, EngineError> {
    draw().map_err(|problem| EngineError::new(ErrorCode::Internal, problem))
}

/// The places of shards of these names.
pub(super) fn places(
    home: &Path,
    settings: &EngineSettings,
    identity: Identity,
) -> Result<Places, EngineError> {
    let failed = |error: std::io::Error| EngineError::io(&home.join(WITNESS_FILE_NAME), &error);
    let witness = Witness::open(settings.environment.io(), home, identity.index).map_err(failed)?;
    if identity.birth == Birth::Made && !witness.is_begun() {
        tracing::warn!(
            dir = %home.display(),
            "WITNESS is missing or damaged: files that went back to an earlier state are not noticed at this start"
        );
    }
    let made_with = MadeWith {
        shards: settings.shards,
        placement: settings.placement.name().into(),
        embedder: settings.embedder.model_id().into(),
    };
    Ok(Places { identity, made_with, witness: Arc::new(witness), home: home.to_owned() })
}

/// The names that shards have, whose catalog is lost or is not believed; new ones for those that have none.
pub(super) fn of_shards(
    (dir, home): (&Path, &Path),
    settings: &EngineSettings,
    lock: &mut Arc<dyn LockGuard>,
) -> Result<Places, EngineError> {
    let found = owners_on_disk(home, settings)?;
    let birth = match found.iter().flatten().count() {
        0 => Birth::Making,
        _ if found.iter().all(|owner| owner.is_some_and(|owner| !owner.shard.is_none())) => Birth::Made,
        _ => Birth::Upgrading,
    };
    if birth != Birth::Made {
        keep_older_out(settings.environment.io(), dir, lock)?;
    }
    let index = found.iter().flatten().map(|owner| owner.index).max().unwrap_or_default();
    let drawn = Identity::drawn(index, settings.shards, birth);
    let mut identity = drawn.map_err(|problem| EngineError::new(ErrorCode::Internal, problem))?;
    for (name, owner) in identity.shards.iter_mut().zip(found) {
        *name = owner.map(|owner| owner.shard).filter(|shard| !shard.is_none()).unwrap_or(*name);
    }
    places(home, settings, identity)
}

/// Whose the shards are that lie there: all of one index, as far as they have names.
fn owners_on_disk(home: &Path, settings: &EngineSettings) -> Result<Vec<Option<Owner>>, EngineError> {
    let mut first: Option<Owner> = None;
    let mut owners = Vec::new();
    for number in 0..settings.shards {
        let dir = shard_dir(home, number);
        let owner = ShardOnDisk::read(&**settings.environment.io(), &dir)?.map(|found| found.owner);
        owners.push(owner);
        let Some(owner) = owner.filter(|owner| !owner.index.is_none()) else { continue };
        match first {
            Some(first) if first.index != owner.index => {
                let message = format!(
                    "{} is of index {}, the shards before it are of index {}: move away what is foreign, or put it back \
                     from a backup; nothing was changed",
                    dir.display(),
                    owner.index,
                    first.index
                );
                return Err(EngineError::new(ErrorCode::DataDamaged, message));
            }
            _ => first = Some(owner),
        }
    }
    Ok(owners)
}

/// Has the witness claim no more of the catalog than there is: whoever asked for it takes what is there.
pub(super) fn accept_catalog(routing: &RoutingTable, places: &Places) -> Result<(), EngineError> {
    let claim = Claim { epoch: routing.epoch().get(), ..Claim::default() };
    places.witness.lower(Subject::Store, claim);
    Ok(routing.watch(Arc::clone(&places.witness))?)
}

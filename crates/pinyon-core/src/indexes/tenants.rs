//! The index that the tenant API speaks to. It is always open, is there for customers once it is used, and deleting it
//! leaves an empty one that is not there until it is used again.

use super::{Index, IndexDescription, Indexes, TENANTS_ID, registry::Registry};
use crate::{EngineError, ErrorCode, engine::Generation};
use std::{collections::BTreeMap, path::Path, sync::Arc};

impl Index {
    /// Whether this is the index that the tenant API speaks to.
    pub const fn is_of_tenants(&self) -> bool {
        self.description.id == TENANTS_ID
    }

    /// Whether customers find this index: the tenants' own from the first tenant on that was placed, any other always.
    pub fn is_listed(&self) -> bool {
        !self.is_of_tenants() || self.engine.has_tenants()
    }
}

impl IndexDescription {
    /// The same index with nothing that customers said of it.
    fn forgotten(&self) -> Self {
        Self {
            is_protected: true,
            tags: BTreeMap::new(),
            attributes: String::new(),
            scan_factor: None,
            ..self.clone()
        }
    }
}

impl Indexes {
    /// Puts an empty engine in the place of the tenants', whose files go. The name and the port stay.
    pub(super) fn delete_tenants(&self, registry: &mut Registry, old: &Index) -> Result<(), EngineError> {
        let io = self.settings.environment.io();
        let next = Generation::read(io, &self.root)?.next();
        let engine = old.engine.open_empty(&next.home(&self.root), &self.pools)?;
        if let Err(error) = next.commit(io, &self.root) {
            // The next start may find either: what is written until then would be lost with one of them.
            if let Err(error) = old.engine.close() {
                tracing::warn!(error = %error, "the tenants' index not closed cleanly");
            }
            return Err(error);
        }
        let description = old.description.forgotten();
        let empty = Arc::new(Index { description: description.clone(), engine: engine.clone() });
        self.publish(|open| drop(open.insert(description.name.clone(), empty)));
        self.tenants.store(Arc::new(engine));
        if let Err(error) = old.engine.close() {
            tracing::warn!(error = %error, "deleted records of tenants not closed cleanly");
        }
        // What fails from here on is done at the next start.
        if let Err(error) = registry.enter(&description).and_then(|()| next.finish(io, &self.root)) {
            tracing::warn!(error = %error, "files of deleted tenants not removed");
        }
        Ok(())
    }
}

impl Registry {
    /// Ends a deletion of the tenants' index that a crash interrupted.
    pub(super) fn finish_deletion(
        &mut self,
        dir: &Path,
        tenants: IndexDescription,
    ) -> Result<IndexDescription, EngineError> {
        let generation = Generation::read(&self.io, dir)?;
        generation.remove_unborn(&self.io, dir)?;
        if generation.is_finished {
            return Ok(tenants);
        }
        let tenants = tenants.forgotten();
        self.enter(&tenants)?;
        generation.finish(&self.io, dir)?;
        Ok(tenants)
    }
}

/// Why no index gets the name of the tenants' index while that one is not to be seen.
pub(super) fn name_is_kept(name: &str) -> EngineError {
    let message = format!(
        "The name {name} is kept for the index of the tenant API, which is listed once that API has been used. Choose \
         another name, or give that index another one with the setting TENANTS_INDEX."
    );
    EngineError::new(ErrorCode::AlreadyExists, message)
}

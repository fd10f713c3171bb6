//! Which indexes there are, durably: one small checked value each, in a store of the catalog's kind.

use super::{Index, IndexDescription, Map, TENANTS_ID};
use crate::{
    EngineError, ErrorCode,
    catalog::{self, CatalogError, CatalogKind, CheckedStore, IndexExtras, StoreChange, StoredIndex},
};
use pinyon_storage::{io::SharedIo, witness::Witness};
use pinyon_types::{Dim, Effort, Invalid, Metric, UniqueId};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The highest number that was ever given to an index: it is not given again, because leftovers may carry it.
const LAST_ID_KEY: &[u8] = b"last-id";

#[derive(Debug)]
pub(super) struct Registry {
    pub(super) io: SharedIo,
    pub(super) home: PathBuf,
    store: CheckedStore,
    pub(super) last_id: u64,
}

impl Registry {
    /// Reads the registry below `home`, or begins one there.
    pub(super) fn open(
        io: &SharedIo,
        home: &Path,
        kind: CatalogKind,
    ) -> Result<(Self, Vec<IndexDescription>), EngineError> {
        let dir = registry_dir(home);
        io.create_dir_all(&dir).map_err(|error| EngineError::io(&dir, &error))?;
        let (mut store, entries) = CheckedStore::open_on(io, &dir, kind)?;
        let damaged = |problem: String| {
            EngineError::new(
                ErrorCode::DataDamaged,
                format!("registry of indexes {}: {problem}", dir.display()),
            )
        };
        let mut known = Vec::new();
        let mut last_id = TENANTS_ID;
        for (key, value) in &entries {
            if key == LAST_ID_KEY {
                let bytes = value.as_slice().try_into();
                last_id = u64::from_le_bytes(bytes.map_err(|_| damaged("its counter is cut".into()))?);
                continue;
            }
            let (stored, extras) = catalog::decode_index(value).map_err(damaged)?;
            known.push(from_stored(stored, extras).map_err(|error| damaged(error.to_string()))?);
        }
        store.watch(witness(io, home)?).map_err(|error| match error {
            CatalogError::RolledBack { have, seen } => {
                let what = format!("it is at change {have}, and {seen} were made");
                went_back(home, &what, "remove WITNESS beside it to go on with what it has")
            }
            error => error.into(),
        })?;
        Ok((Self { io: Arc::clone(io), home: home.to_owned(), store, last_id }, known))
    }

    pub(super) const fn next_id(&self) -> u64 {
        self.last_id + 1
    }

    /// Keeps a description; durable when this returns.
    pub(super) fn enter(&mut self, description: &IndexDescription) -> Result<(), EngineError> {
        let last_id = self.last_id.max(description.id);
        let IndexDescription { unique_id, scan_factor, .. } = *description;
        let extras = IndexExtras { unique_id, scan_factor };
        let value = catalog::encode_index(&to_stored(description), extras).map_err(|problem| {
            EngineError::new(ErrorCode::InvalidArgument, format!("the index's description: {problem}"))
        })?;
        let changes = [
            StoreChange { key: key(description.id), value: Some(value) },
            StoreChange { key: LAST_ID_KEY.to_vec(), value: Some(last_id.to_le_bytes().to_vec()) },
        ];
        self.store.commit(&changes, self.store.epoch().next())?;
        self.last_id = last_id;
        Ok(())
    }

    /// Enters the names of indexes that got theirs at this start, because an earlier version had made them.
    pub(super) fn enter_names(&mut self, open: &mut Map) -> Result<(), EngineError> {
        for index in open.values_mut() {
            let unique_id = index.engine.unique_id();
            if !index.description.unique_id.is_none() || unique_id.is_none() {
                continue;
            }
            let description = IndexDescription { unique_id, ..index.description.clone() };
            self.enter(&description)?;
            *index = Arc::new(Index { description, engine: index.engine.clone() });
        }
        Ok(())
    }

    /// Forgets an index; durable when this returns.
    pub(super) fn strike(&mut self, id: u64) -> Result<(), EngineError> {
        let change = StoreChange { key: key(id), value: None };
        Ok(self.store.commit(&[change], self.store.epoch().next())?)
    }

    /// Enters the tenants' index, or what has changed of it.
    pub(super) fn enter_tenants(
        &mut self,
        known: &mut [IndexDescription],
        mut named: IndexDescription,
        pick_port: impl FnOnce(&[u16]) -> u16,
    ) -> Result<IndexDescription, EngineError> {
        if known.iter().any(|one| one.id != TENANTS_ID && one.name == named.name) {
            let message = format!(
                "there is an index named {0:?}, and the tenants' index cannot have that name too: give it another one \
                 with tenants_index",
                named.name
            );
            return Err(EngineError::new(ErrorCode::FailedPrecondition, message));
        }
        let old = known.iter().find(|one| one.id == TENANTS_ID);
        if let Some(old) = old {
            named =
                IndexDescription { name: named.name, dim: named.dim, metric: named.metric, ..old.clone() };
        } else {
            let taken: Vec<u16> = known.iter().map(|one| one.port).collect();
            named.port = pick_port(&taken);
        }
        if old != Some(&named) {
            self.enter(&named)?;
        }
        Ok(named)
    }
}

fn witness(io: &SharedIo, home: &Path) -> Result<Arc<Witness>, EngineError> {
    let witness = Witness::open(io, home, UniqueId::NONE);
    witness.map(Arc::new).map_err(|error| EngineError::io(home, &error))
}

/// The registry is not the latest.
pub(super) fn went_back(home: &Path, what: &str, way_out: &str) -> EngineError {
    let message = format!(
        "registry of indexes {}: {what}: it was lost or went back to an earlier state. Nothing was removed. Put it back \
         from a backup, or {way_out}",
        registry_dir(home).display()
    );
    EngineError::new(ErrorCode::DataDamaged, message)
}

pub(super) fn registry_dir(home: &Path) -> PathBuf {
    home.join("registry")
}

fn key(id: u64) -> Vec<u8> {
    format!("index/{id:016x}").into_bytes()
}

fn to_stored(description: &IndexDescription) -> StoredIndex {
    StoredIndex {
        id: description.id,
        name: description.name.clone(),
        dimension: description.dim.get(),
        metric: description.metric.name().into(),
        port: description.port,
        is_protected: description.is_protected,
        tags: description.tags.clone(),
        attributes: description.attributes.clone(),
    }
}

fn from_stored(stored: StoredIndex, extras: IndexExtras) -> Result<IndexDescription, Invalid> {
    let IndexExtras { unique_id, scan_factor } = extras;
    Effort::new(scan_factor, None, 1)?;
    Ok(IndexDescription {
        id: stored.id,
        unique_id,
        name: stored.name,
        dim: Dim::stored(stored.dimension)?,
        metric: Metric::from_name(&stored.metric)?,
        port: stored.port,
        is_protected: stored.is_protected,
        tags: stored.tags,
        attributes: stored.attributes,
        scan_factor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::assert_format_shows;

    #[test]
    fn format_md_shows_a_registry_as_it_is_written() {
        let home = std::env::temp_dir().join(format!("pinyon-registry-golden-{}", std::process::id()));
        let (mut registry, _) = Registry::open(&crate::system_io(), &home, CatalogKind::Redb).unwrap();
        let movies = IndexDescription {
            id: 1,
            unique_id: UniqueId::new([0xa5; 16]),
            name: "movies".into(),
            dim: Dim::new(3).unwrap(),
            metric: Metric::Cosine,
            port: 5081,
            is_protected: false,
            tags: [("k".into(), "v".into())].into(),
            attributes: "{}".into(),
            scan_factor: None,
        };
        registry.enter(&movies).unwrap();
        let shop = IndexDescription { id: 2, scan_factor: Some(2.5), ..movies };
        registry.enter(&shop).unwrap();
        drop(registry);
        let (_, entries) = CheckedStore::open_in(&registry_dir(&home), CatalogKind::Redb).unwrap();
        assert_format_shows(&entries);
        catalog::remove_tree(&home).unwrap();
    }
}

//! The catalog in redb: the twin of sled's, held to the same tests.

use super::store::{CatalogError, CatalogStore, Change, Entry, guarded};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use std::{
    fs,
    path::{Path, PathBuf},
};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("catalog");

#[derive(Debug)]
pub(super) struct RedbStore {
    /// Taken out only when the store is dropped.
    database: Option<Database>,
    path: PathBuf,
}

/// Closing writes too, and may panic on damaged files as everything else may.
impl Drop for RedbStore {
    fn drop(&mut self) {
        let database = self.database.take();
        let closed = guarded(&self.path, || {
            drop(database);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::warn!(error = %error, "catalog not closed cleanly");
        }
    }
}

impl RedbStore {
    pub(super) fn open(path: &Path) -> Result<Self, CatalogError> {
        let failed = |problem: String| CatalogError::Store { path: path.to_owned(), problem };
        let database = guarded(path, || Database::create(path).map_err(|error| failed(error.to_string())))?;
        if let Some(dir) = path.parent() {
            fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| failed(error.to_string()))?;
        }
        Ok(Self { database: Some(database), path: path.to_owned() })
    }

    fn failed(&self, problem: &dyn std::fmt::Display) -> CatalogError {
        CatalogError::Store { path: self.path.clone(), problem: problem.to_string() }
    }

    fn database(&self) -> &Database {
        self.database.as_ref().expect("invariant: the database is there until the store is dropped")
    }

    fn read_all(&self) -> Result<Vec<Entry>, redb::Error> {
        let transaction = self.database().begin_read()?;
        let table = match transaction.open_table(TABLE) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            other => other?,
        };
        let mut entries = Vec::new();
        for entry in table.iter()? {
            let (key, value) = entry?;
            entries.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(entries)
    }

    fn write(&self, changes: &[Change]) -> Result<(), redb::Error> {
        let transaction = self.database().begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for Change { key, value } in changes {
                match value {
                    Some(value) => drop(table.insert(key.as_slice(), value.as_slice())?),
                    None => drop(table.remove(key.as_slice())?),
                }
            }
        }
        Ok(transaction.commit()?)
    }
}

impl CatalogStore for RedbStore {
    fn load_all(&mut self) -> Result<Vec<Entry>, CatalogError> {
        self.read_all().map_err(|error| self.failed(&error))
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), CatalogError> {
        self.write(changes).map_err(|error| self.failed(&error))
    }
}

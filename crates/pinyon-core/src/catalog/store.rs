//! The seam behind which the catalog's bytes are kept.

use pinyon_storage::io::SharedIo;
use pinyon_types::{Epoch, Invalid};
use std::{
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// Largest value: sled writes larger ones to files that it never syncs.
pub(super) const VALUE_BYTES_MAX: usize = 64 << 10;

/// A value to set, or a key to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// A pair of key and value.
pub(super) type Entry = (Vec<u8>, Vec<u8>);

/// Keeps key-value pairs. Small: the catalog packs its data into few of them.
pub(super) trait CatalogStore: Send + Debug {
    /// Every pair.
    fn load_all(&mut self) -> Result<Vec<Entry>, CatalogError>;

    /// Makes all changes or none; they are durable when this returns. After an error the caller makes no more.
    fn commit(&mut self, changes: &[Change]) -> Result<(), CatalogError>;
}

/// Which store keeps the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogKind {
    /// sled 0.34, the default.
    Sled,
    /// redb, its twin: better above a hundred thousand tenants.
    Redb,
    /// One file of the engine's own file system. Only for tests.
    #[cfg(any(test, feature = "testing"))]
    File,
}

impl CatalogKind {
    /// Every kind there is.
    const ALL: &[Self] = &[
        Self::Sled,
        Self::Redb,
        #[cfg(any(test, feature = "testing"))]
        Self::File,
    ];

    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
            #[cfg(any(test, feature = "testing"))]
            Self::File => "file",
        }
    }

    /// Reads the name in settings.
    ///
    /// # Errors
    /// Any other text.
    pub fn from_name(name: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.iter().copied().find(|kind| kind.name() == name);
        found.ok_or_else(|| Invalid::new("catalog", format!("must be sled or redb, is {name:?}")))
    }

    /// The store that holds data in `dir`, if one does.
    ///
    /// # Errors
    /// The system's: another store beside one that nobody saw would hide its data.
    pub(crate) fn present_in(io: &SharedIo, dir: &Path) -> Result<Option<Self>, CatalogError> {
        for kind in Self::ALL {
            let path = dir.join(kind.file_name());
            match io.exists(&path) {
                Ok(false) => {}
                Ok(true) => return Ok(Some(*kind)),
                Err(error) => return Err(CatalogError::Store { path, problem: error.to_string() }),
            }
        }
        Ok(None)
    }

    pub(super) const fn file_name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "catalog.redb",
            #[cfg(any(test, feature = "testing"))]
            Self::File => "file",
        }
    }
}

/// What can go wrong with the catalog.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The store could not be opened, read or written.
    #[error("catalog {path}: {problem}", path = .path.display())]
    Store {
        /// The store.
        path: PathBuf,
        /// What it said.
        problem: String,
    },
    /// What was read is not what was written.
    #[error("catalog {path} is damaged: {problem}; `pinyon doctor --data-dir DIR --repair` rebuilds it from the shards", path = .path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The store went back to an older state than others have seen.
    #[error(
        "the routing table is at epoch {have}, but epoch {seen} was seen already: it was rolled back; `pinyon doctor --data-dir DIR --repair` rebuilds it from the shards"
    )]
    RolledBack {
        /// The table's epoch.
        have: Epoch,
        /// The highest epoch that a shard or the witness has seen.
        seen: Epoch,
    },
    /// A change failed before; what the disk holds is not known until a restart.
    #[error("the routing table takes no changes since one failed ({reason}); restart to read it again")]
    Poisoned {
        /// The failure.
        reason: String,
    },
    /// The other store holds the data.
    #[error("{path} was made with catalog={found}, not catalog={asked}; start with catalog={found}", path = .path.display(), found = .found.name(), asked = .asked.name())]
    OtherStore {
        /// The catalog's directory.
        path: PathBuf,
        /// The store that holds data.
        found: CatalogKind,
        /// The store that was asked for.
        asked: CatalogKind,
    },
}

/// Runs what a store does while it reads its files: both may panic on damaged ones.
pub(super) fn guarded<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, CatalogError>,
) -> Result<T, CatalogError> {
    // After a panic the store is dropped unseen; nothing of it is looked at again.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let problem = "its files are damaged: the store panicked while reading them".into();
        Err(CatalogError::Store { path: path.to_owned(), problem })
    })
}

/// Removes a directory of the machine with everything in it.
#[cfg(test)]
pub(crate) fn remove_tree(dir: &Path) -> std::io::Result<()> {
    crate::system_io().remove_tree(dir)
}

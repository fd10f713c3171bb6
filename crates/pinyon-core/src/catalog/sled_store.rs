//! The catalog in sled 0.34.7: the one file that names it. What its documentation promises is not what it does on
//! Linux, so it is used in a particular way:
//! - its flush is not an fsync: a second handle on its file syncs after every commit (fsync works per file, not per
//!   handle), and the files and directories it makes are synced after opening;
//! - a process killed while opening leaves `snap.*.generating`, which makes every later open fail: removed before;
//! - a damaged snapshot makes every open fail although the log has everything: set aside, and what is then read is
//!   believed only because the layer above checks it;
//! - it may panic on damaged files: opened under `catch_unwind`;
//! - one flipped bit in its log rolls it back silently: the layer above compares epochs.

use super::store::{CatalogError, CatalogStore, Change, Entry, guarded};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

const CACHE_BYTES: u64 = 32 << 20;
/// Two seconds in all: sled lets go within milliseconds, on a busy machine within tenths of a second.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct SledStore {
    tree: sled::Db,
    /// sled's own file: what is synced after its flush.
    file: fs::File,
    path: PathBuf,
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SledStore({})", self.path.display())
    }
}

impl SledStore {
    pub(super) fn open(path: &Path) -> Result<Self, CatalogError> {
        let failed = |problem: String| CatalogError::Store { path: path.to_owned(), problem };
        remove_unfinished_snapshots(path).map_err(|error| failed(error.to_string()))?;
        let tree = match open_when_unlocked(path) {
            Ok(tree) => tree,
            // Another process at work is no damage: its snapshots stay where they are.
            Err(error) if is_locked(&error) => return Err(error),
            Err(error) => {
                let set_aside = set_snapshots_aside(path).map_err(|error| failed(error.to_string()))?;
                if !set_aside {
                    return Err(error);
                }
                open_guarded(path)?
            }
        };
        let file = sync_files(path).map_err(|error| failed(error.to_string()))?;
        Ok(Self { tree, file, path: path.to_owned() })
    }

    fn failed(&self, problem: &dyn std::fmt::Display) -> CatalogError {
        CatalogError::Store { path: self.path.clone(), problem: problem.to_string() }
    }
}

impl CatalogStore for SledStore {
    fn load_all(&mut self) -> Result<Vec<Entry>, CatalogError> {
        let entries = self.tree.iter().map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())));
        entries.collect::<Result<_, _>>().map_err(|error| self.failed(&error))
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), CatalogError> {
        let mut batch = sled::Batch::default();
        for Change { key, value } in changes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        self.tree.apply_batch(batch).map_err(|error| self.failed(&error))?;
        self.tree.flush().map_err(|error| self.failed(&error))?;
        self.file.sync_all().map_err(|error| self.failed(&error))
    }
}

fn open_guarded(path: &Path) -> Result<sled::Db, CatalogError> {
    let config = sled::Config::new()
        .path(path)
        .mode(sled::Mode::HighThroughput)
        .flush_every_ms(None)
        .cache_capacity(CACHE_BYTES);
    guarded(path, || {
        config
            .open()
            .map_err(|error| CatalogError::Store { path: path.to_owned(), problem: error.to_string() })
    })
}

/// sled's own threads give its lock back a moment after it was dropped, so whoever closes and opens again in one process
/// may come too early. Other processes are kept out by the data directory's lock before they come here.
fn open_when_unlocked(path: &Path) -> Result<sled::Db, CatalogError> {
    for _ in 0..LOCK_TRIES {
        match open_guarded(path) {
            Err(error) if is_locked(&error) => std::thread::park_timeout(LOCK_PAUSE),
            opened => return opened,
        }
    }
    open_guarded(path)
}

fn is_locked(error: &CatalogError) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn snapshots(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let files = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    let is_snapshot = |file: &PathBuf| {
        file.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("snap."))
    };
    Ok(files.into_iter().map(|entry| entry.path()).filter(is_snapshot).collect())
}

fn remove_unfinished_snapshots(path: &Path) -> io::Result<()> {
    let unfinished = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "generating");
    snapshots(path)?.into_iter().filter(unfinished).try_for_each(fs::remove_file)
}

/// Renames snapshots so that sled replays its whole log; tells whether there were any.
fn set_snapshots_aside(path: &Path) -> io::Result<bool> {
    let found = snapshots(path)?;
    for file in &found {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        fs::rename(file, file.with_file_name(format!("damaged-{name}")))?;
    }
    Ok(!found.is_empty())
}

/// Syncs what sled does not: its files, its directory, and the directory above. Returns the handle to sync with.
fn sync_files(path: &Path) -> io::Result<fs::File> {
    fs::File::open(path.join("conf"))?.sync_all()?;
    let file = fs::OpenOptions::new().read(true).write(true).open(path.join("db"))?;
    file.sync_all()?;
    fs::File::open(path)?.sync_all()?;
    if let Some(parent) = path.parent() {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(file)
}

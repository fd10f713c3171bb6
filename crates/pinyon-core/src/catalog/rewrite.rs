//! Stores keep what was removed in pages that they have not used again. So a store that is to forget is copied into a new one, which
//! takes its place.

use super::{
    raw::open_raw,
    store::{CatalogError, CatalogKind, Change, Entry},
};
use pinyon_storage::io::SharedIo;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Values in one commit of the copy.
const VALUES_PER_COMMIT: usize = 64;

const REMOVE_TRIES: u32 = 50;
const REMOVE_PAUSE: Duration = Duration::from_millis(20);

/// The copy while it is made, and the store while the copy takes its place.
fn copy_and_old(path: &Path) -> [PathBuf; 2] {
    ["copy", "old"].map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        PathBuf::from(name)
    })
}

/// After a crash: puts the store back that a copy was to take the place of, and removes what is left over.
pub(super) fn end_copying(io: &SharedIo, dir: &Path, kind: CatalogKind) -> Result<(), CatalogError> {
    let path = dir.join(kind.file_name());
    let [copy, old] = copy_and_old(&path);
    let ended = || {
        if io.exists(&old)? && !io.exists(&path)? {
            io.rename(&old, &path)?;
            io.sync_dir(dir)?;
        }
        [&copy, &old].into_iter().try_for_each(|leftover| remove(io, leftover))
    };
    ended().map_err(|error| failed(&path, &error))
}

/// Makes a copy of the store with these entries durable, beside it.
///
/// # Errors
/// The store is as it was.
pub(super) fn copy(
    io: &SharedIo,
    path: &Path,
    kind: CatalogKind,
    entries: Vec<Entry>,
) -> Result<(), CatalogError> {
    let [copy, old] = copy_and_old(path);
    // What an earlier one left.
    let removed = remove(io, &copy).and_then(|()| remove(io, &old)).map_err(|error| failed(path, &error));
    if let Err(error) = removed.and_then(|()| fill(io, &copy, kind, entries)) {
        let _ = remove(io, &copy);
        return Err(error);
    }
    Ok(())
}

/// Puts the copy in the place of the store, which is closed.
///
/// # Errors
/// Nobody knows which of the two a power cut leaves: what is written to either may be lost.
pub(super) fn put_in_place(io: &SharedIo, path: &Path) -> Result<(), CatalogError> {
    let [copy, old] = copy_and_old(path);
    let placed = || {
        io.rename(path, &old)?;
        io.rename(&copy, path)?;
        io.sync_dir(path.parent().unwrap_or(path))
    };
    placed().map_err(|error| failed(path, &error))
}

/// Removes the store that a copy took the place of.
///
/// # Errors
/// Some of it may be there; the next copy or start removes it.
pub(super) fn remove_old(io: &SharedIo, path: &Path) -> Result<(), CatalogError> {
    let [_, old] = copy_and_old(path);
    let removed = remove(io, &old).and_then(|()| io.sync_dir(path.parent().unwrap_or(path)));
    removed.map_err(|error| failed(path, &error))
}

fn fill(io: &SharedIo, path: &Path, kind: CatalogKind, entries: Vec<Entry>) -> Result<(), CatalogError> {
    let mut store = open_raw(io, kind, path)?;
    let changes: Vec<Change> =
        entries.into_iter().map(|(key, value)| Change { key, value: Some(value) }).collect();
    changes.chunks(VALUES_PER_COMMIT).try_for_each(|changes| store.commit(changes))
}

/// A store that was closed may put another file into its directory a moment later.
fn remove(io: &SharedIo, path: &Path) -> io::Result<()> {
    for _ in 0..REMOVE_TRIES {
        match remove_once(io, path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                std::thread::park_timeout(REMOVE_PAUSE);
            }
            removed => return removed,
        }
    }
    remove_once(io, path)
}

fn remove_once(io: &SharedIo, path: &Path) -> io::Result<()> {
    if io.is_dir(path)? {
        io.remove_tree(path)
    } else if io.exists(path)? {
        io.remove(path)
    } else {
        Ok(())
    }
}

fn failed(path: &Path, error: &io::Error) -> CatalogError {
    CatalogError::Store { path: path.to_owned(), problem: error.to_string() }
}

//! Every file operation there is. Nothing else in the product opens a file (sled's and redb's own excepted), so that a
//! test can make any of them fail and produce the disk that any crash would leave behind.

mod access;
mod aside;
mod descriptors;
#[cfg(any(test, feature = "testing"))]
mod fault;
mod holders;
mod memory;
mod pieces;
mod real;
mod residency;
mod sealed;
mod shortened;

pub use access::{FileAccess, limit_new_files, tighten_dir};
pub(crate) use aside::aside_path;
pub use aside::{is_aside, set_aside};
pub use descriptors::descriptors_left;
#[cfg(any(test, feature = "testing"))]
pub use fault::{Fault, FaultDisk, FaultKind, Keep};
pub use holders::{lock_holder, port_holder};
pub use memory::MemoryIo;
pub(crate) use pieces::PieceReader;
pub use pieces::{Stamp, Through};
pub use real::{RealIo, system_code};
pub use residency::{anonymous_resident_bytes, mapped_resident_bytes};
pub use sealed::SealedBytes;
pub use shortened::name_shortened_files;

use std::{
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file system, shared by everything that uses it.
pub type SharedIo = Arc<dyn Io>;

/// A file system.
pub trait Io: Debug + Send + Sync {
    /// Makes a new file for reading and writing. Its name is durable only after [`Io::sync_dir`].
    ///
    /// # Errors
    /// The file exists, or the system's.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// As [`Io::create`], for a secret: a file that only its owner may read, where files have owners.
    ///
    /// # Errors
    /// As [`Io::create`].
    fn create_private(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.create(path)
    }

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens a file for reading alone. Whoever reads the disk itself reads with [`PieceReader`].
    ///
    /// # Errors
    /// The system's.
    fn open_to_read(&self, path: &Path, _through: Through) -> io::Result<Box<dyn File>> {
        self.open(path)
    }

    /// Reads a whole file into memory. Whoever does not trust the file asks [`Io::len`] first.
    ///
    /// # Errors
    /// The system's.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Makes a file's bytes readable in place. Only for files that are never written again.
    ///
    /// # Errors
    /// The system's.
    fn map(&self, path: &Path) -> io::Result<SealedBytes>;

    /// A file's length in bytes.
    ///
    /// # Errors
    /// The system's.
    fn len(&self, path: &Path) -> io::Result<u64>;

    /// What tells whether a file was changed since.
    ///
    /// # Errors
    /// The system's.
    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        Ok(Stamp { bytes: self.len(path)?, changed_ns: 0, inode: 0 })
    }

    /// The names of the files in a directory, sorted; directories are left out.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes a directory and those above it, durably.
    ///
    /// # Errors
    /// The system's.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// The names of the directories in a directory, sorted.
    ///
    /// # Errors
    /// The system's.
    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Renames a file, in the place of another perhaps, or a directory with all that is in it to a name that is free. Durable only after
    /// [`Io::sync_dir`] of the directory that has the new name.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable only after [`Io::sync_dir`].
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with everything in it, if it is there. A crash may leave any part of it, all of it too until
    /// [`Io::sync_dir`] of the directory above.
    ///
    /// # Errors
    /// The system's; a part of it may be gone.
    fn remove_tree(&self, dir: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in a directory durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Whether a file or directory exists.
    ///
    /// # Errors
    /// The system's.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Whether a directory of this name exists.
    ///
    /// # Errors
    /// The system's.
    fn is_dir(&self, path: &Path) -> io::Result<bool>;

    /// Takes an exclusive lock on a file, which is made if need be. The lock ends with the guard or the process.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when somebody else holds it; otherwise the system's.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>>;

    /// Takes the lock on a file that is there, for a look: changes nothing, and does not say who holds it.
    ///
    /// # Errors
    /// As [`Io::lock`].
    fn lock_to_look(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        self.len(path)?;
        self.lock(path)
    }

    /// How much room there is where a directory lies; `None` where nobody knows.
    fn room(&self, _dir: &Path) -> Option<Room> {
        None
    }
}

/// Whether a failure is one of a disk, or of somebody's share of it, that has no room.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The room of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// All of it.
    pub total: u64,
    /// What this process may still fill.
    pub free: u64,
}

/// An open file. Positions are explicit, so that a file can be shared.
pub trait File: Debug + Send + Sync {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// The system's; some of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Reserves space for `length` bytes in all, which read as zeros until written; afterwards a write within them does
    /// not fail for lack of space.
    ///
    /// # Errors
    /// The system's, [`io::ErrorKind::StorageFull`] above all; the file is as it was.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Cuts the file or extends it with zeros.
    ///
    /// # Errors
    /// The system's.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// The file's length.
    ///
    /// # Errors
    /// The system's.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// The system's.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Makes the file's bytes and length durable.
    ///
    /// # Errors
    /// The system's. Bytes written since the last success may be lost, and trying again proves nothing.
    fn sync_data(&self) -> io::Result<()>;
}

/// Holds a lock until it is dropped.
pub trait LockGuard: Debug + Send + Sync {}

/// Where a file is written until it is whole; what a crash leaves under such a name is garbage.
pub fn unfinished_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// The directory that holds a file's name.
pub(crate) fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Replaces a file as a whole: after a crash there is the old one or the new one. Durable when it returns.
///
/// # Errors
/// The system's; the old file is still there, unless only the last sync failed: then either may be.
pub fn write_file_atomically(io: &dyn Io, path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_pieces_atomically(io, path, &mut std::iter::once(bytes.to_vec()))
}

/// As [`write_file_atomically`], for a secret: only the owner may read the file, at no time anybody else.
///
/// # Errors
/// As [`write_file_atomically`].
pub fn write_private_file_atomically(io: &dyn Io, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = free_unfinished_path(io, path)?;
    let file = io.create_private(&unfinished)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    put_in_place(io, &unfinished, path)
}

/// As [`write_file_atomically`], for a file that is made piece by piece.
///
/// # Errors
/// As [`write_file_atomically`].
pub fn write_pieces_atomically(
    io: &dyn Io,
    path: &Path,
    pieces: &mut dyn Iterator<Item = Vec<u8>>,
) -> io::Result<()> {
    let unfinished = free_unfinished_path(io, path)?;
    let file = io.create(&unfinished)?;
    let mut offset = 0;
    for piece in pieces {
        file.write_at(&piece, offset)?;
        offset += piece.len() as u64;
    }
    file.sync_data()?;
    put_in_place(io, &unfinished, path)
}

/// [`unfinished_path`], with what a crash left there removed.
pub(crate) fn free_unfinished_path(io: &dyn Io, path: &Path) -> io::Result<PathBuf> {
    let unfinished = unfinished_path(path);
    if io.exists(&unfinished)? {
        io.remove(&unfinished)?;
    }
    Ok(unfinished)
}

/// Puts a durable file in the place of another, durably.
pub(crate) fn put_in_place(io: &dyn Io, unfinished: &Path, path: &Path) -> io::Result<()> {
    io.rename(unfinished, path)?;
    io.sync_dir(dir_of(path))
}

#[cfg(test)]
mod tests;

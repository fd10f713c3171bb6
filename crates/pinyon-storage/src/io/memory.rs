//! A file system in memory, for tests and for an engine that must leave no trace.

use super::{File, Io, LockGuard, Room, SealedBytes};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A file's bytes, shared by whoever has it open.
type Contents = Arc<Mutex<Vec<u8>>>;

/// A file system in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryIo {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Contents>,
    dirs: BTreeSet<PathBuf>,
    locked: BTreeSet<PathBuf>,
    /// Bytes that all files may have together, if there is a limit.
    bytes_max: Option<u64>,
}

impl State {
    fn bytes(&self) -> u64 {
        self.files.values().map(|contents| lock(contents).len() as u64).sum()
    }

    /// Gives a directory another name, and so all that is in it.
    fn rename_dir(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if self.files.contains_key(to) || self.dirs.contains(to) {
            return Err(error(io::ErrorKind::AlreadyExists, to));
        }
        let files = std::mem::take(&mut self.files);
        self.files = files.into_iter().map(|(path, contents)| (moved(&path, from, to), contents)).collect();
        self.dirs = self.dirs.iter().map(|path| moved(path, from, to)).collect();
        Ok(())
    }
}

/// An open file, and the file system that has to have room for it.
#[derive(Debug)]
struct MemoryFile {
    contents: Contents,
    of: MemoryIo,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The path that a path is after a rename of itself or of a directory above it.
pub(super) fn moved(path: &Path, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        Ok(inner) if inner.as_os_str().is_empty() => to.to_owned(),
        Ok(inner) => to.join(inner),
        Err(_) => path.to_owned(),
    }
}

fn error(kind: io::ErrorKind, path: &Path) -> io::Error {
    io::Error::new(kind, format!("{}: {kind}", path.display()))
}

impl MemoryIo {
    /// An empty file system.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty file system that holds so many bytes.
    pub fn holding(bytes_max: u64) -> Self {
        let io = Self::default();
        lock(&io.state).bytes_max = Some(bytes_max);
        io
    }

    fn file(&self, contents: Contents) -> Box<dyn File> {
        Box::new(MemoryFile { contents, of: self.clone() })
    }

    /// Makes sure that a file may grow to a length.
    fn check_room(&self, contents: &Contents, length: usize) -> io::Result<()> {
        let state = lock(&self.state);
        let Some(bytes_max) = state.bytes_max else { return Ok(()) };
        let before = lock(contents).len();
        let grows = length.saturating_sub(before) as u64;
        let fits = grows == 0 || state.bytes() + grows <= bytes_max;
        if fits { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    /// Puts a file there, in place of what was there.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = lock(&self.state);
        state.dirs.extend(path.ancestors().skip(1).map(Path::to_owned));
        state.files.insert(path.to_owned(), Arc::new(Mutex::new(bytes)));
    }

    /// Puts a directory there, with those above it.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn put_dir(&self, dir: &Path) {
        lock(&self.state).dirs.extend(dir.ancestors().map(Path::to_owned));
    }

    fn contents(&self, path: &Path) -> io::Result<Contents> {
        let state = lock(&self.state);
        state.files.get(path).cloned().ok_or_else(|| error(io::ErrorKind::NotFound, path))
    }
}

impl Io for MemoryIo {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = lock(&self.state);
        if state.files.contains_key(path) {
            return Err(error(io::ErrorKind::AlreadyExists, path));
        }
        if !path.parent().is_some_and(|dir| state.dirs.contains(dir)) {
            return Err(error(io::ErrorKind::NotFound, path));
        }
        let contents = Contents::default();
        state.files.insert(path.to_owned(), Arc::clone(&contents));
        drop(state);
        Ok(self.file(contents))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(self.file(self.contents(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(lock(&*self.contents(path)?).clone())
    }

    fn map(&self, path: &Path) -> io::Result<SealedBytes> {
        Ok(SealedBytes::copy(&lock(&*self.contents(path)?)))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(lock(&*self.contents(path)?).len() as u64)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = lock(&self.state);
        if !state.dirs.contains(dir) {
            return Err(error(io::ErrorKind::NotFound, dir));
        }
        let inside = state.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = lock(&self.state);
        if !state.dirs.contains(dir) {
            return Err(error(io::ErrorKind::NotFound, dir));
        }
        let inside = state.dirs.iter().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        lock(&self.state).dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        if !to.parent().is_some_and(|dir| state.dirs.contains(dir)) {
            return Err(error(io::ErrorKind::NotFound, to));
        }
        if state.dirs.contains(from) {
            return state.rename_dir(from, to);
        }
        let contents = state.files.remove(from).ok_or_else(|| error(io::ErrorKind::NotFound, from))?;
        state.files.insert(to.to_owned(), contents);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = lock(&self.state).files.remove(path);
        removed.map(|_| ()).ok_or_else(|| error(io::ErrorKind::NotFound, path))
    }

    fn remove_tree(&self, dir: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        if state.files.contains_key(dir) {
            return Err(error(io::ErrorKind::NotADirectory, dir));
        }
        state.files.retain(|path, _| !path.starts_with(dir));
        state.dirs.retain(|path| !path.starts_with(dir));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let known = lock(&self.state).dirs.contains(dir);
        if known { Ok(()) } else { Err(error(io::ErrorKind::NotFound, dir)) }
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = lock(&self.state);
        Ok(state.files.contains_key(path) || state.dirs.contains(path))
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        Ok(lock(&self.state).dirs.contains(path))
    }

    fn room(&self, _dir: &Path) -> Option<Room> {
        let state = lock(&self.state);
        let total = state.bytes_max?;
        Some(Room { total, free: total.saturating_sub(state.bytes()) })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let mut state = lock(&self.state);
        if !path.parent().is_some_and(|dir| state.dirs.contains(dir)) {
            return Err(error(io::ErrorKind::NotFound, path));
        }
        state.files.entry(path.to_owned()).or_default();
        if !state.locked.insert(path.to_owned()) {
            return Err(error(io::ErrorKind::WouldBlock, path));
        }
        Ok(Box::new(MemoryLock { io: self.clone(), path: path.to_owned() }))
    }
}

#[derive(Debug)]
struct MemoryLock {
    io: MemoryIo,
    path: PathBuf,
}

impl LockGuard for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        lock(&self.io.state).locked.remove(&self.path);
    }
}

impl File for MemoryFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(bytes.len());
        self.of.check_room(&self.contents, end)?;
        write_into(&mut lock(&self.contents), bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let contents = lock(&self.contents);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
        let there = contents.get(start..).unwrap_or_default();
        let length = there.len().min(buffer.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..length), there.get(..length)) {
            target.copy_from_slice(source);
        }
        Ok(length)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let length = length.max(self.len()?);
        self.set_len(length)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.of.check_room(&self.contents, length)?;
        lock(&self.contents).resize(length, 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.contents).len() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes into a growing vector, filling a gap with zeros.
pub(super) fn write_into(contents: &mut Vec<u8>, bytes: &[u8], offset: u64) -> io::Result<()> {
    let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let end = start.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
    if contents.len() < end {
        contents.resize(end, 0);
    }
    if let Some(target) = contents.get_mut(start..end) {
        target.copy_from_slice(bytes);
    }
    Ok(())
}

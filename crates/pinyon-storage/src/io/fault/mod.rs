//! The fault disk: a file system in memory that can fail any call, and that remembers what was made durable, so that
//! it can show every disk a power loss could leave. Only for tests.
//!
//! What it assumes of a disk: bytes written to a file are durable after a successful `sync_data` of it; a creation,
//! rename or removal after a `sync_dir` of its directory (of a rename into another directory, of that one); a made directory at once, with
//! what was done in the directory above before. What was not made durable survives
//! a crash or not, each write for itself (down to sectors of 512 bytes), directory changes in their order. After a
//! failed `sync_data` the bytes written before it may be gone, and no later sync brings them back (Rebello et al.,
//! "Can Applications Recover from fsync Failures?", ATC 2020).

mod file;
mod journal;

use super::{File, Io, LockGuard, MemoryIo, SealedBytes, memory::moved, real::naming};
use file::FaultFile;
use journal::{Contents, Entry, Operation, ROOT};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a failing call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Fails as a broken disk does (EIO).
    Broken,
    /// Fails as a full disk does (ENOSPC).
    Full,
    /// A write puts half of its bytes down and then fails, and of a tree half is removed; other calls fail as broken.
    Short,
}

/// Which call fails, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Number of the failing call, from 0.
    pub call: u64,
    /// How it fails.
    pub kind: FaultKind,
    /// Whether all calls after it fail too.
    pub lasting: bool,
}

/// What survives a crash of all that was not made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// Each write by a coin; of a directory's changes a random first part.
    Random {
        /// Of the coin.
        seed: u64,
    },
    /// Each sector of 512 bytes by a coin; of a directory's changes a random first part.
    Torn {
        /// Of the coin.
        seed: u64,
    },
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    fault: Option<Fault>,
    /// Of every file and directory but the root.
    inodes: BTreeMap<PathBuf, u64>,
    last_inode: u64,
    /// What was durable at the start.
    base: Contents,
    journal: Vec<Operation>,
}

/// The fault disk. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct FaultDisk {
    files: MemoryIo,
    state: Arc<Mutex<State>>,
}

impl FaultDisk {
    /// An empty disk that does not fail.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which call fails next; numbers count on from [`Self::calls`].
    pub fn fail(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Calls made so far, failed ones included.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Changes and syncs journalled so far: a crash can come before each of them and after the last.
    pub fn op_count(&self) -> usize {
        self.state().journal.len()
    }

    /// The disk as a crash before operation `at_op` would leave it, with nothing failing and nothing locked.
    pub fn crash_image(&self, at_op: usize, keep: Keep) -> Self {
        let image = Self::new();
        let mut state = image.state();
        state.base = {
            let state = self.state();
            state.base.after_crash(state.journal.get(..at_op).unwrap_or(&state.journal), keep)
        };
        state.last_inode = self.state().last_inode;
        image.files.put_dir(Path::new("/"));
        for (path, inode) in state.base.paths() {
            match state.base.dirs.contains_key(&inode) {
                true => image.files.put_dir(&path),
                false => image.files.put(&path, state.base.bytes.get(&inode).cloned().unwrap_or_default()),
            }
            state.inodes.insert(path, inode);
        }
        drop(state);
        image
    }

    /// Puts a durable file there, as if it had always been.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.state();
        for (at, inode) in state.new_dirs(path.parent().unwrap_or(path)) {
            state.base.dirs.insert(inode, BTreeMap::new());
            state.base.enter(&at, inode);
        }
        let (at, inode) = (state.entry(path), state.new_inode());
        state.inodes.insert(path.to_owned(), inode);
        state.base.enter(&at, inode);
        state.base.bytes.insert(inode, bytes.clone());
        self.files.put(path, bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and says whether and how it fails.
    fn call(&self) -> Option<FaultKind> {
        let mut state = self.state();
        let number = state.calls;
        state.calls += 1;
        let fault = state.fault?;
        let fails = if fault.lasting { number >= fault.call } else { number == fault.call };
        fails.then_some(fault.kind)
    }

    fn check(&self, path: &Path) -> io::Result<()> {
        self.call().map_or(Ok(()), |kind| Err(kind.error(path)))
    }

    fn journal(&self, operation: Operation) {
        self.state().journal.push(operation);
    }
}

impl State {
    const fn new_inode(&mut self) -> u64 {
        self.last_inode += 1;
        self.last_inode
    }

    fn create(&mut self, path: &Path) -> u64 {
        let (at, inode) = (self.entry(path), self.new_inode());
        self.inodes.insert(path.to_owned(), inode);
        self.journal.push(Operation::Create { at, inode });
        inode
    }

    /// Inodes for a directory and those above it that are not there.
    fn new_dirs(&mut self, dir: &Path) -> Vec<(Entry, u64)> {
        let above: Vec<&Path> = dir.ancestors().filter(|path| path.file_name().is_some()).collect();
        let mut made = Vec::new();
        for path in above.into_iter().rev() {
            if !self.inodes.contains_key(path) {
                let (at, inode) = (self.entry(path), self.new_inode());
                self.inodes.insert(path.to_owned(), inode);
                made.push((at, inode));
            }
        }
        made
    }

    fn inode(&self, path: &Path) -> u64 {
        self.inodes.get(path).copied().unwrap_or(ROOT)
    }

    /// Where the name of a path is, whose directory is there.
    fn entry(&self, path: &Path) -> Entry {
        let dir = path.parent().map_or(ROOT, |dir| self.inode(dir));
        Entry { dir, name: path.file_name().unwrap_or(OsStr::new("")).to_owned() }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let operation = Operation::Rename { from: self.entry(from), to: self.entry(to) };
        self.journal.push(operation);
        let renamed: Vec<PathBuf> = self.tree(from);
        for path in renamed {
            if let Some(inode) = self.inodes.remove(&path) {
                self.inodes.insert(moved(&path, from, to), inode);
            }
        }
    }

    fn remove(&mut self, path: &Path) {
        self.journal.push(Operation::Remove { at: self.entry(path) });
        self.inodes.remove(path);
    }

    /// What a directory has in it and then itself, in the order in which it is removed.
    fn tree(&self, dir: &Path) -> Vec<PathBuf> {
        let below = self.inodes.range(dir.to_owned()..).take_while(|(path, _)| path.starts_with(dir));
        let mut tree: Vec<PathBuf> = below.map(|(path, _)| path.clone()).collect();
        tree.reverse();
        tree
    }
}

impl FaultKind {
    /// The error that the system would give of a path.
    fn error(self, path: &Path) -> io::Error {
        let (broken, full) = (5, 28);
        naming(path)(io::Error::from_raw_os_error(if self == Self::Full { full } else { broken }))
    }
}

impl Io for FaultDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.check(path)?;
        let inner = self.files.create(path)?;
        let inode = self.state().create(path);
        Ok(Box::new(FaultFile { disk: self.clone(), path: path.to_owned(), inner, inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.check(path)?;
        let inner = self.files.open(path)?;
        let inode = self.state().inodes.get(path).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(FaultFile { disk: self.clone(), path: path.to_owned(), inner, inode }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.check(path)?;
        self.files.read(path)
    }

    fn map(&self, path: &Path) -> io::Result<SealedBytes> {
        self.check(path)?;
        self.files.map(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.check(path)?;
        Io::len(&self.files, path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.check(dir)?;
        self.files.list(dir)
    }

    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.check(dir)?;
        self.files.list_dirs(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.check(dir)?;
        self.files.create_dir_all(dir)?;
        let mut state = self.state();
        let made = state.new_dirs(dir).into_iter().map(|(at, inode)| Operation::MakeDir { at, inode });
        state.journal.extend(made);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(from)?;
        self.files.rename(from, to)?;
        self.state().rename(from, to);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check(path)?;
        self.files.remove(path)?;
        self.state().remove(path);
        Ok(())
    }

    fn remove_tree(&self, dir: &Path) -> io::Result<()> {
        let fault = self.call();
        let tree = self.state().tree(dir);
        let removed = match fault {
            None => tree.len(),
            Some(FaultKind::Short) => tree.len() / 2,
            Some(_) => 0,
        };
        for path in tree.into_iter().take(removed) {
            match path != dir && !self.files.is_dir(&path)? {
                true => self.files.remove(&path)?,
                false => self.files.remove_tree(&path)?,
            }
            self.state().remove(&path);
        }
        fault.map_or(Ok(()), |kind| Err(kind.error(dir)))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.check(dir)?;
        self.files.sync_dir(dir)?;
        let mut state = self.state();
        let operation = Operation::SyncDir { dir: state.inode(dir) };
        state.journal.push(operation);
        Ok(())
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        self.check(path)?;
        self.files.is_dir(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.check(path)?;
        self.files.exists(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        self.check(path)?;
        let was_there = self.files.exists(path)?;
        let guard = self.files.lock(path)?;
        if !was_there {
            self.state().create(path);
        }
        Ok(guard)
    }
}

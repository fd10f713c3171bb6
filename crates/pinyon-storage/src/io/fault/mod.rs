//! The fault disk: a file system in memory that can fail any call, and that remembers what was made durable, so that
//! it can show every disk a power loss could leave. Only for tests.
//!
//! What it assumes of a disk: bytes written to a file are durable after a successful `sync_data` of it; a creation,
//! rename or removal after a `sync_dir` of its directory; a made directory at once. What was not made durable survives
//! a crash or not, each write for itself (down to sectors of 512 bytes), directory changes in their order. After a
//! failed `sync_data` the bytes written before it may be gone, and no later sync brings them back (Rebello et al.,
//! "Can Applications Recover from fsync Failures?", ATC 2020).

mod file;
mod journal;

use super::{File, Io, LockGuard, MemoryIo, SealedBytes};
use file::FaultFile;
use journal::{Contents, Operation};
use std::{
    collections::BTreeMap,
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
    /// A write puts half of its bytes down and then fails; other calls fail as broken.
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
        let left = {
            let state = self.state();
            state.base.after_crash(state.journal.get(..at_op).unwrap_or(&state.journal), keep)
        };
        let image = Self::new();
        for dir in &left.dirs {
            image.files.put_dir(dir);
            image.state().base.dirs.insert(dir.clone());
        }
        for (path, inode) in &left.names {
            image.put(path, left.bytes.get(inode).cloned().unwrap_or_default());
        }
        image
    }

    /// Puts a durable file there, as if it had always been.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.state();
        let inode = state.new_inode();
        state.inodes.insert(path.to_owned(), inode);
        state.base.dirs.extend(path.ancestors().skip(1).map(Path::to_owned));
        state.base.names.insert(path.to_owned(), inode);
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

    fn check(&self) -> io::Result<()> {
        self.call().map_or(Ok(()), |kind| Err(kind.error()))
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
        let inode = self.new_inode();
        self.inodes.insert(path.to_owned(), inode);
        self.journal.push(Operation::Create { path: path.to_owned(), inode });
        inode
    }
}

impl FaultKind {
    fn error(self) -> io::Error {
        match self {
            Self::Full => io::Error::new(io::ErrorKind::StorageFull, "injected: no space left"),
            Self::Broken | Self::Short => io::Error::other("injected: input/output error"),
        }
    }
}

impl Io for FaultDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.check()?;
        let inner = self.files.create(path)?;
        let inode = self.state().create(path);
        Ok(Box::new(FaultFile { disk: self.clone(), inner, inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.check()?;
        let inner = self.files.open(path)?;
        let inode = self.state().inodes.get(path).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(FaultFile { disk: self.clone(), inner, inode }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.check()?;
        self.files.read(path)
    }

    fn map(&self, path: &Path) -> io::Result<SealedBytes> {
        self.check()?;
        self.files.map(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.check()?;
        Io::len(&self.files, path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.check()?;
        self.files.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.check()?;
        self.files.create_dir_all(dir)?;
        self.journal(Operation::MakeDir { dir: dir.to_owned() });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check()?;
        self.files.rename(from, to)?;
        let mut state = self.state();
        if let Some(inode) = state.inodes.remove(from) {
            state.inodes.insert(to.to_owned(), inode);
        }
        state.journal.push(Operation::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        self.files.remove(path)?;
        self.state().inodes.remove(path);
        self.journal(Operation::Remove { path: path.to_owned() });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.check()?;
        self.files.sync_dir(dir)?;
        self.journal(Operation::SyncDir { dir: dir.to_owned() });
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.check()?;
        self.files.exists(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        self.check()?;
        let was_there = self.files.exists(path)?;
        let guard = self.files.lock(path)?;
        if !was_there {
            self.state().create(path);
        }
        Ok(guard)
    }
}

//! The machine's file system.

use super::{
    File, Io, LockGuard, Room, SealedBytes, Stamp, Through,
    pieces::{BLOCK_BYTES, aligned},
};
use rustix::{
    fs::{FallocateFlags, OFlags},
    io::Errno,
};
use std::{
    fmt, fs, io,
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The machine's file system. Errors name the path.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealIo;

/// Mode of a file, less what the process's mask takes ([`super::limit_new_files`]).
const FILE_MODE: u32 = 0o640;
/// Mode of a directory, less the same.
const DIR_MODE: u32 = 0o750;
/// Mode of a secret's file.
const OWNER_ONLY: u32 = 0o600;

#[derive(Debug)]
struct RealFile {
    file: fs::File,
    path: PathBuf,
}

/// An error of the system with the path that it is about.
#[derive(Debug)]
struct Named {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for Named {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Puts the path into the message, and keeps the kind and the system's number.
pub(super) fn naming(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |source| io::Error::new(source.kind(), Named { path: path.to_owned(), source })
}

/// The system's number of an error, if the system made it.
pub fn system_code(error: &io::Error) -> Option<i32> {
    let named = || error.get_ref()?.downcast_ref::<Named>()?.source.raw_os_error();
    error.raw_os_error().or_else(named)
}

impl RealFile {
    fn boxed(file: fs::File, path: &Path) -> Box<dyn File> {
        Box::new(Self { file, path: path.to_owned() })
    }
}

fn create(path: &Path, mode: u32) -> io::Result<Box<dyn File>> {
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(mode).open(path);
    Ok(RealFile::boxed(file.map_err(naming(path))?, path))
}

impl Io for RealIo {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        create(path, FILE_MODE)
    }

    fn create_private(&self, path: &Path) -> io::Result<Box<dyn File>> {
        // From the first moment on: whoever opened it before a later chmod could go on reading.
        create(path, OWNER_ONLY)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(true).open(path).map_err(naming(path))?;
        Ok(RealFile::boxed(file, path))
    }

    fn open_to_read(&self, path: &Path, through: Through) -> io::Result<Box<dyn File>> {
        let past_cache = || {
            let flags = OFlags::DIRECT.bits().cast_signed();
            let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
            // Some file systems say only now that they have no such way.
            let mut buffer = Vec::new();
            file.read_at(aligned(&mut buffer, BLOCK_BYTES), 0)?;
            Ok(file)
        };
        let file = match through {
            Through::Cache => fs::File::open(path),
            Through::Disk => past_cache().or_else(|error: io::Error| match error.kind() {
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => fs::File::open(path),
                _ => Err(error),
            }),
        };
        Ok(RealFile::boxed(file.map_err(naming(path))?, path))
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        let found = fs::metadata(path).map_err(naming(path))?;
        let changed_ns = i128::from(found.ctime()) * 1_000_000_000 + i128::from(found.ctime_nsec());
        Ok(Stamp { bytes: found.len(), changed_ns, inode: found.ino() })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path).map_err(naming(path))
    }

    fn map(&self, path: &Path) -> io::Result<SealedBytes> {
        let file = fs::File::open(path).map_err(naming(path))?;
        SealedBytes::map(&file, path).map_err(naming(path))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path).map_err(naming(path))?.len())
    }

    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(naming(dir))? {
            let entry = entry.map_err(naming(dir))?;
            if entry.file_type().map_err(naming(dir))?.is_dir() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(naming(dir))? {
            let entry = entry.map_err(naming(dir))?;
            let kind = entry.file_type().map_err(naming(dir))?;
            // A link to a file is one: a copy that only looks has links to what is never written.
            if kind.is_file() || (kind.is_symlink() && entry.path().is_file()) {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            self.create_dir_all(parent)?;
        }
        match fs::DirBuilder::new().mode(DIR_MODE).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(naming(dir)(error)),
            _ => {}
        }
        self.sync_dir(parent.unwrap_or_else(|| Path::new(".")))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to).map_err(naming(from))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path).map_err(naming(path))
    }

    fn remove_tree(&self, dir: &Path) -> io::Result<()> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(naming(dir)),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(naming(dir))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists().map_err(naming(path))
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        match fs::metadata(path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(false)
            }
            found => Ok(found.map_err(naming(path))?.is_dir()),
        }
    }

    fn room(&self, dir: &Path) -> Option<Room> {
        let found = rustix::fs::statvfs(dir).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Some(Room { total: bytes(found.f_blocks), free: bytes(found.f_bavail) })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        let file = options.open(path).map_err(naming(path))?;
        match file.try_lock() {
            Ok(()) => {
                // For whoever finds it locked. The lock holds without it, also on a full disk.
                let pid = format!("{}\n", std::process::id());
                let _ = file.set_len(0).and_then(|()| file.write_all_at(pid.as_bytes(), 0));
                Ok(Box::new(RealLock { _file: file }))
            }
            Err(fs::TryLockError::WouldBlock) => {
                let problem = format!("{}: another process holds the lock", path.display());
                Err(io::Error::new(io::ErrorKind::WouldBlock, problem))
            }
            Err(fs::TryLockError::Error(error)) => Err(naming(path)(error)),
        }
    }

    fn lock_to_look(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let file = fs::OpenOptions::new().read(true).open(path).map_err(naming(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealLock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::WouldBlock, format!("{}: is locked", path.display())))
            }
            Err(fs::TryLockError::Error(error)) => Err(naming(path)(error)),
        }
    }
}

/// The kernel gives the lock back when the file is closed.
#[derive(Debug)]
struct RealLock {
    _file: fs::File,
}

impl LockGuard for RealLock {}

impl File for RealFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset).map_err(naming(&self.path))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(naming(&self.path)(error)),
            }
        }
        Ok(filled)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        loop {
            match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, length) {
                Err(Errno::INTR) => {}
                // Some file systems cannot reserve. Then a write may fail for lack of space, which is handled too.
                Err(Errno::NOSYS | Errno::OPNOTSUPP) => return self.set_len(length.max(self.len()?)),
                reserved => return reserved.map_err(|error| naming(&self.path)(error.into())),
            }
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length).map_err(naming(&self.path))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata().map_err(naming(&self.path))?.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().map_err(naming(&self.path))
    }
}

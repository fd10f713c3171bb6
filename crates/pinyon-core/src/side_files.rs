//! Small files that lie beside the engine's data and mean nothing to it, like a server's keys. Through the same door as
//! everything else that touches the disk: whoever stands above the engine has no other.

use crate::{EngineError, ErrorCode, environment::system_io};
use pinyon_embed::Pause;
use pinyon_storage::io::{
    FileAccess, LockGuard, SharedIo, tighten_dir, write_file_atomically, write_private_file_atomically,
};
use std::{path::Path, time::Duration};

/// Largest file that is read: certificates with their chains have a few KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How long a lock on a side file is waited for: its holder writes two small files.
const LOCK_TRIES: u32 = 250;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Whoever may read the data's other files.
    All,
    /// The owner only.
    Owner,
}

/// Reads a small file of the machine; `None` if there is none.
///
/// # Errors
/// A file of more than a MiB, or the system's.
pub fn read_side_file(path: &Path) -> Result<Option<Vec<u8>>, EngineError> {
    read_on(&system_io(), path)
}

/// Reads a small file of a file system; `None` if there is none.
///
/// # Errors
/// As [`read_side_file`].
pub(crate) fn read_on(io: &SharedIo, path: &Path) -> Result<Option<Vec<u8>>, EngineError> {
    let failed = |error: std::io::Error| EngineError::new(ErrorCode::Internal, error.to_string());
    if !io.exists(path).map_err(failed)? {
        return Ok(None);
    }
    let length = io.len(path).map_err(failed)?;
    if length > FILE_BYTES_MAX {
        let message = format!("{}: has {length} bytes, at most {FILE_BYTES_MAX} are read", path.display());
        return Err(EngineError::new(ErrorCode::InvalidArgument, message));
    }
    io.read(path).map(Some).map_err(failed)
}

/// Writes a small file as a whole, in place of the old one; its directory is made if need be. Durable when it returns.
///
/// # Errors
/// The system's.
pub fn write_side_file(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), EngineError> {
    write_on(&system_io(), path, bytes, readers)
}

/// Writes a small file of a file system, as [`write_side_file`] does.
///
/// # Errors
/// The system's.
pub(crate) fn write_on(
    io: &SharedIo,
    path: &Path,
    bytes: &[u8],
    readers: Readers,
) -> Result<(), EngineError> {
    let dir = path.parent().unwrap_or(path);
    io.create_dir_all(dir).map_err(|error| EngineError::io(dir, &error))?;
    let written = match readers {
        Readers::All => write_file_atomically(&**io, path, bytes),
        Readers::Owner => write_private_file_atomically(&**io, path, bytes),
    };
    written.map_err(|error| EngineError::io(path, &error))
}

/// Holds a lock on a side file until it is dropped.
#[derive(Debug)]
pub struct SideFileLock(#[allow(dead_code)] Box<dyn LockGuard>); // held, never read

/// Takes an exclusive lock on a file, which is made with its directory if need be. Waits up to five seconds, in many pauses, for
/// who holds it.
///
/// # Errors
/// Somebody held it all that time, or the system's.
pub fn lock_side_file(path: &Path, pause: &dyn Pause) -> Result<SideFileLock, EngineError> {
    let (io, dir) = (system_io(), path.parent().unwrap_or(path));
    io.create_dir_all(dir).map_err(|error| EngineError::io(dir, &error))?;
    let mut tries = 0;
    loop {
        match io.lock(path) {
            Ok(guard) => return Ok(SideFileLock(guard)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && tries < LOCK_TRIES => {
                tries += 1;
                pause.pause(LOCK_PAUSE);
            }
            Err(error) => return Err(EngineError::io(path, &error)),
        }
    }
}

/// Takes from a data directory that is there what nobody but its owner, or his group, should have. Failing is said in the log
/// and nothing else: the directory may be somebody else's who knows what he does.
pub fn tighten_data_dir(dir: &Path, access: FileAccess) {
    match tighten_dir(dir, access) {
        Ok(false) => {}
        Ok(true) => tracing::info!(dir = %dir.display(), "data directory closed to other users"),
        Err(error) => {
            tracing::warn!(dir = %dir.display(), error = %error, "data directory is open to other users");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_embed::ThreadPause;

    #[test]
    fn files_are_written_whole_and_large_ones_not_read() {
        let dir = std::env::temp_dir().join(format!("pinyon-side-{}", std::process::id()));
        let path = dir.join("deep/key");
        assert_eq!(read_side_file(&path).unwrap(), None);
        write_side_file(&path, b"first", Readers::All).unwrap();
        write_side_file(&path, b"second", Readers::Owner).unwrap();
        assert_eq!(read_side_file(&path).unwrap().unwrap(), b"second");
        write_side_file(&path, &vec![0; 2 << 20], Readers::All).unwrap();
        assert!(read_side_file(&path).unwrap_err().message.contains("at most"));
        assert!(read_side_file(&dir).is_err(), "a directory is no file");
        let held = lock_side_file(&dir.join("new/lock"), &ThreadPause).unwrap();
        assert!(system_io().lock(&dir.join("new/lock")).is_err());
        drop(held);
        lock_side_file(&dir.join("new/lock"), &ThreadPause).unwrap();
        system_io().remove_tree(&dir).unwrap();
    }
}

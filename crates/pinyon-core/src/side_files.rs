//! Small files that lie beside the engine's data and mean nothing to it, like a server's keys. Through the same door as
//! everything else that touches the disk: whoever stands above the engine has no other.

use crate::{EngineError, ErrorCode};
use pinyon_storage::io::{Io, RealIo, write_file_atomically, write_private_file_atomically};
use std::path::Path;

/// Largest file that is read: certificates with their chains have a few KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Whoever may read the directory.
    All,
    /// The owner only.
    Owner,
}

/// Reads a small file; `None` if there is none.
///
/// # Errors
/// A file of more than a MiB, or the system's.
pub fn read_side_file(path: &Path) -> Result<Option<Vec<u8>>, EngineError> {
    let failed = |error: std::io::Error| EngineError::new(ErrorCode::Internal, error.to_string());
    if !RealIo.exists(path).map_err(failed)? {
        return Ok(None);
    }
    let length = RealIo.len(path).map_err(failed)?;
    if length > FILE_BYTES_MAX {
        let message = format!("{}: has {length} bytes, at most {FILE_BYTES_MAX} are read", path.display());
        return Err(EngineError::new(ErrorCode::InvalidArgument, message));
    }
    RealIo.read(path).map(Some).map_err(failed)
}

/// Writes a small file as a whole, in place of the old one; its directory is made if need be. Durable when it returns.
///
/// # Errors
/// The system's.
pub fn write_side_file(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), EngineError> {
    let dir = path.parent().unwrap_or(path);
    RealIo.create_dir_all(dir).map_err(|error| EngineError::io(dir, &error))?;
    let written = match readers {
        Readers::All => write_file_atomically(&RealIo, path, bytes),
        Readers::Owner => write_private_file_atomically(&RealIo, path, bytes),
    };
    written.map_err(|error| EngineError::io(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        crate::catalog::remove_tree(&dir).unwrap();
    }
}

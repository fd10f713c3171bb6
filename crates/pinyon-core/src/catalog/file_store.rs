//! The catalog in one file of the engine's own file system, so that a whole engine runs on the fault disk. Only for tests: every commit
//! writes everything.
//!
//! A directory with the file `entries` and a lock. File: magic "PNYCTF\0\0"; number of entries u32; for each, length of the key u32, of
//! the value u32, key, value; CRC-32C u32 of all before. A commit writes it beside the old one and renames it into its place.

use super::store::{CatalogError, CatalogStore, Change, Entry};
use pinyon_storage::{
    bytes::{BytesError, Reader},
    io::{LockGuard, SharedIo, write_file_atomically},
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

const MAGIC: &[u8; 8] = b"PNYCTF\0\0";
const CHECKSUM_BYTES: usize = 4;

/// A store that is one file.
#[derive(Debug)]
pub(super) struct FileStore {
    io: SharedIo,
    path: PathBuf,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    _lock: Box<dyn LockGuard>,
}

impl FileStore {
    /// Opens the store whose directory this is, or begins one there.
    ///
    /// # Errors
    /// Another one has it open, a file that is damaged, the system's.
    pub(super) fn open(io: &SharedIo, path: &Path) -> Result<Self, CatalogError> {
        let failed =
            |error: io::Error| CatalogError::Store { path: path.to_owned(), problem: error.to_string() };
        io.create_dir_all(path).map_err(failed)?;
        let lock = io.lock(&path.join("LOCK")).map_err(failed)?;
        let file = entries_file(path);
        let entries = match io.exists(&file).map_err(failed)? {
            true => decode(&io.read(&file).map_err(failed)?),
            false => Ok(BTreeMap::new()),
        };
        let entries = entries.map_err(|problem| CatalogError::Damaged { path: file, problem })?;
        Ok(Self { io: io.clone(), path: path.to_owned(), entries, _lock: lock })
    }
}

impl CatalogStore for FileStore {
    fn load_all(&mut self) -> Result<Vec<Entry>, CatalogError> {
        Ok(self.entries.clone().into_iter().collect())
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), CatalogError> {
        let mut entries = self.entries.clone();
        for Change { key, value } in changes.iter().cloned() {
            match value {
                Some(value) => drop(entries.insert(key, value)),
                None => drop(entries.remove(&key)),
            }
        }
        let file = entries_file(&self.path);
        let written = write_file_atomically(&*self.io, &file, &encode(&entries));
        written.map_err(|error| CatalogError::Store { path: file, problem: error.to_string() })?;
        self.entries = entries;
        Ok(())
    }
}

fn entries_file(path: &Path) -> PathBuf {
    path.join("entries")
}

fn encode(entries: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    for (key, value) in entries {
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
    }
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, String> {
    let (body, checksum) =
        bytes.split_at_checked(bytes.len().saturating_sub(CHECKSUM_BYTES)).unwrap_or_default();
    if checksum != crc32c::crc32c(body).to_le_bytes() {
        return Err("does not fit its checksum".into());
    }
    decode_body(body).map_err(|error| error.to_string())
}

fn decode_body(body: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, BytesError> {
    let mut reader = Reader::new(body);
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(BytesError { offset: 0, expected: "the magic of a catalog's file" });
    }
    let mut entries = BTreeMap::new();
    for _ in 0..reader.u32()? {
        let (key, value) = (reader.u32()? as usize, reader.u32()? as usize);
        entries.insert(reader.take(key)?.to_vec(), reader.take(value)?.to_vec());
    }
    reader.finish()?;
    Ok(entries)
}

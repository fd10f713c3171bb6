//! The manifest: which files make up a shard. Small, replaced as a whole, so that there is always one that is valid.
//!
//! File `MANIFEST`: 0 magic "PNYMAN\0\0", 8 version u32, 12 body length u32, 16 CRC-32C u32 of bytes 0..16 and the
//! body, 20 body.

mod codec;
#[cfg(test)]
mod tests;

use crate::{
    Owner,
    bytes::{BytesError, Reader},
    io::{Io, write_file_atomically},
};
use codec::BODY_BYTES_MAX;
use pinyon_planted::is_planted;
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

/// The file's name in a shard's directory.
pub const MANIFEST_FILE_NAME: &str = "MANIFEST";

const MAGIC: &[u8; 8] = b"PNYMAN\0\0";
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 20;

/// Which files make up a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Whose it is.
    pub owner: Owner,
    /// What the shard's index is made with; known from version 2 on.
    pub made_with: Option<MadeWith>,
    /// Which of the shard's manifests it is: each that is stored has the next number. One of version 1 has 0.
    pub generation: u64,
    /// Components of a vector.
    pub dim: u32,
    /// The metric, by the caller's numbering.
    pub metric: u8,
    /// Entries up to this log position are in segments.
    pub log_floor: u64,
    /// The number that the next segment gets; greater than that of any segment there is.
    pub next_segment: u64,
    /// The highest routing epoch that was seen.
    pub epoch_seen: u64,
    /// The live segments, oldest first.
    pub segments: Vec<SegmentEntry>,
    /// The log files that must be there.
    pub logs: Vec<LogEntry>,
}

/// What an index is made with, apart from what its shards know of themselves: with it a lost catalog can be made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeWith {
    /// How many shards it has.
    pub shards: u32,
    /// The placement policy's name.
    pub placement: String,
    /// The embedder's id.
    pub embedder: String,
}

/// A log file that belongs to the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEntry {
    /// Its first position.
    pub first_seq: u64,
    /// Whose name stands in it.
    pub owner: Owner,
}

/// A segment file that belongs to the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentEntry {
    /// The segment's number.
    pub id: u64,
    /// The file's length.
    pub bytes: u64,
    /// The checksum that [`crate::segment::SegmentFile::checksum`] must have.
    pub checksum: u32,
    /// Its number of rows.
    pub rows: u32,
    /// Whose name stands in it: the shard's, or none in a file of version 1.
    pub owner: Owner,
}

/// What can go wrong with a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The system failed a file operation.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not what the format demands.
    #[error("{path} is damaged at byte {offset}: expected {expected}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: usize,
        /// What should have been there.
        expected: &'static str,
    },
    /// Another version of the program wrote it.
    #[error("{path} has format version {found}, this program reads up to {expected}", path = .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The latest version that this program reads.
        expected: u32,
    },
    /// It names more files than a manifest can.
    #[error("{path} would name {segments} segments and {logs} logs, which is too many", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Segments it should name.
        segments: usize,
        /// Logs it should name.
        logs: usize,
    },
    /// It names a segment twice, or one whose number was not given yet.
    #[error("{path} cannot name segment {segment}", path = .path.display())]
    Segment {
        /// The file.
        path: PathBuf,
        /// The segment.
        segment: u64,
    },
}

/// Reads the manifest of a directory; nothing if there is none.
///
/// # Errors
/// Any byte that is not as it was written, another version, the system's.
pub fn load(io: &dyn Io, dir: &Path) -> Result<Option<Manifest>, ManifestError> {
    let path = dir.join(MANIFEST_FILE_NAME);
    let failed = |source| ManifestError::Io { path: path.clone(), source };
    if !io.exists(&path).map_err(failed)? {
        return Ok(None);
    }
    if io.len(&path).map_err(failed)? > (HEADER_BYTES + BODY_BYTES_MAX) as u64 {
        return Err(ManifestError::Damaged {
            path,
            offset: HEADER_BYTES,
            expected: "a body within the limit",
        });
    }
    let bytes = io.read(&path).map_err(failed)?;
    let damaged =
        |BytesError { offset, expected }| ManifestError::Damaged { path: path.clone(), offset, expected };
    let (version, body) = unframe(&bytes).map_err(damaged)?;
    let decoded = match version {
        1 => codec::decode_v1(body),
        VERSION => codec::decode(body),
        found => return Err(ManifestError::Version { path, found, expected: VERSION }),
    };
    let manifest =
        decoded.ok_or_else(|| damaged(BytesError { offset: HEADER_BYTES, expected: "a manifest's body" }))?;
    check_segments(&path, &manifest)?;
    Ok(Some(manifest))
}

/// Replaces the manifest of a directory by its next generation. Durable when it returns.
///
/// # Errors
/// Segments that contradict each other, too many of them, the system's; the old manifest still stands, unless only the
/// last sync failed: then a crash decides between the two.
pub fn store(io: &dyn Io, dir: &Path, manifest: &mut Manifest) -> Result<(), ManifestError> {
    let path = dir.join(MANIFEST_FILE_NAME);
    check_segments(&path, manifest)?;
    if manifest.generation == 0 || !is_planted(5) {
        manifest.generation += 1;
    }
    let body = codec::encode(manifest).ok_or_else(|| ManifestError::TooLarge {
        path: path.clone(),
        segments: manifest.segments.len(),
        logs: manifest.logs.len(),
    })?;
    write_file_atomically(io, &path, &frame(&body)).map_err(|source| ManifestError::Io { path, source })
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes), body);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The file that versions before names wrote.
#[cfg(test)]
pub(crate) fn stored_as_v1(manifest: &Manifest) -> Vec<u8> {
    let mut bytes = frame(&codec::encode_v1(manifest));
    bytes[8] = 1;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), &bytes[HEADER_BYTES..]);
    bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Returns version and body of a file whose checksum fits.
fn unframe(bytes: &[u8]) -> Result<(u32, &[u8]), BytesError> {
    let mut reader = Reader::new(bytes);
    if reader.take(8)? != MAGIC {
        return Err(BytesError { offset: 0, expected: "the magic of a manifest" });
    }
    let version = reader.u32()?;
    let body_bytes = reader.u32()? as usize;
    let covered = bytes.get(..reader.offset()).unwrap_or_default();
    let checksum = reader.u32()?;
    let body = reader.take(body_bytes)?;
    reader.finish()?;
    if crc32c::crc32c_append(crc32c::crc32c(covered), body) != checksum {
        return Err(BytesError { offset: 16, expected: "the manifest's checksum" });
    }
    Ok((version, body))
}

fn check_segments(path: &Path, manifest: &Manifest) -> Result<(), ManifestError> {
    let mut seen = BTreeSet::new();
    let bad =
        manifest.segments.iter().find(|entry| entry.id >= manifest.next_segment || !seen.insert(entry.id));
    match bad {
        Some(entry) => Err(ManifestError::Segment { path: path.to_owned(), segment: entry.id }),
        None => Ok(()),
    }
}

//! What is small and rare, in bincode: the settings that data were made with, the descriptions of indexes, jobs: the one file of this crate
//! that names it.

use bincode::{Decode, Encode, config};
use pinyon_types::UniqueId;
use std::collections::BTreeMap;

const LIMIT: usize = 16 << 10;

/// What the data of an index were made with; none of it may change without moving or embedding everything again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StoredSettings {
    /// Number of shards.
    pub shards: u32,
    /// Components of every vector.
    pub dimension: u32,
    /// The metric's name.
    pub metric: String,
    /// The placement policy's name.
    pub placement: String,
    /// The embedder's id: recipe, version, dimension.
    pub embedder: String,
}

/// An index as the registry keeps it. Its name in its files follows if it has one (16 bytes), then a scan factor of its own (f64) if it
/// has one: so an index without either is what versions before there were any wrote.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StoredIndex {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) dimension: u32,
    pub(crate) metric: String,
    pub(crate) port: u16,
    pub(crate) is_protected: bool,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) attributes: String,
}

/// Something that takes a while and goes on after a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Job {
    /// What it does. One that this version does not know is left alone.
    pub(crate) kind: String,
    /// How its kind writes phase and payload.
    pub(crate) version: u16,
    /// What its asker calls it: who asks again gets the same job.
    pub(crate) request_id: String,
    /// The tenant that it is about; empty if it is about none.
    pub(crate) tenant: String,
    /// How far it is, in its kind's words.
    pub(crate) phase: String,
    /// Whether nothing more is done for it.
    pub(crate) is_ended: bool,
    /// What went wrong last.
    pub(crate) error: Option<String>,
    /// When it was entered, in microseconds since 1970.
    pub(crate) began_us: u64,
    /// When it was changed last.
    pub(crate) changed_us: u64,
    /// What its kind needs to go on.
    pub(crate) payload: Vec<u8>,
}

/// Why a copy is no tenant's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Leftover {
    /// It is being made for a tenant that has not moved to it yet.
    #[default]
    Incoming,
    /// Its tenant moved away from it.
    Left,
}

/// A copy that is no tenant's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct CopyToDrop {
    pub(crate) tenant: String,
    pub(crate) leftover: Leftover,
    /// The epoch of the change that entered it.
    pub(crate) epoch: u64,
    /// When that was, in microseconds since 1970.
    pub(crate) since_us: u64,
    /// The job that it belongs to.
    pub(crate) job: u64,
}

pub(super) fn encode(settings: &StoredSettings) -> Result<Vec<u8>, String> {
    to_bytes(settings)
}

pub(super) fn decode(bytes: &[u8]) -> Result<StoredSettings, String> {
    from_bytes(bytes)
}

/// What may follow an index.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct IndexExtras {
    pub(crate) unique_id: UniqueId,
    pub(crate) scan_factor: Option<f64>,
}

pub(crate) fn encode_index(index: &StoredIndex, extras: IndexExtras) -> Result<Vec<u8>, String> {
    let mut bytes = to_bytes(index)?;
    if !extras.unique_id.is_none() {
        bytes.extend_from_slice(&extras.unique_id.to_bytes());
    }
    if let Some(factor) = extras.scan_factor {
        bytes.extend_from_slice(&factor.to_le_bytes());
    }
    Ok(bytes)
}

pub(crate) fn decode_index(bytes: &[u8]) -> Result<(StoredIndex, IndexExtras), String> {
    let (index, read) = beginning(bytes)?;
    let mut rest = bytes.get(read..).unwrap_or_default();
    let mut extras = IndexExtras::default();
    if let Some((name, factor)) = rest.split_first_chunk::<{ UniqueId::BYTES }>() {
        (extras.unique_id, rest) = (UniqueId::new(*name), factor);
    }
    if !rest.is_empty() {
        extras.scan_factor = Some(from_bytes(rest)?);
    }
    Ok((index, extras))
}

pub(super) fn encode_fields(fields: &Vec<String>) -> Result<Vec<u8>, String> {
    to_bytes(fields)
}

pub(super) fn decode_fields(bytes: &[u8]) -> Result<Vec<String>, String> {
    from_bytes(bytes)
}

pub(super) fn encode_job(job: &Job) -> Result<Vec<u8>, String> {
    to_bytes(job)
}

pub(super) fn decode_job(bytes: &[u8]) -> Result<Job, String> {
    from_bytes(bytes)
}

pub(super) fn encode_copy(copy: &CopyToDrop) -> Result<Vec<u8>, String> {
    to_bytes(copy)
}

pub(super) fn decode_copy(bytes: &[u8]) -> Result<CopyToDrop, String> {
    from_bytes(bytes)
}

fn to_bytes(value: &impl Encode) -> Result<Vec<u8>, String> {
    bincode::encode_to_vec(value, config::legacy().with_limit::<LIMIT>()).map_err(|error| error.to_string())
}

fn from_bytes<T: Decode<()>>(bytes: &[u8]) -> Result<T, String> {
    match beginning(bytes)? {
        (value, read) if read == bytes.len() => Ok(value),
        (_, read) => Err(format!("{} bytes, of which only {read} belong to it", bytes.len())),
    }
}

/// What the bytes begin with, and how many of them it takes.
fn beginning<T: Decode<()>>(bytes: &[u8]) -> Result<(T, usize), String> {
    let config = config::legacy().with_limit::<LIMIT>();
    bincode::decode_from_slice(bytes, config).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index as versions before scan factors wrote it.
    const OLD: &[u8] =
        b"\x07\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0movies\x03\0\0\0\x06\0\0\0\0\0\0\0cosine\x5a\x1b\x01\
        \x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0k\x01\0\0\0\0\0\0\0v\x02\0\0\0\0\0\0\0{}";

    #[test]
    fn an_index_without_a_scan_factor_is_what_it_was_before_there_were_any() {
        let (index, extras) = decode_index(OLD).unwrap();
        assert_eq!(
            (index.id, index.name.as_str(), index.port, extras),
            (7, "movies", 7002, Default::default())
        );
        assert_eq!((index.is_protected, index.tags["k"].as_str()), (true, "v"));
        assert_eq!(encode_index(&index, extras).unwrap(), OLD);
        for unique_id in [UniqueId::NONE, UniqueId::new([3; 16])] {
            let extras = IndexExtras { unique_id, scan_factor: Some(2.5) };
            let whole = encode_index(&index, extras).unwrap();
            assert_eq!(decode_index(&whole).unwrap(), (index.clone(), extras));
            for cut in 1..8 {
                assert!(decode_index(&whole[..whole.len() - cut]).is_err(), "{cut} bytes less");
            }
            assert!(decode_index(&[&whole[..], b"?"].concat()).is_err());
            let without = encode_index(&index, IndexExtras { scan_factor: None, ..extras }).unwrap();
            assert_eq!(decode_index(&without).unwrap().1.unique_id, unique_id);
        }
    }
}

//! What is small and rare, in bincode: the settings that data were made with, the descriptions of indexes: the one file of this crate that names it.

use bincode::{Decode, Encode, config};
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

/// An index as the registry keeps it.
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

pub(super) fn encode(settings: &StoredSettings) -> Result<Vec<u8>, String> {
    to_bytes(settings)
}

pub(super) fn decode(bytes: &[u8]) -> Result<StoredSettings, String> {
    from_bytes(bytes)
}

pub(crate) fn encode_index(index: &StoredIndex) -> Result<Vec<u8>, String> {
    to_bytes(index)
}

pub(crate) fn decode_index(bytes: &[u8]) -> Result<StoredIndex, String> {
    from_bytes(bytes)
}

pub(super) fn encode_fields(fields: &Vec<String>) -> Result<Vec<u8>, String> {
    to_bytes(fields)
}

pub(super) fn decode_fields(bytes: &[u8]) -> Result<Vec<String>, String> {
    from_bytes(bytes)
}

fn to_bytes(value: &impl Encode) -> Result<Vec<u8>, String> {
    bincode::encode_to_vec(value, config::legacy().with_limit::<LIMIT>()).map_err(|error| error.to_string())
}

fn from_bytes<T: Decode<()>>(bytes: &[u8]) -> Result<T, String> {
    match bincode::decode_from_slice(bytes, config::legacy().with_limit::<LIMIT>()) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        Ok((_, read)) => Err(format!("{} bytes, of which only {read} belong to it", bytes.len())),
        Err(error) => Err(error.to_string()),
    }
}

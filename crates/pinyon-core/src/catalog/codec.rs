//! The settings that data were made with, in bincode: the one file of this crate that names it.

use bincode::{Decode, Encode, config};

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

pub(super) fn encode(settings: &StoredSettings) -> Result<Vec<u8>, String> {
    bincode::encode_to_vec(settings, config::legacy().with_limit::<LIMIT>())
        .map_err(|error| error.to_string())
}

pub(super) fn decode(bytes: &[u8]) -> Result<StoredSettings, String> {
    let decoded = bincode::decode_from_slice(bytes, config::legacy().with_limit::<LIMIT>());
    match decoded {
        Ok((settings, read)) if read == bytes.len() => Ok(settings),
        Ok((_, read)) => {
            Err(format!("{} bytes of settings, of which only {read} belong to them", bytes.len()))
        }
        Err(error) => Err(error.to_string()),
    }
}

//! Keys of the routing table, and its state: the value that says which base counts and which namespace number is next.
//! FORMAT.md describes them.

use pinyon_storage::bytes::{BytesError, Reader};
use pinyon_types::Epoch;

/// Key of the settings that the data were made with.
pub(super) const SETTINGS_KEY: &[u8] = b"settings";
/// Key of the names of the index and its shards.
pub(super) const IDENTITY_KEY: &[u8] = b"identity";
/// Key of the time, in microseconds since 1970, since when something that was removed may be in the store's files.
pub(super) const REMOVED_KEY: &[u8] = b"removed";
/// Key of the state.
pub(super) const STATE_KEY: &[u8] = b"state";
/// Prefix of all bases' keys.
pub(super) const BASES: &[u8] = b"base/";
/// Prefix of all deltas' keys.
pub(super) const DELTAS: &[u8] = b"delta/";

/// Prefix of the keys of namespaces that were made explicitly.
pub(super) const DECLARED: &[u8] = b"namespace/";

/// Prefix of the keys of one base.
pub(super) fn base_prefix(generation: u64) -> Vec<u8> {
    format!("base/{generation:016x}/").into_bytes()
}

/// Key of a part of a base.
pub(super) fn base_key(generation: u64, part: usize) -> Vec<u8> {
    format!("base/{generation:016x}/{part:08x}").into_bytes()
}

/// Key of a part of the delta that moved the table to an epoch. Keys of later deltas are greater.
pub(super) fn delta_key(epoch: Epoch, part: usize) -> Vec<u8> {
    format!("delta/{:016x}/{part:08x}", epoch.get()).into_bytes()
}

pub(super) fn encode_state(generation: u64, next_namespace: u64) -> Vec<u8> {
    [generation, next_namespace].iter().flat_map(|number| number.to_le_bytes()).collect()
}

pub(super) fn decode_state(bytes: &[u8]) -> Result<(u64, u64), String> {
    let mut reader = Reader::new(bytes);
    let mut read = || Ok::<_, BytesError>((reader.u64()?, reader.u64()?));
    read().map_err(|error| format!("its state: {error}"))
}

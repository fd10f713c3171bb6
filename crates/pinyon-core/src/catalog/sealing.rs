//! Checksums of values, and of all of them together. FORMAT.md describes them.

use super::store::{Change, VALUE_BYTES_MAX};
use pinyon_types::Epoch;
use std::collections::BTreeMap;

/// Key of what all entries must add up to.
pub(super) const META_KEY: &[u8] = b"!meta";
const VERSION: u8 = 1;
/// Version byte and checksum before every value.
const SEAL_BYTES: usize = 5;

/// A change of a value that carries its checksum.
pub(super) fn seal_change(change: &Change) -> Change {
    let value = change.value.as_ref().map(|value| {
        assert!(
            value.len() + SEAL_BYTES <= VALUE_BYTES_MAX,
            "the routing table packs values below the limit"
        );
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&seal(&change.key, value).to_le_bytes());
        sealed.extend_from_slice(value);
        sealed
    });
    Change { key: change.key.clone(), value }
}

fn seal(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), value)
}

/// The value, if it fits its checksum.
pub(super) fn unseal<'a>(key: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (head, value) = sealed.split_at_checked(SEAL_BYTES)?;
    let (version, stored) = head.split_first()?;
    let fits = *version == VERSION && stored == seal(key, value).to_le_bytes();
    fits.then_some(value)
}

/// A checksum whose sum over all entries does not depend on their order.
pub(super) fn checksum(key: &[u8], value: &[u8]) -> u64 {
    let (key, value) = (crc32c::crc32c(key), crc32c::crc32c(value));
    crate::placement::fmix64((u64::from(key) << 32) | u64::from(value))
}

/// How many entries there are, and the sum of their checksums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    count: u64,
    sum: u64,
}

impl Sum {
    /// Of these checksums.
    pub(super) fn of(checksums: &BTreeMap<Vec<u8>, u64>) -> Self {
        checksums.values().fold(Self::default(), |sum, one| sum.with(*one))
    }

    /// With one entry more.
    pub(super) const fn with(self, checksum: u64) -> Self {
        Self { count: self.count + 1, sum: self.sum.wrapping_add(checksum) }
    }

    /// With one of its entries less.
    pub(super) const fn without(self, checksum: u64) -> Self {
        Self { count: self.count - 1, sum: self.sum.wrapping_sub(checksum) }
    }
}

/// What all entries add up to at an epoch.
pub(super) fn encode_meta(epoch: Epoch, Sum { count, sum }: Sum) -> Vec<u8> {
    [epoch.get(), count, sum].iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The epoch, if the entries add up to what was written.
pub(super) fn check_meta(meta: &[u8], sum: Sum) -> Result<Epoch, String> {
    let epoch = meta.first_chunk::<8>().map(|bytes| Epoch::new(u64::from_le_bytes(*bytes)));
    let epoch = epoch.ok_or_else(|| "what its entries must add up to is too short".to_owned())?;
    if meta == encode_meta(epoch, sum) {
        return Ok(epoch);
    }
    Err(format!("its {} entries do not add up to what was written at epoch {epoch}", sum.count))
}

/// A key for people.
pub(super) fn show(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

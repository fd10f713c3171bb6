//! The section that tells which slots of older segments are dead: u32 count, then per segment its number (u64), the
//! bitmap's length (u32) and the bitmap in roaring's portable format.

use crate::rows::memtable::Kills;
use pinyon_storage::bytes::{BytesError, Reader};
use pinyon_types::SegmentId;
use roaring::RoaringBitmap;
use std::sync::Arc;

/// Why a kill section does not make sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KillsError {
    #[error(transparent)]
    Bytes(#[from] BytesError),
    #[error("the dead slots of segment {segment} are not a bitmap")]
    NotABitmap { segment: u64 },
}

pub(crate) fn encode(kills: &Kills) -> Vec<u8> {
    let count = u32::try_from(kills.size()).expect("invariant: a shard has fewer than 2^32 segments");
    let mut out = count.to_le_bytes().to_vec();
    for (segment, slots) in kills {
        let length =
            u32::try_from(slots.serialized_size()).expect("invariant: a bitmap of u32 takes below 1 GiB");
        out.extend_from_slice(&segment.get().to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        slots.serialize_into(&mut out).expect("invariant: writing to memory does not fail");
    }
    out
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Kills, KillsError> {
    let mut reader = Reader::new(bytes);
    let mut kills = Kills::new_sync();
    for _ in 0..reader.u32()? {
        let segment = reader.u64()?;
        let length = reader.u32()? as usize;
        let bitmap = RoaringBitmap::deserialize_from(reader.take(length)?)
            .map_err(|_| KillsError::NotABitmap { segment })?;
        kills.insert_mut(SegmentId::new(segment), Arc::new(bitmap));
    }
    reader.finish()?;
    Ok(kills)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_survive_a_round_trip_and_no_damage_panics() {
        let mut kills = Kills::new_sync();
        kills.insert_mut(SegmentId::new(3), Arc::new(RoaringBitmap::from_iter([1, 5, 70_000])));
        kills.insert_mut(SegmentId::new(9), Arc::new((0..5_000).collect()));
        let bytes = encode(&kills);
        assert!(decode(&bytes).unwrap() == kills);
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let _ = decode(&damaged); // any result will do, a panic will not: the section checksum comes first
        }
    }
}

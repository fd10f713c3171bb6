//! The manifest's body as bincode. The one file that names bincode, so that leaving it means changing one file.
//!
//! Persisted structs are these and not the public ones: a field added there must not change bytes on disk unnoticed.

use super::{Manifest, SegmentEntry};
use bincode::{Decode, Encode, config};

/// Largest body that is written or read: some 300,000 segments.
pub(super) const BODY_BYTES_MAX: usize = 8 << 20;

/// Bounds what a length inside the bytes can make the decoder allocate.
const CONFIG: config::Configuration<config::LittleEndian, config::Varint, config::Limit<BODY_BYTES_MAX>> =
    config::standard().with_limit::<BODY_BYTES_MAX>();

#[derive(Encode, Decode)]
struct BodyV1 {
    shard: u32,
    dim: u32,
    metric: u8,
    log_floor: u64,
    next_segment: u64,
    epoch_seen: u64,
    segments: Vec<SegmentV1>,
    logs: Vec<u64>,
}

#[derive(Encode, Decode)]
struct SegmentV1 {
    id: u64,
    bytes: u64,
    checksum: u32,
    rows: u32,
}

/// The body, or nothing if it would be larger than [`BODY_BYTES_MAX`].
pub(super) fn encode(manifest: &Manifest) -> Option<Vec<u8>> {
    let Manifest { shard, dim, metric, log_floor, next_segment, epoch_seen, segments, logs } = manifest;
    let segment = |entry: &SegmentEntry| {
        let SegmentEntry { id, bytes, checksum, rows } = *entry;
        SegmentV1 { id, bytes, checksum, rows }
    };
    let body = BodyV1 {
        shard: *shard,
        dim: *dim,
        metric: *metric,
        log_floor: *log_floor,
        next_segment: *next_segment,
        epoch_seen: *epoch_seen,
        segments: segments.iter().map(segment).collect(),
        logs: logs.clone(),
    };
    let bytes = bincode::encode_to_vec(body, CONFIG).ok()?;
    (bytes.len() <= BODY_BYTES_MAX).then_some(bytes)
}

/// The manifest of a body, all of which must be used up; nothing if the bytes are none.
pub(super) fn decode(bytes: &[u8]) -> Option<Manifest> {
    let (body, consumed) = bincode::decode_from_slice::<BodyV1, _>(bytes, CONFIG).ok()?;
    if consumed != bytes.len() {
        return None;
    }
    let BodyV1 { shard, dim, metric, log_floor, next_segment, epoch_seen, segments, logs } = body;
    let segment = |SegmentV1 { id, bytes, checksum, rows }| SegmentEntry { id, bytes, checksum, rows };
    let segments = segments.into_iter().map(segment).collect();
    Some(Manifest { shard, dim, metric, log_floor, next_segment, epoch_seen, segments, logs })
}

//! The manifest's body as bincode. The one file that names bincode, so that leaving it means changing one file.
//!
//! Persisted structs are these and not the public ones: a field added there must not change bytes on disk unnoticed.

use super::{LogEntry, MadeWith, Manifest, SegmentEntry};
use crate::Owner;
use bincode::{Decode, Encode, config};
use pinyon_types::UniqueId;

/// Largest body that is written or read: some 300,000 segments.
pub(super) const BODY_BYTES_MAX: usize = 8 << 20;

/// Bounds what a length inside the bytes can make the decoder allocate.
const CONFIG: config::Configuration<config::LittleEndian, config::Varint, config::Limit<BODY_BYTES_MAX>> =
    config::standard().with_limit::<BODY_BYTES_MAX>();

#[derive(Encode, Decode)]
struct BodyV2 {
    index: [u8; UniqueId::BYTES],
    shard: [u8; UniqueId::BYTES],
    number: u32,
    made_with: Option<MadeWithV2>,
    generation: u64,
    dim: u32,
    metric: u8,
    log_floor: u64,
    next_segment: u64,
    epoch_seen: u64,
    /// Owners other than the shard itself that files have.
    others: Vec<OwnerV2>,
    segments: Vec<SegmentV2>,
    logs: Vec<LogV2>,
}

#[derive(Encode, Decode)]
struct MadeWithV2 {
    shards: u32,
    placement: String,
    embedder: String,
}

#[derive(Encode, Decode)]
struct OwnerV2 {
    number: u32,
    index: [u8; UniqueId::BYTES],
    shard: [u8; UniqueId::BYTES],
}

#[derive(Encode, Decode)]
struct SegmentV2 {
    id: u64,
    bytes: u64,
    checksum: u32,
    rows: u32,
    /// 0: the shard itself; else one more than its place among the others.
    owner: u32,
}

#[derive(Encode, Decode)]
struct LogV2 {
    first_seq: u64,
    owner: u32,
}

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

/// Owners of files, told from each other by their places.
struct Owners(Vec<Owner>);

impl Owners {
    fn place_of(&mut self, owner: Owner) -> u32 {
        let found = self.0.iter().position(|one| *one == owner);
        let place = found.unwrap_or_else(|| {
            self.0.push(owner);
            self.0.len() - 1
        });
        place as u32
    }

    fn at(&self, place: u32) -> Option<Owner> {
        self.0.get(place as usize).copied()
    }
}

/// The body, or nothing if it would be larger than [`BODY_BYTES_MAX`].
pub(super) fn encode(manifest: &Manifest) -> Option<Vec<u8>> {
    let mut owners = Owners(vec![manifest.owner]);
    let segments = manifest.segments.iter().map(|entry| {
        let SegmentEntry { id, bytes, checksum, rows, owner } = *entry;
        SegmentV2 { id, bytes, checksum, rows, owner: owners.place_of(owner) }
    });
    let segments = segments.collect();
    let logs =
        manifest.logs.iter().map(|log| LogV2 { first_seq: log.first_seq, owner: owners.place_of(log.owner) });
    let logs = logs.collect();
    let others = owners.0.iter().skip(1).map(|owner| OwnerV2 {
        number: owner.number,
        index: owner.index.to_bytes(),
        shard: owner.shard.to_bytes(),
    });
    let made_with = manifest.made_with.clone().map(|MadeWith { shards, placement, embedder }| MadeWithV2 {
        shards,
        placement,
        embedder,
    });
    let body = BodyV2 {
        index: manifest.owner.index.to_bytes(),
        shard: manifest.owner.shard.to_bytes(),
        number: manifest.owner.number,
        made_with,
        generation: manifest.generation,
        dim: manifest.dim,
        metric: manifest.metric,
        log_floor: manifest.log_floor,
        next_segment: manifest.next_segment,
        epoch_seen: manifest.epoch_seen,
        others: others.collect(),
        segments,
        logs,
    };
    let bytes = bincode::encode_to_vec(body, CONFIG).ok()?;
    (bytes.len() <= BODY_BYTES_MAX).then_some(bytes)
}

/// The manifest of a body, all of which must be used up; nothing if the bytes are none.
pub(super) fn decode(bytes: &[u8]) -> Option<Manifest> {
    let body: BodyV2 = whole(bytes)?;
    let owner =
        Owner { number: body.number, index: UniqueId::new(body.index), shard: UniqueId::new(body.shard) };
    let others = body.others.into_iter().map(|OwnerV2 { number, index, shard }| Owner {
        number,
        index: UniqueId::new(index),
        shard: UniqueId::new(shard),
    });
    let owners = Owners(std::iter::once(owner).chain(others).collect());
    let segments = body.segments.into_iter().map(|SegmentV2 { id, bytes, checksum, rows, owner }| {
        Some(SegmentEntry { id, bytes, checksum, rows, owner: owners.at(owner)? })
    });
    let logs = body
        .logs
        .into_iter()
        .map(|LogV2 { first_seq, owner }| Some(LogEntry { first_seq, owner: owners.at(owner)? }));
    let made_with = body.made_with.map(|MadeWithV2 { shards, placement, embedder }| MadeWith {
        shards,
        placement,
        embedder,
    });
    Some(Manifest {
        owner,
        made_with,
        generation: body.generation,
        dim: body.dim,
        metric: body.metric,
        log_floor: body.log_floor,
        next_segment: body.next_segment,
        epoch_seen: body.epoch_seen,
        segments: segments.collect::<Option<_>>()?,
        logs: logs.collect::<Option<_>>()?,
    })
}

/// The same of version 1, whose files tell a number and no names.
pub(super) fn decode_v1(bytes: &[u8]) -> Option<Manifest> {
    let BodyV1 { shard, dim, metric, log_floor, next_segment, epoch_seen, segments, logs } = whole(bytes)?;
    let owner = Owner::numbered(shard);
    let segment = |SegmentV1 { id, bytes, checksum, rows }| SegmentEntry { id, bytes, checksum, rows, owner };
    let segments = segments.into_iter().map(segment).collect();
    let logs = logs.into_iter().map(|first_seq| LogEntry { first_seq, owner }).collect();
    Some(Manifest {
        owner,
        made_with: None,
        generation: 0,
        dim,
        metric,
        log_floor,
        next_segment,
        epoch_seen,
        segments,
        logs,
    })
}

/// What versions before names wrote.
#[cfg(test)]
pub(super) fn encode_v1(manifest: &Manifest) -> Vec<u8> {
    let segment = |entry: &SegmentEntry| {
        let SegmentEntry { id, bytes, checksum, rows, .. } = *entry;
        SegmentV1 { id, bytes, checksum, rows }
    };
    let body = BodyV1 {
        shard: manifest.owner.number,
        dim: manifest.dim,
        metric: manifest.metric,
        log_floor: manifest.log_floor,
        next_segment: manifest.next_segment,
        epoch_seen: manifest.epoch_seen,
        segments: manifest.segments.iter().map(segment).collect(),
        logs: manifest.logs.iter().map(|log| log.first_seq).collect(),
    };
    bincode::encode_to_vec(body, CONFIG).unwrap()
}

fn whole<T: Decode<()>>(bytes: &[u8]) -> Option<T> {
    let (body, consumed) = bincode::decode_from_slice::<T, _>(bytes, CONFIG).ok()?;
    (consumed == bytes.len()).then_some(body)
}

//! Tests of the whole shard: against a model, against every failing call, against every crash.

mod backend;
mod budget;
mod coding;
mod copying;
mod crash;
mod disk;
mod effort;
mod erase;
mod explain;
mod first_read;
mod flips;
mod fuzz;
mod inherit;
mod kept_codes;
mod kept_graphs;
mod memory;
mod model;
mod older_manifest;
mod operations;
mod questions;
mod recall;
mod salvage;
mod scrub;
mod sizes;

use crate::{
    Birth, Change, Keepers, KeepersOptions, Namespace, Shard, ShardError, ShardOptions, ShardPlace,
    ShardShape,
};
use pinyon_storage::{
    Owner,
    io::SharedIo,
    segment::{SegmentHead, SegmentWriter},
    witness::Witness,
};
use pinyon_types::{
    Dim, Epoch, Metadata, MetadataValue, Metric, NamespaceId, Record, RecordId, SeededRng, SeqNo, ShardId,
    SparseVector, TenantId, UniqueId, Vector,
};
use std::{path::Path, sync::Arc};

const DIR: &str = "/data/shard";
const DIM: usize = 5;

/// Writes a file anew; all its checksums are right. Sections without anything are left out.
fn rewrite<'a>(
    io: &SharedIo,
    path: &Path,
    head: SegmentHead,
    sections: impl Iterator<Item = (u32, &'a [u8])>,
) {
    io.remove(path).unwrap();
    let mut writer = SegmentWriter::create(io, path, head).unwrap();
    for (tag, bytes) in sections.filter(|(_, bytes)| !bytes.is_empty()) {
        writer.begin(tag).unwrap();
        writer.write(bytes).unwrap();
    }
    writer.finish().unwrap();
}

fn shape(metric: Metric) -> ShardShape {
    ShardShape { shard: ShardId::new(2), dim: Dim::new(DIM as u32).unwrap(), metric }
}

/// An index of sparse vectors only.
fn sparse_shape() -> ShardShape {
    ShardShape { dim: Dim::NONE, ..shape(Metric::DotProduct) }
}

/// Small enough that a test seals and merges often.
fn options() -> ShardOptions {
    ShardOptions {
        seal_bytes: 6_000,
        backlog_bytes_max: 1 << 20,
        log_preallocate_bytes: 2_048,
        merge_fan_in: 3,
        coded_whole_rows_min: 10,
        graph_rows_min: 10,
        ..ShardOptions::server()
    }
}

pub(crate) fn open(io: &SharedIo, metric: Metric) -> Result<Shard, ShardError> {
    open_as(io, shape(metric))
}

/// In its place, with a witness on the same disk: whatever survives of that must not claim more than survives of the shard.
fn open_as(io: &SharedIo, shape: ShardShape) -> Result<Shard, ShardError> {
    let name = UniqueId::new([5; UniqueId::BYTES]);
    let owner = Owner { number: shape.shard.get(), index: name, shard: name };
    let witness = Witness::open(io, Path::new("/data"), name).map_err(ShardError::io("/data"))?;
    let (birth, made_with, witness) = (Birth::Making, None, Some(Arc::new(witness)));
    let place = ShardPlace { owner, birth, made_with, witness, starts_after: SeqNo::ZERO };
    Shard::open_in(io, Path::new(DIR), (shape, place), options())
}

pub(crate) fn keepers() -> Keepers {
    let graphs = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let clock = Arc::new(pinyon_storage::SystemClock::new());
    let options = KeepersOptions { threads: 2, clock, memory: None, graphs: Arc::new(graphs) };
    Keepers::start(options).unwrap()
}

pub(crate) fn namespace(number: u64) -> Namespace {
    let name = TenantId::new(&format!("tenant-{number}")).unwrap();
    Namespace::routed(NamespaceId::new(number), name, Epoch::new(number + 1))
}

pub(crate) fn id(text: &str) -> RecordId {
    RecordId::new(text).unwrap()
}

fn metadata(fields: &[(&str, MetadataValue)]) -> Metadata {
    Metadata::new(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()).unwrap()
}

/// Components from a small set, so that equal vectors and equal distances are common.
pub(crate) fn random_vector(rng: &mut SeededRng) -> Vector {
    let components: Vec<f32> = (0..DIM).map(|_| rng.below(4) as f32 - 1.0).collect();
    Vector::new(components, Dim::new(DIM as u32).unwrap()).unwrap()
}

fn random_metadata(rng: &mut SeededRng) -> Metadata {
    let mut fields = Vec::new();
    if rng.below(3) > 0 {
        fields
            .push(("colour", MetadataValue::String(["red", "green", "blue"][rng.below(3) as usize].into())));
    }
    if rng.below(2) > 0 {
        fields.push(("size", MetadataValue::Number(rng.below(5) as f64)));
    }
    if rng.below(3) == 0 {
        fields.push(("tags", MetadataValue::Strings(["a".to_owned(), format!("t{}", rng.below(3))].into())));
    }
    metadata(&fields)
}

/// Few indices and few weights, some below zero, so that equal products and products of zero are common.
fn random_sparse(rng: &mut SeededRng) -> Option<SparseVector> {
    let mut components = std::collections::BTreeMap::new();
    for _ in 0..rng.below(5) {
        components.insert(rng.below(8) as u32 * 500_000_000, rng.below(4) as f32 - 1.0);
    }
    let (indices, values) = components.into_iter().unzip();
    SparseVector::new(indices, values).ok()
}

fn random_record(rng: &mut SeededRng) -> Record {
    let id = id(&format!("r-{:02}", rng.below(40)));
    Record { id, vector: random_vector(rng), sparse: random_sparse(rng), metadata: random_metadata(rng) }
}

pub(crate) fn upsert(count: u64, rng: &mut SeededRng) -> Change {
    Change::Upsert((0..count).map(|_| random_record(rng)).collect())
}

/// The change for an index of sparse vectors only.
fn without_dense(change: Change) -> Change {
    let none = || Vector::new(Vec::new(), Dim::NONE).unwrap();
    match change {
        Change::Upsert(records) => {
            Change::Upsert(records.into_iter().map(|record| Record { vector: none(), ..record }).collect())
        }
        Change::UpdateOne { id, sparse, set, .. } => Change::UpdateOne { id, vector: None, sparse, set },
        other => other,
    }
}

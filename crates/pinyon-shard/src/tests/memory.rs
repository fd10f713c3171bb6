//! What a shard says it takes in memory is what its structures take, and what a file is said to need at most is what they then take.

use super::{id, metadata, namespace};
use crate::{Change, DerivedBytes, MappedBytes, Query, Scope, Shard, ShardOptions, ShardShape, Step};
use pinyon_storage::{
    io::{MemoryIo, SharedIo},
    manifest,
    segment::SegmentFile,
};
use pinyon_types::{Dim, FieldTest, Filter, MetadataValue, Metric, Record, SeededRng, ShardId, TopK, Vector};
use std::{path::Path, sync::Arc};

const DIM: u32 = 96;
const DIR: &str = "/memory";

/// A sealed shard with a namespace of so many rows each, and what it is written to.
fn sealed(namespaces: &[u64], metric: Metric) -> (Shard, SharedIo) {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shape = ShardShape { shard: ShardId::new(0), dim: Dim::new(DIM).unwrap(), metric };
    let options = ShardOptions { recall_min: 0.5, log_preallocate_bytes: 4_096, ..ShardOptions::server() };
    let shard = Shard::open(&io, Path::new(DIR), shape, options).unwrap();
    let mut rng = SeededRng::new(3);
    for (number, rows) in (1..).zip(namespaces) {
        for first in (0..*rows).step_by(1_000) {
            let record = |row| Record {
                id: id(&format!("r{row}")),
                vector: vector(&mut rng),
                sparse: None,
                metadata: metadata(&[("n", MetadataValue::Number(row as f64))]),
            };
            let records: Vec<Record> = (first..*rows.min(&(first + 1_000))).map(record).collect();
            shard.write(&namespace(number), Change::Upsert(records)).unwrap();
        }
    }
    assert!(
        shard.stats().resident_bytes() > namespaces.iter().sum::<u64>() * u64::from(DIM) * 4,
        "the memtable"
    );
    shard.seal().unwrap();
    (shard, io)
}

fn vector(rng: &mut SeededRng) -> Vector {
    let components: Vec<f32> = (0..DIM).map(|_| (rng.unit() - 0.5) as f32).collect();
    Vector::new(components, Dim::new(DIM).unwrap()).unwrap()
}

fn derive(shard: &Shard) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    while shard.derive(&pool, &|| false) != Step::Idle {}
}

#[test]
fn what_a_file_needs_at_most_is_what_its_codes_and_graphs_take() {
    for metric in [Metric::Cosine, Metric::DotProduct] {
        // No codes, bytes alone, bytes and bits in no whole number of groups.
        let (shard, io) = sealed(&[200, 300, 4_099], metric);
        let segment = shard.stats().segments[0].clone();
        assert_eq!(segment.derived, DerivedBytes::default(), "nothing is derived yet");
        derive(&shard);
        let stats = shard.stats();
        let derived = stats.segments[0].derived;
        assert!(derived.byte_codes > 0 && derived.bit_codes > 0, "{derived:?}");
        assert_eq!(stats.resident_bytes(), derived.total());
        let manifest = manifest::load(&*io, Path::new(DIR)).unwrap().unwrap();
        let name = pinyon_storage::segment::segment_file_name(segment.id);
        let (file, _) = SegmentFile::open_any(&io, &Path::new(DIR).join(name)).unwrap();
        assert_eq!(DerivedBytes::at_most(&file, &manifest), Ok(derived), "{metric}");
        let MappedBytes { vectors, sparse, records, rest } = segment.mapped;
        assert_eq!(vectors, 4_599 * (u64::from(DIM) + 1) * 4);
        assert_eq!((sparse, vectors + records + rest), (0, segment.bytes));
        assert!(records > 4_599 * 8 && rest > 0, "{records} {rest}");
    }
}

#[test]
fn filter_indexes_count_once_a_filter_asked_for_them() {
    let (shard, _) = sealed(&[1_500], Metric::Cosine);
    assert_eq!(shard.stats().segments[0].derived.filter_indexes, 0);
    let filter = Filter::field("n", FieldTest::Lt(10.0));
    let query = vector(&mut SeededRng::new(8));
    let query = Query { filter: Some(&filter), ..Query::dense(&query, TopK::new(20).unwrap()) };
    assert_eq!(shard.search(Scope::All, query, &|| false).unwrap().hits.len(), 10);
    let derived = shard.stats().segments[0].derived;
    // A number and a row's number for each row.
    assert!(derived.filter_indexes >= 1_500 * 12, "{derived:?}");
    assert_eq!(derived.total(), derived.filter_indexes);
}

#[test]
fn a_graph_takes_what_it_is_said_to_need() {
    let (shard, io) = sealed(&[20_000], Metric::Cosine);
    derive(&shard);
    let stats = shard.stats();
    assert_eq!(stats.segments[0].graphs, 1);
    let manifest = manifest::load(&*io, Path::new(DIR)).unwrap().unwrap();
    let name = pinyon_storage::segment::segment_file_name(stats.segments[0].id);
    let (file, _) = SegmentFile::open_any(&io, &Path::new(DIR).join(name)).unwrap();
    assert_eq!(DerivedBytes::at_most(&file, &manifest), Ok(stats.segments[0].derived));
}

//! What a search says it did is what it did: each way is forced by the options, and its name, its counts and the size of its part
//! are held against what is known.

use super::{id, metadata, namespace};
use crate::{
    Change, Explanation, PartExplanation, PartPlace, Prices, Query, Scope, Shard, ShardOptions, ShardShape,
    Step, Way,
};
use pinyon_index::Asked;
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{
    Clock, Dim, Effort, FieldTest, Filter, ManualClock, MetadataValue, Metric, Record, SeededRng, ShardId,
    SparseVector, TopK, Vector,
};
use std::{path::Path, sync::Arc};

const DIM: u32 = 16;
const K: u32 = 10;

fn vector(rng: &mut SeededRng) -> Vector {
    let components: Vec<f32> = (0..DIM).map(|_| (rng.unit() - 0.5) as f32).collect();
    Vector::new(components, Dim::new(DIM).unwrap()).unwrap()
}

fn sparse(rng: &mut SeededRng) -> SparseVector {
    SparseVector::new(vec![rng.below(9) as u32, 9], vec![1.0, 0.5]).unwrap()
}

/// A shard with rows `r0`, `r1`, …, whose field `n` is their number, in the memtable.
fn shard(rows: u64, options: ShardOptions, rng: &mut SeededRng) -> Shard {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shape =
        ShardShape { shard: ShardId::new(0), dim: Dim::new(DIM).unwrap(), metric: Metric::DotProduct };
    let shard = Shard::open(&io, Path::new("/explain"), shape, options).unwrap();
    for first in (0..rows).step_by(1_000) {
        let record = |number| Record {
            id: id(&format!("r{number}")),
            vector: vector(rng),
            sparse: Some(sparse(rng)),
            metadata: metadata(&[("n", MetadataValue::Number(number as f64))]),
        };
        let records: Vec<Record> = (first..rows.min(first + 1_000)).map(record).collect();
        shard.write(&namespace(1), Change::Upsert(records)).unwrap();
    }
    shard
}

/// Options under which nothing is derived but what the test asks for.
fn options(coded_rows_min: u32, graph_rows_min: u32) -> ShardOptions {
    ShardOptions {
        coded_rows_min,
        graph_rows_min,
        prices: Prices::Fixed(2),
        recall_min: 0.7,
        log_preallocate_bytes: 4_096,
        ..ShardOptions::server()
    }
}

fn derive(shard: &Shard) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    while shard.derive(&pool, &|| false) != Step::Idle {}
}

fn explained(
    shard: &Shard,
    vector: &Vector,
    sparse: Option<&SparseVector>,
    filter: Option<&Filter>,
) -> Explanation {
    let clock = ManualClock::default();
    let explain = Some(&clock as &dyn Clock);
    let top_k = TopK::new(K).unwrap();
    let query = Query { sparse, filter, explain, ..Query::dense(vector, top_k) };
    let scope = Scope::Namespaces(&[namespace(1)]);
    let found = shard.search(scope, query, &|| false).unwrap();
    let silent = shard.search(scope, Query { explain: None, ..query }, &|| false).unwrap();
    assert!(silent.explanation.is_none());
    assert_eq!(silent.work, found.work, "asking how changes nothing");
    let explanation = *found.explanation.unwrap();
    let mut work = pinyon_index::Work::default();
    explanation.parts.iter().for_each(|part| work += part.work);
    assert_eq!(work, found.work, "the parts are the whole");
    explanation
}

fn only_part(explanation: Explanation) -> PartExplanation {
    let [part]: [PartExplanation; 1] = explanation.parts.try_into().unwrap();
    part
}

fn below(bound: f64) -> Filter {
    Filter::field("n", FieldTest::Lt(bound))
}

#[test]
fn without_codes_the_memtable_and_vectors_answer() {
    let mut rng = SeededRng::new(1);
    let shard = shard(2_000, options(u32::MAX, u32::MAX), &mut rng);
    let query = vector(&mut rng);
    let part = only_part(explained(&shard, &query, None, None));
    assert_eq!(
        (part.place, part.ways.as_slice(), part.rows),
        (PartPlace::Memtable, &[Way::MemtableScan][..], 2_000)
    );
    assert_eq!((part.work.distances, part.bytes_read.vectors), (2_000, 2_000 * u64::from(DIM) * 4));
    assert_eq!(only_part(explained(&shard, &query, None, Some(&below(300.0)))).rows_passed, Some(300));
    shard.seal().unwrap();
    shard
        .write(&namespace(1), Change::DeleteIds((0..50).map(|number| id(&format!("r{number}"))).collect()))
        .unwrap();
    let part = only_part(explained(&shard, &query, None, None));
    assert!(matches!(part.place, PartPlace::Segment(_)));
    assert_eq!((part.ways.as_slice(), part.rows, part.dead_rows), (&[Way::Vectors][..], 2_000, 50));
    // A scan scores blocks of rows, and leaves the dead ones out of the results.
    assert_eq!((part.work.distances, part.rows_passed, part.deviations, part.ef), (2_000, None, None, None));
    let part = only_part(explained(&shard, &query, None, Some(&below(300.0))));
    assert_eq!((part.ways.as_slice(), part.work.distances), (&[Way::SurvivorsByVectors][..], 250));
    assert_eq!(part.rows_passed, Some(300), "dead ones are among them");
    let record = Record { id: id("new"), vector: vector(&mut rng), sparse: None, metadata: metadata(&[]) };
    shard.write(&namespace(1), Change::Upsert(vec![record])).unwrap();
    let places: Vec<PartPlace> =
        explained(&shard, &query, None, None).parts.iter().map(|part| part.place).collect();
    assert!(matches!(places[..], [PartPlace::Memtable, PartPlace::Segment(_)]), "{places:?}");
}

/// The part of a sealed shard of so many rows with everything derived, by a filter that so many pass.
fn coded_part(rows: u64, options: ShardOptions, passing: Option<u64>) -> PartExplanation {
    let mut rng = SeededRng::new(rows);
    let shard = shard(rows, options, &mut rng);
    shard.seal().unwrap();
    derive(&shard);
    let filter = passing.map(|rows| below(rows as f64));
    let part = only_part(explained(&shard, &vector(&mut rng), None, filter.as_ref()));
    assert_eq!((part.rows, part.rows_passed), (rows, passing));
    part
}

#[test]
fn codes_and_graphs_are_named_when_they_answer() {
    let part = coded_part(2_000, options(256, u32::MAX), None);
    assert_eq!(
        (part.ways.as_slice(), part.deviations),
        (&[Way::Bytes][..], None),
        "bytes need no bound by bits"
    );
    assert_eq!((part.work.code_distances, part.work.sign_distances), (2_000, 0));
    let few = 10..=40;
    assert!(few.contains(&part.work.distances), "{part:?}");
    let recall = part.recall.unwrap();
    assert!(recall.mean > 0.99 && recall.queries == 64 && recall.asked == Asked::Probes, "{recall:?}");
    // A component more than the vectors have, in lines of 64 bytes, and eight bytes of scale and length.
    assert_eq!((part.bytes_read.bytes, part.bytes_read.bits), (2_000 * 72, 0));

    let part = coded_part(12_000, options(256, u32::MAX), None);
    assert_eq!((part.ways.as_slice(), part.work.sign_distances), (&[Way::Bits][..], 12_000));
    assert!(part.deviations.unwrap() >= 2.5 && part.reasons.is_empty(), "{part:?}");
    assert!((10..6_000).contains(&part.work.code_distances), "bits leave out most: {part:?}");
    assert!(few.contains(&part.work.distances), "{part:?}");
    assert_eq!(part.bytes_read.bits, 12_000 * 20);

    let part = coded_part(6_000, options(256, 1_000), None);
    assert_eq!((part.ways.as_slice(), part.deviations, part.work.graph_walks), (&[Way::Graph][..], None, 1));
    assert!(part.ef.unwrap() >= 30 && part.work.hops > 0 && part.work.code_distances < 6_000, "{part:?}");
}

#[test]
fn survivors_of_a_filter_are_named_by_what_scored_them() {
    let part = coded_part(12_000, options(256, u32::MAX), Some(200));
    assert_eq!(part.ways, [Way::SurvivorsByBytes]);
    assert_eq!((part.work.code_distances, part.work.sign_distances), (200, 0));

    let part = coded_part(12_000, options(256, u32::MAX), Some(9_000));
    assert_eq!((part.ways.as_slice(), part.work.sign_distances), (&[Way::SurvivorsByBits][..], 12_000));

    // Rows lie apart from here on: those that pass are read without the others.
    let part = coded_part(20_000, options(256, u32::MAX), Some(9_000));
    // No row of these is near to any other: the self-test saw that bits leave out too few to be worth reading first.
    assert_eq!((part.ways.as_slice(), part.work.sign_distances), (&[Way::SurvivorsByBytes][..], 0));
    assert_eq!(part.work.code_distances, 9_000);

    let part = coded_part(12_000, options(256, u32::MAX), Some(40));
    assert_eq!((part.ways.as_slice(), part.work.distances), (&[Way::SurvivorsByVectors][..], 40));
    assert_eq!(part.work.rows_filtered, 12_000);
}

#[test]
fn sparse_parts_are_combined_and_sparse_indexes_are_answered_by_postings() {
    let mut rng = SeededRng::new(5);
    let hybrid = shard(1_500, options(256, u32::MAX), &mut rng);
    hybrid.seal().unwrap();
    derive(&hybrid);
    let (query, words) = (vector(&mut rng), sparse(&mut rng));
    let part = only_part(explained(&hybrid, &query, Some(&words), None));
    assert_eq!(part.ways, [Way::Combined]);
    assert!(part.work.postings > 0);

    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = super::open_as(&io, super::sparse_shape()).unwrap();
    let none = || Vector::new(Vec::new(), Dim::NONE).unwrap();
    let record = |number: u64| Record {
        id: id(&format!("r{number}")),
        vector: none(),
        sparse: Some(sparse(&mut rng)),
        metadata: metadata(&[]),
    };
    shard.write(&namespace(1), Change::Upsert((0..100).map(record).collect())).unwrap();
    shard.seal().unwrap();
    let clock = ManualClock::default();
    let query = Query {
        vector: None,
        sparse: Some(&words),
        required: &[],
        top_k: TopK::new(3).unwrap(),
        expected: 3,
        shared: None,
        filter: None,
        effort: Effort::NORMAL,
        explain: Some(&clock),
    };
    let found = shard.search(Scope::All, query, &|| false).unwrap();
    assert_eq!(only_part(*found.explanation.unwrap()).ways, [Way::Postings]);
}

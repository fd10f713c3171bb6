//! Recall with a graph in play: after build, overwrite, delete, merge and reopen, without and with filters.

use super::{id, metadata, namespace};
use crate::{Change, GraphEngine, Query, Scope, Shard, ShardOptions, ShardShape, Step};
use pinyon_distance::{QueryScorer, inverse_norm};
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{Dim, FieldTest, Filter, MetadataValue, Metric, Record, SeededRng, ShardId, TopK, Vector};
use std::{collections::BTreeMap, path::Path, sync::Arc};

const DIM: u32 = 24;
const ROWS: u64 = 3_000;

struct Corpus {
    rng: SeededRng,
    centres: Vec<Vec<f32>>,
    records: BTreeMap<u64, Record>,
}

impl Corpus {
    fn new() -> Self {
        let mut rng = SeededRng::new(31);
        let centres = (0..60).map(|_| (0..DIM).map(|_| (rng.unit() - 0.5) as f32).collect()).collect();
        Self { rng, centres, records: BTreeMap::new() }
    }

    fn vector(&mut self) -> Vector {
        let centre = self.centres[self.rng.below(60) as usize].clone();
        let noisy: Vec<f32> = centre.iter().map(|one| one + 0.3 * (self.rng.unit() - 0.5) as f32).collect();
        Vector::new(noisy, Dim::new(DIM).unwrap()).unwrap()
    }

    fn write(&mut self, shard: &Shard, numbers: impl Iterator<Item = u64>) {
        let numbers: Vec<u64> = numbers.collect();
        for batch in numbers.chunks(500) {
            let records: Vec<Record> = batch
                .iter()
                .map(|number| Record {
                    id: id(&format!("r{number}")),
                    vector: self.vector(),
                    sparse: None,
                    metadata: metadata(&[("n", MetadataValue::Number(self.rng.below(1000) as f64))]),
                })
                .collect();
            self.records.extend(batch.iter().copied().zip(records.clone()));
            shard.write(&namespace(1), Change::Upsert(records)).unwrap();
        }
    }

    fn recall(&mut self, shard: &Shard, filter: Option<&Filter>) -> f64 {
        let (mut found, mut wanted) = (0, 0);
        for _ in 0..40 {
            let vector = self.vector();
            let scorer = QueryScorer::new(Metric::Cosine, vector.as_slice());
            let passing =
                self.records.values().filter(|one| filter.is_none_or(|filter| filter.matches(&one.metadata)));
            let mut truth: Vec<_> = passing
                .map(|one| {
                    (
                        scorer.distance(one.vector.as_slice(), inverse_norm(one.vector.as_slice())),
                        one.id.clone(),
                    )
                })
                .collect();
            truth.sort_unstable();
            truth.truncate(10);
            let query = Query {
                vector: Some(&vector),
                sparse: None,
                required: &[],
                top_k: TopK::new(10).unwrap(),
                filter,
            };
            let hits = shard.search(Scope::Namespaces(&[namespace(1)]), query, &|| false).unwrap().hits;
            assert_eq!(hits.len(), truth.len(), "QRY-3");
            found += truth.iter().filter(|(_, id)| hits.iter().any(|hit| hit.id() == *id)).count();
            wanted += truth.len();
        }
        // A filter that nothing passes finds all of nothing.
        if wanted == 0 { 1.0 } else { found as f64 / wanted as f64 }
    }

    fn check(&mut self, shard: &Shard, when: &str) {
        let recall = self.recall(shard, None);
        assert!(recall >= 0.99, "{when}: {recall}");
        for bound in [500.0, 100.0, 10.0, 1.0] {
            let filter = Filter::field("n", FieldTest::Lt(bound));
            let recall = self.recall(shard, Some(&filter));
            assert!(recall >= 0.99, "{when}, filter below {bound} of 1000: {recall}");
        }
    }
}

fn open(io: &SharedIo) -> Shard {
    let shape = ShardShape { shard: ShardId::new(0), dim: Dim::new(DIM).unwrap(), metric: Metric::Cosine };
    let options = ShardOptions { graph_rows_min: 1_000, graph_rows_per_effort: 5, ..ShardOptions::server() };
    Shard::open(io, Path::new("/recall"), shape, options).unwrap()
}

#[test]
fn graphs_by_hnsw_rs_answer_as_well() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shape = ShardShape { shard: ShardId::new(0), dim: Dim::new(DIM).unwrap(), metric: Metric::Cosine };
    let options =
        ShardOptions { graph_rows_min: 1_000, ..ShardOptions::server().with_graph(GraphEngine::HnswRs) };
    let options = ShardOptions { graph_rows_per_effort: 5, ..options };
    let shard = Shard::open(&io, Path::new("/recall"), shape, options).unwrap();
    let mut corpus = Corpus::new();
    corpus.write(&shard, 0..ROWS);
    shard.seal().unwrap();
    assert_eq!(build_graphs(&shard), 1);
    corpus.check(&shard, "hnsw_rs");
}

fn build_graphs(shard: &Shard) -> usize {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    while shard.derive(&pool, &|| false) != Step::Idle {}
    shard.stats().segments.iter().map(|segment| segment.graphs).sum()
}

#[test]
fn a_large_namespace_that_is_scattered_over_segments_is_brought_together() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io);
    let mut corpus = Corpus::new();
    for from in [0, 600] {
        corpus.write(&shard, from..from + 600);
        shard.seal().unwrap();
    }
    assert_eq!(build_graphs(&shard), 0, "neither part is large enough");
    assert!(matches!(shard.step().unwrap(), Step::Merged(Some(_))));
    assert_eq!(shard.step().unwrap(), Step::Idle);
    assert_eq!(build_graphs(&shard), 1);
    // A small part beside the large one is left alone until it is a quarter.
    corpus.write(&shard, 1_200..1_300);
    shard.seal().unwrap();
    assert_eq!(shard.step().unwrap(), Step::Idle);
    corpus.check(&shard, "brought together");
}

#[test]
fn a_merge_keeps_the_codes_of_namespaces_that_had_them() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io);
    let mut corpus = Corpus::new();
    let has_codes = || shard.stats().segments.iter().map(|one| one.codes_bytes > 0).collect::<Vec<_>>();
    corpus.write(&shard, 0..600);
    shard.seal().unwrap();
    build_graphs(&shard);
    corpus.write(&shard, 600..700);
    shard.seal().unwrap();
    assert_eq!(has_codes(), [false, true], "too few new rows for codes");
    shard.compact().unwrap();
    assert_eq!(has_codes(), [true], "nobody had to make them");
    // A large part without codes is still to be looked at: the merge does not wait for that.
    corpus.write(&shard, 700..1_200);
    shard.seal().unwrap();
    shard.compact().unwrap();
    assert_eq!(has_codes(), [false]);
    corpus.check(&shard, "merged");
}

#[test]
fn recall_holds_after_build_overwrite_delete_merge_and_reopen() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io);
    let mut corpus = Corpus::new();
    corpus.write(&shard, 0..ROWS);
    corpus.check(&shard, "in the memtable");
    shard.seal().unwrap();
    corpus.check(&shard, "sealed, without a graph");
    assert_eq!(build_graphs(&shard), 1);
    corpus.check(&shard, "with a graph");
    corpus.write(&shard, (0..ROWS).step_by(10));
    corpus.write(&shard, ROWS..ROWS + 300);
    corpus.check(&shard, "overwritten and inserted");
    let gone: Vec<u64> = (5..ROWS).step_by(10).collect();
    gone.iter().for_each(|number| drop(corpus.records.remove(number)));
    let ids = gone.iter().map(|number| id(&format!("r{number}"))).collect();
    shard.write(&namespace(1), Change::DeleteIds(ids)).unwrap();
    corpus.check(&shard, "deleted");
    shard.compact().unwrap();
    corpus.check(&shard, "merged");
    assert_eq!(build_graphs(&shard), 1);
    corpus.check(&shard, "merged, with a graph");
    let reopened = open(&io);
    corpus.check(&reopened, "reopened");
    assert_eq!(build_graphs(&reopened), 1);
    corpus.check(&reopened, "reopened, with a graph");
}

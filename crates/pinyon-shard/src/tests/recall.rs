//! Recall with a graph in play: after build, overwrite, delete, merge and reopen, without and with filters.

use super::{id, metadata, namespace};
use crate::{Change, GraphEngine, Prices, Query, Scope, Shard, ShardOptions, ShardShape, Step};
use pinyon_distance::{QueryScorer, inverse_norm};
use pinyon_index::Work;
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{
    Dim, Distance, FieldTest, Filter, MetadataValue, Metric, NamespaceId, Record, RecordId, SeededRng,
    ShardId, TopK, Vector,
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

const DIM: u32 = 24;
pub(super) const ROWS: u64 = 3_000;

pub(super) struct Corpus {
    rng: SeededRng,
    centres: Vec<Vec<f32>>,
    pub(super) records: BTreeMap<u64, Record>,
}

impl Corpus {
    pub(super) fn new() -> Self {
        let mut rng = SeededRng::new(31);
        let centres = (0..60).map(|_| (0..DIM).map(|_| (rng.unit() - 0.5) as f32).collect()).collect();
        Self { rng, centres, records: BTreeMap::new() }
    }

    /// A vector and the centre that it lies around.
    fn vector(&mut self) -> (Vector, u64) {
        let centre = self.rng.below(60);
        let centre_vector = self.centres[centre as usize].clone();
        let noisy: Vec<f32> =
            centre_vector.iter().map(|one| one + 0.3 * (self.rng.unit() - 0.5) as f32).collect();
        (Vector::new(noisy, Dim::new(DIM).unwrap()).unwrap(), centre)
    }

    fn record(&mut self, number: u64) -> Record {
        let (vector, centre) = self.vector();
        let fields = [
            ("n", MetadataValue::Number(self.rng.below(1000) as f64)),
            ("centre", MetadataValue::Number(centre as f64)),
        ];
        Record { id: id(&format!("r{number}")), vector, sparse: None, metadata: metadata(&fields) }
    }

    pub(super) fn write(&mut self, shard: &Shard, numbers: impl Iterator<Item = u64>) {
        let numbers: Vec<u64> = numbers.collect();
        for batch in numbers.chunks(500) {
            let records: Vec<Record> = batch.iter().map(|number| self.record(*number)).collect();
            self.records.extend(batch.iter().copied().zip(records.clone()));
            shard.write(&namespace(1), Change::Upsert(records)).unwrap();
        }
    }

    fn recall(&mut self, shard: &Shard, filter: Option<&Filter>) -> f64 {
        self.recall_and_work(shard, filter).0
    }

    /// The recall of forty queries and what they cost.
    fn recall_and_work(&mut self, shard: &Shard, filter: Option<&Filter>) -> (f64, Work) {
        self.recall_in(shard, Scope::Namespaces(&[namespace(1)]), filter)
    }

    /// The ten nearest records that pass.
    fn nearest(&self, vector: &Vector, filter: Option<&Filter>) -> Vec<(Distance, RecordId)> {
        let scorer = QueryScorer::new(Metric::Cosine, vector.as_slice());
        let distance = |vector: &[f32]| scorer.distance(vector, inverse_norm(vector));
        let records = self.records.values();
        let passing = records.filter(|one| filter.is_none_or(|filter| filter.matches(&one.metadata)));
        let mut nearest: Vec<_> =
            passing.map(|one| (distance(one.vector.as_slice()), one.id.clone())).collect();
        nearest.sort_unstable();
        nearest.truncate(10);
        nearest
    }

    pub(super) fn recall_in(
        &mut self,
        shard: &Shard,
        scope: Scope<'_>,
        filter: Option<&Filter>,
    ) -> (f64, Work) {
        let (mut found, mut wanted, mut work) = (0, 0, Work::default());
        for _ in 0..40 {
            let (vector, _) = self.vector();
            let truth = self.nearest(&vector, filter);
            let query = Query { filter, ..Query::dense(&vector, TopK::new(10).unwrap()) };
            let answer = shard.search(scope, query, &|| false).unwrap();
            let hits = answer.hits;
            work += answer.work;
            assert_eq!(hits.len(), truth.len(), "QRY-3");
            found += truth.iter().filter(|(_, id)| hits.iter().any(|hit| hit.id() == *id)).count();
            wanted += truth.len();
        }
        // A filter that nothing passes finds all of nothing.
        (if wanted == 0 { 1.0 } else { found as f64 / wanted as f64 }, work)
    }

    pub(super) fn check(&mut self, shard: &Shard, when: &str) {
        let recall = self.recall(shard, None);
        assert!(recall >= 0.99, "{when}: {recall}");
        for bound in [500.0, 100.0, 10.0, 1.0] {
            let filter = Filter::field("n", FieldTest::Lt(bound));
            let recall = self.recall(shard, Some(&filter));
            assert!(recall >= 0.99, "{when}, filter below {bound} of 1000: {recall}");
        }
    }
}

pub(super) fn open(io: &SharedIo) -> Shard {
    open_with(io, ShardOptions { graph_rows_min: 1_000, prices: Prices::Fixed(5), ..ShardOptions::server() })
}

pub(super) fn open_with(io: &SharedIo, options: ShardOptions) -> Shard {
    let shape = ShardShape { shard: ShardId::new(0), dim: Dim::new(DIM).unwrap(), metric: Metric::Cosine };
    Shard::open(io, Path::new("/recall"), shape, options).unwrap()
}

#[test]
fn filters_that_many_rows_pass_are_walked_and_scanned_where_those_rows_are_far() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io);
    let mut corpus = Corpus::new();
    corpus.write(&shard, 0..ROWS);
    shard.seal().unwrap();
    assert_eq!(build_graphs(&shard), 1);
    let half = Filter::field("n", FieldTest::Lt(500.0));
    let (recall, walked) = corpus.recall_and_work(&shard, Some(&half));
    assert!(recall >= 0.99, "{recall}");
    assert_eq!((walked.graph_walks, walked.sign_distances), (40, 0), "{walked:?}");
    // Half of the centres: for every other query, whatever is near does not pass, and the walk is given up.
    let halves = Filter::field("centre", FieldTest::Lt(30.0));
    let (recall, work) = corpus.recall_and_work(&shard, Some(&halves));
    assert!(recall >= 0.99, "{recall}");
    let scanned = work.code_distances.saturating_sub(walked.code_distances);
    assert!(work.graph_walks == 40 && scanned > 10 * ROWS / 2, "{work:?} {walked:?}");
    let few = Filter::field("n", FieldTest::Lt(50.0));
    let (recall, work) = corpus.recall_and_work(&shard, Some(&few));
    assert!(recall >= 0.99 && work.graph_walks == 0, "{recall} {work:?}");
}

#[test]
fn graphs_by_hnsw_rs_answer_as_well() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shape = ShardShape { shard: ShardId::new(0), dim: Dim::new(DIM).unwrap(), metric: Metric::Cosine };
    let options =
        ShardOptions { graph_rows_min: 1_000, ..ShardOptions::server().with_graph(GraphEngine::HnswRs) };
    let options = ShardOptions { prices: Prices::Fixed(5), ..options };
    let shard = Shard::open(&io, Path::new("/recall"), shape, options).unwrap();
    let mut corpus = Corpus::new();
    corpus.write(&shard, 0..ROWS);
    shard.seal().unwrap();
    assert_eq!(build_graphs(&shard), 1);
    corpus.check(&shard, "hnsw_rs");
}

pub(super) fn build_graphs(shard: &Shard) -> usize {
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
    let has_codes =
        || shard.stats().segments.iter().map(|one| one.derived.byte_codes > 0).collect::<Vec<_>>();
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

/// The namespace of a record: one of six, of all sizes.
const fn space_of(number: u64) -> u64 {
    1 + number * number % 20
}

/// Writes records of a corpus into the namespaces that they belong to.
pub(super) fn write_spread(shard: &Shard, corpus: &mut Corpus, numbers: &[u64]) {
    let mut by_namespace: BTreeMap<u64, Vec<Record>> = BTreeMap::new();
    for number in numbers {
        let record = corpus.record(*number);
        corpus.records.insert(*number, record.clone());
        by_namespace.entry(space_of(*number)).or_default().push(record);
    }
    for (name, records) in by_namespace {
        shard.write(&namespace(name), Change::Upsert(records)).unwrap();
    }
}

/// A shard in which only whole segments are large enough for a graph.
pub(super) fn open_spread() -> Shard {
    let options = ShardOptions {
        coded_whole_rows_min: 500,
        graph_rows_min: 2_000,
        prices: Prices::Fixed(5),
        ..ShardOptions::server()
    };
    open_with(&(Arc::new(MemoryIo::new()) as SharedIo), options)
}

#[test]
fn a_shard_of_many_namespaces_gets_one_graph_when_nobody_writes() {
    let (shard, mut corpus) = (open_spread(), Corpus::new());
    let seal = |corpus: &mut Corpus, numbers: std::ops::Range<u64>| {
        write_spread(&shard, corpus, &numbers.collect::<Vec<u64>>());
        shard.seal().unwrap();
        // What a shard does while it is written to: nothing of this.
        assert_eq!(shard.step().unwrap(), Step::Idle);
    };
    let quiet = || shard.inner.quiet_step(shard.last_seq()).unwrap();
    seal(&mut corpus, 0..200);
    seal(&mut corpus, 200..450);
    assert_eq!(quiet(), Step::Idle, "too few rows for codes");
    seal(&mut corpus, 450..2_300);
    assert_eq!(build_graphs(&shard), 0);
    let before = shard.last_seq();
    write_spread(&shard, &mut corpus, &[0]);
    assert_eq!(shard.inner.quiet_step(before).unwrap(), Step::Idle, "somebody writes");
    assert!(matches!(quiet(), Step::Merged(Some(_))));
    assert_eq!(quiet(), Step::Idle);
    assert_eq!(build_graphs(&shard), 1);
    let (recall, work) = corpus.recall_in(&shard, Scope::All, None);
    assert!(recall >= 0.99 && work.graph_walks == 40, "{recall} {work:?}");
    seal(&mut corpus, 2_500..2_650);
    assert_eq!(quiet(), Step::Idle, "less than a sixteenth");
    seal(&mut corpus, 2_650..2_700);
    assert!(matches!(quiet(), Step::Merged(Some(_))));
    assert_eq!((shard.step().unwrap(), quiet()), (Step::Idle, Step::Idle));
    assert_eq!(build_graphs(&shard), 1);
}

#[test]
fn rows_that_died_are_not_among_those_that_are_brought_together() {
    let (shard, mut corpus) = (open_spread(), Corpus::new());
    // 400 rows of which most are overwritten once: 720 with the dead ones.
    for numbers in [0..400, 0..80, 80..160, 160..240, 240..320].map(Vec::from_iter) {
        write_spread(&shard, &mut corpus, &numbers);
        shard.seal().unwrap();
    }
    assert_eq!(shard.stats().segments.len(), 5);
    assert_eq!(shard.inner.quiet_step(shard.last_seq()).unwrap(), Step::Idle);
}

#[test]
fn a_quiet_memtable_is_sealed_before_rows_are_brought_together() {
    let (shard, mut corpus) = (open_spread(), Corpus::new());
    for numbers in [0..1_200, 1_200..2_400].map(Vec::from_iter) {
        write_spread(&shard, &mut corpus, &numbers);
        shard.seal().unwrap();
    }
    write_spread(&shard, &mut corpus, &Vec::from_iter(2_400..8_000));
    let quiet = || shard.inner.quiet_step(shard.last_seq()).unwrap();
    assert!(matches!(quiet(), Step::Sealed(_)), "more than a MiB");
    assert!(matches!(quiet(), Step::Merged(Some(_))));
    assert_eq!(shard.stats().segments.len(), 1);
}

#[test]
fn searches_of_all_namespaces_find_what_a_scan_finds_by_codes_and_by_a_graph() {
    let (shard, mut corpus) = (open_spread(), Corpus::new());
    write_spread(&shard, &mut corpus, &(0..ROWS).collect::<Vec<u64>>());
    shard.seal().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(shard.derive(&pool, &|| false), Step::BuiltCodes);
    let filters = [1000.0, 500.0, 20.0].map(|bound| Filter::field("n", FieldTest::Lt(bound)));
    for filter in [None, Some(&filters[1]), Some(&filters[2])] {
        let (recall, work) = corpus.recall_in(&shard, Scope::All, filter);
        assert!(recall >= 0.99 && work.graph_walks == 0, "{recall} {work:?}");
        assert!(work.distances < 40 * 200, "codes choose: {work:?}");
    }
    assert_eq!(build_graphs(&shard), 1, "of all namespaces");
    for (filter, walks) in
        [(None, 40), (Some(&filters[0]), 40), (Some(&filters[1]), 40), (Some(&filters[2]), 0)]
    {
        let (recall, work) = corpus.recall_in(&shard, Scope::All, filter);
        assert!(recall >= 0.99 && work.graph_walks == walks, "{recall} {work:?}");
    }
    // What is overwritten is not found again.
    write_spread(&shard, &mut corpus, &(0..ROWS).step_by(3).collect::<Vec<u64>>());
    let (recall, _) = corpus.recall_in(&shard, Scope::All, None);
    assert!(recall >= 0.99, "{recall}");
}

#[test]
fn searches_that_leave_namespaces_out_find_what_a_shard_without_them_finds() {
    let (shard, mut corpus) = (open_spread(), Corpus::new());
    write_spread(&shard, &mut corpus, &(0..ROWS).collect::<Vec<u64>>());
    shard.seal().unwrap();
    let whole = corpus.records.clone();
    for has_graph in [false, true] {
        if has_graph {
            assert_eq!(build_graphs(&shard), 1, "of all namespaces");
        }
        for left_out in [&[1][..], &[1, 2, 5], &[1, 2, 5, 6, 10], &[99]] {
            corpus.records.clone_from(&whole);
            corpus.records.retain(|number, _| !left_out.contains(&space_of(*number)));
            assert!(corpus.records.len() >= 250, "the test needs some to be left");
            let numbers: Vec<NamespaceId> = left_out.iter().copied().map(NamespaceId::new).collect();
            let (recall, work) = corpus.recall_in(&shard, Scope::AllBut(&numbers), None);
            assert!(recall >= 0.99, "without {left_out:?}: {recall} {work:?}");
        }
    }
}

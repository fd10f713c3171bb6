//! Graphs are tested by what people ask, once they have asked enough; what they asked goes with its namespace.

use super::{DIM, DIR, id, metadata, namespace, shape};
use crate::{
    Asked, Change, PartRecall, Prices, Query, QuestionsKept, Reason, Scope, Shard, ShardOptions, Step, Tier,
    Way, rows::part::Part,
};
use pinyon_storage::io::{MemoryIo, SharedIo, write_file_atomically};
use pinyon_types::{Dim, FieldTest, Filter, ManualClock, Metric, Record, SeededRng, TopK, Vector};
use std::{path::Path, sync::Arc, time::Duration};

const ROWS: u64 = 1_500;

fn options() -> ShardOptions {
    let clock = ManualClock::default();
    clock.advance(Duration::from_secs(7));
    let options = ShardOptions {
        coded_rows_min: 20,
        graph_rows_min: 500,
        prices: Prices::Fixed(0),
        ..super::options()
    };
    ShardOptions { seal_bytes: 1 << 20, clock: Some(Arc::new(clock)), ..options }
}

fn open(io: &SharedIo, options: ShardOptions) -> Shard {
    Shard::open(io, Path::new(DIR), shape(Metric::Cosine), options).unwrap()
}

fn vector(rng: &mut SeededRng) -> Vector {
    let components: Vec<f32> = (0..DIM).map(|_| (rng.unit() - 0.5) as f32).collect();
    Vector::new(components, Dim::new(DIM as u32).unwrap()).unwrap()
}

fn derive(shard: &Shard) -> Vec<Step> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    std::iter::repeat_with(|| shard.derive(&pool, &|| false)).take_while(|step| *step != Step::Idle).collect()
}

/// Writes and seals so many rows of one namespace.
fn fill(shard: &Shard, rows: u64) {
    let mut rng = SeededRng::new(1);
    let record = |number| Record {
        id: id(&format!("r{number:04}")),
        vector: vector(&mut rng),
        sparse: None,
        metadata: metadata(&[]),
    };
    let records: Vec<Record> = (0..rows).map(record).collect();
    for some in records.chunks(500) {
        shard.write(&namespace(1), Change::Upsert(some.to_vec())).unwrap();
    }
    shard.seal().unwrap();
}

/// A shard with a graph of one namespace.
fn with_graph(options: ShardOptions) -> Shard {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io, options);
    fill(&shard, ROWS);
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::BuiltGraph]);
    shard
}

fn ask(shard: &Shard, numbers: std::ops::Range<u64>, top_k: u32, filter: Option<&Filter>) {
    for number in numbers {
        let vector = vector(&mut SeededRng::new(100 + number));
        let query = Query { filter, ..Query::dense(&vector, TopK::new(top_k).unwrap()) };
        shard.search(Scope::Namespaces(&[namespace(1)]), query, &|| false).unwrap();
    }
}

fn only(shard: &Shard) -> PartRecall {
    let [part]: [PartRecall; 1] = shard.recalls().try_into().unwrap();
    part
}

fn asked(part: &PartRecall) -> (Asked, usize) {
    let recall = part.recall.unwrap();
    assert!(recall.lower <= recall.mean && recall.mean <= recall.upper, "{recall:?}");
    (recall.asked, recall.queries)
}

#[test]
fn sixty_four_questions_decide_instead_of_probes_and_more_of_them_again() {
    let shard = with_graph(ShardOptions { recall_min: 0.9, ..options() });
    let part = only(&shard);
    assert_eq!(
        (part.tier, part.rows, part.is_enough, part.since_us),
        (Tier::Graph, 1_500, true, Some(7_000_000))
    );
    assert_eq!(asked(&part).0, Asked::Probes);
    ask(&shard, 0..63, 10, None);
    assert_eq!(derive(&shard), []);
    // The same again says nothing new.
    ask(&shard, 0..63, 10, None);
    assert_eq!(derive(&shard), []);
    ask(&shard, 63..64, 10, None);
    assert_eq!(derive(&shard), [Step::Calibrated]);
    assert_eq!(asked(&only(&shard)), (Asked::Questions, 64));
    ask(&shard, 64..95, 10, None);
    assert_eq!(derive(&shard), []);
    ask(&shard, 95..96, 10, None);
    assert_eq!(derive(&shard), [Step::Calibrated]);
}

#[test]
fn questions_that_are_too_few_to_be_sure_do_not_undo_what_was_sure() {
    let shard = with_graph(options());
    let before = only(&shard);
    assert!(before.is_enough && asked(&before).0 == Asked::Probes, "{before:?}");
    ask(&shard, 0..64, 10, None);
    assert_eq!(derive(&shard), [Step::Calibrated]);
    let part = only(&shard);
    assert_eq!((asked(&part), part.tier, part.is_enough), ((Asked::Questions, 64), Tier::Graph, true));
    assert!(part.ef >= before.ef, "{part:?}");
}

#[test]
fn questions_under_a_filter_count_as_well() {
    let shard = with_graph(options());
    let filter = Filter::field("n", FieldTest::Lt(500.0));
    ask(&shard, 0..64, 10, Some(&filter));
    assert_eq!(derive(&shard), [Step::Calibrated]);
    assert_eq!(asked(&only(&shard)), (Asked::Questions, 64));
}

#[test]
fn questions_for_many_results_are_not_kept_and_none_where_that_is_not_wanted() {
    let shard = with_graph(options());
    ask(&shard, 0..70, 101, None);
    assert_eq!((shard.inner.questions.bytes(), derive(&shard)), (0, vec![]));
    let shard = with_graph(ShardOptions { questions_kept: QuestionsKept::None, ..options() });
    ask(&shard, 0..70, 10, None);
    assert_eq!((shard.inner.questions.bytes(), derive(&shard)), (0, vec![]));
}

#[test]
fn questions_go_with_their_namespace() {
    let part = Part::Namespace(namespace(1).id());
    for last in [Change::DeleteAll, Change::DeleteMatching(Filter::field("none", FieldTest::Exists(false)))] {
        let shard = with_graph(options());
        ask(&shard, 0..20, 10, None);
        let ids = (0..10).map(|number| id(&format!("r{number:04}"))).collect();
        shard.write(&namespace(1), Change::DeleteIds(ids)).unwrap();
        assert_eq!(shard.inner.questions.count(part), 20, "it is still there");
        shard.write(&namespace(1), last).unwrap();
        assert_eq!(shard.inner.questions.count(part), 0);
    }
}

#[test]
fn a_graph_that_is_not_sure_to_reach_its_recall_is_kept_and_answers_only_where_scans_take_too_long() {
    // Nobody can be sure of finding everything.
    let demanding = || ShardOptions { recall_min: 1.0, ..options() };
    let way = |shard: &Shard| {
        let (clock, vector) = (ManualClock::default(), vector(&mut SeededRng::new(5)));
        let query = Query { explain: Some(&clock), ..Query::dense(&vector, TopK::new(10).unwrap()) };
        let found = shard.search(Scope::Namespaces(&[namespace(1)]), query, &|| false).unwrap();
        let part = found.explanation.unwrap().parts.remove(0);
        (part.ways, part.reasons)
    };
    let shard = with_graph(demanding());
    let part = only(&shard);
    assert_eq!((part.tier, part.reason, part.is_enough), (Tier::Codes, Some(Reason::GraphBelowTarget), true));
    assert_eq!(way(&shard), (vec![Way::Bytes], vec![Reason::GraphBelowTarget]));
    assert_eq!(shard.stats().segments[0].graphs, 1, "it was built for minutes");
    let shard = with_graph(ShardOptions { scan_ms_max: 0, ..demanding() });
    let part = only(&shard);
    assert_eq!((part.tier, part.reason, part.is_enough), (Tier::Graph, Some(Reason::ScanIsTooLong), false));
    assert_eq!(way(&shard), (vec![Way::Graph], vec![Reason::ScanIsTooLong]));
}

#[test]
fn what_a_test_found_is_told_again_after_a_start() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io, options());
    fill(&shard, 600);
    derive(&shard);
    let before = only(&shard);
    shard.close().unwrap();
    let shard = open(&io, options());
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::LoadedGraph]);
    assert_eq!(only(&shard), before);
}

fn on_disk() -> ShardOptions {
    ShardOptions { questions_kept: QuestionsKept::Disk, ..options() }
}

const SAMPLE: &str = "/data/shard/questions.namespace-0000000000000001.sample";

/// Sixty-four questions of a shard that has ended.
fn with_sample() -> Arc<MemoryIo> {
    let memory = Arc::new(MemoryIo::new());
    let io: SharedIo = Arc::clone(&memory) as SharedIo;
    let shard = open(&io, on_disk());
    fill(&shard, 600);
    ask(&shard, 0..64, 10, None);
    let built = [Step::BuiltCodes, Step::BuiltGraph, Step::KeptQuestions];
    assert_eq!(derive(&shard), built);
    ask(&shard, 64..70, 10, None);
    shard.close().unwrap();
    memory
}

#[test]
fn questions_on_disk_are_known_after_a_restart_and_no_test_is_done_again_for_them() {
    let io: SharedIo = with_sample();
    let shard = open(&io, on_disk());
    assert_eq!(shard.inner.questions.count(Part::Namespace(namespace(1).id())), 70);
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::LoadedGraph]);
    assert_eq!(asked(&only(&shard)).0, Asked::Questions);
}

#[test]
fn questions_on_disk_go_with_their_namespace_also_if_a_crash_came_between() {
    let io: SharedIo = with_sample();
    let sample = io.read(Path::new(SAMPLE)).unwrap();
    let shard = open(&io, on_disk());
    shard.write(&namespace(1), Change::DeleteAll).unwrap();
    assert!(!io.exists(Path::new(SAMPLE)).unwrap());
    shard.close().unwrap();
    write_file_atomically(&*io, Path::new(SAMPLE), &sample).unwrap();
    let shard = open(&io, on_disk());
    assert!(!io.exists(Path::new(SAMPLE)).unwrap());
    assert_eq!(shard.inner.questions.bytes(), 0);
}

#[test]
fn questions_are_removed_from_the_disk_where_they_are_not_wanted_there_any_longer() {
    for questions_kept in [QuestionsKept::Memory, QuestionsKept::None] {
        let io: SharedIo = with_sample();
        let shard = open(&io, ShardOptions { questions_kept, ..options() });
        assert!(!io.exists(Path::new(SAMPLE)).unwrap());
        assert_eq!(shard.inner.questions.bytes(), 0);
    }
}

#[test]
fn a_damaged_sample_is_left_out_and_changes_nothing_else() {
    let io: SharedIo = with_sample();
    let good = io.read(Path::new(SAMPLE)).unwrap();
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        write_file_atomically(&*io, Path::new(SAMPLE), &bad).unwrap();
        let shard = open(&io, on_disk());
        assert_eq!(shard.inner.questions.bytes(), 0, "{at}");
        assert_eq!(shard.count(&namespace(1), None).unwrap(), 600);
        assert!(!io.exists(Path::new(SAMPLE)).unwrap(), "{at}");
    }
}

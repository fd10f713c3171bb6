//! Graphs in files: a restart reads what an earlier run built, and whatever is wrong with such a file, and whenever the
//! machine stops, searches find what they would find without it.

mod budget;
mod crash;
mod damage;
mod hysteresis;

use super::{DIM, DIR, id, metadata, namespace, shape};
use crate::{Change, Prices, Query, Scope, Shard, ShardOptions, Step};
use pinyon_index::Work;
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{Dim, Metric, Record, SeededRng, TopK, Vector};
use std::{ops::Range, path::Path, sync::Arc};

const ROWS: u64 = 300;
const QUERIES: usize = 12;

/// Codes and graphs for few rows, and graphs wherever there are any.
fn options() -> ShardOptions {
    let options = ShardOptions { coded_rows_min: 20, coded_whole_rows_min: 40, ..super::options() };
    // Of so few rows nobody can be sure that more than this is found.
    let options = ShardOptions { recall_min: 0.9, ..options };
    ShardOptions { graph_rows_min: 40, prices: Prices::Fixed(0), seal_bytes: 1 << 20, ..options }
}

fn open(io: &SharedIo, metric: Metric) -> Shard {
    Shard::open(io, Path::new(DIR), shape(metric), options()).unwrap()
}

fn memory() -> SharedIo {
    Arc::new(MemoryIo::new())
}

fn vector(rng: &mut SeededRng) -> Vector {
    let components: Vec<f32> = (0..DIM).map(|_| (rng.unit() - 0.5) as f32).collect();
    Vector::new(components, Dim::new(DIM as u32).unwrap()).unwrap()
}

fn records(numbers: Range<u64>, rng: &mut SeededRng) -> Change {
    let record = |number| {
        let (id, vector) = (id(&format!("r{number:04}")), vector(rng));
        Record { id, vector, sparse: None, metadata: metadata(&[]) }
    };
    Change::Upsert(numbers.map(record).collect())
}

fn write(shard: &Shard, numbers: Range<u64>, seed: u64) {
    shard.write(&namespace(1), records(numbers, &mut SeededRng::new(seed))).unwrap();
}

/// Derives on one thread until nothing is left to derive; what was done.
fn derive(shard: &Shard) -> Vec<Step> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    std::iter::repeat_with(|| shard.derive(&pool, &|| false)).take_while(|step| *step != Step::Idle).collect()
}

/// Every byte of what searches find, and what that cost.
fn answers(shard: &Shard) -> Vec<(String, Work)> {
    let mut rng = SeededRng::new(77);
    let mut answer = || {
        let vector = vector(&mut rng);
        let query = Query::dense(&vector, TopK::new(10).unwrap());
        let found = shard.search(Scope::Namespaces(&[namespace(1)]), query, &|| false).unwrap();
        let hits: Vec<_> = found.hits.iter().map(|hit| (hit.id().to_owned(), hit.distance())).collect();
        (format!("{hits:?}"), found.work)
    };
    (0..QUERIES).map(|_| answer()).collect()
}

/// The answers alone.
fn found(shard: &Shard) -> Vec<String> {
    answers(shard).into_iter().map(|(found, _)| found).collect()
}

/// A shard of one segment with codes and a graph, and what is on its disk.
fn with_graph(io: &SharedIo, metric: Metric) -> Shard {
    let shard = open(io, metric);
    write(&shard, 0..ROWS, 1);
    shard.seal().unwrap();
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::BuiltGraph]);
    shard
}

fn files(io: &SharedIo, ending: &str) -> Vec<String> {
    let names = io.list(Path::new(DIR)).unwrap();
    names.into_iter().filter(|name| name.ends_with(ending)).collect()
}

fn read(io: &SharedIo, name: &str) -> Vec<u8> {
    io.read(&Path::new(DIR).join(name)).unwrap()
}

fn put(io: &SharedIo, name: &str, bytes: &[u8]) {
    let path = Path::new(DIR).join(name);
    if io.exists(&path).unwrap() {
        io.remove(&path).unwrap();
    }
    io.create(&path).unwrap().write_at(bytes, 0).unwrap();
}

const GRAPH_FILE: &str = "segment-0000000000000001.namespace-0000000000000001.graph";

#[test]
fn a_restart_loads_the_graph_and_answers_to_the_bit_as_before() {
    for metric in [Metric::Cosine, Metric::DotProduct, Metric::Euclidean] {
        let io = memory();
        let shard = with_graph(&io, metric);
        let before = answers(&shard);
        assert!(before.iter().all(|(_, work)| work.graph_walks == 1), "the graph is in use");
        assert_eq!(files(&io, ".graph"), [GRAPH_FILE]);
        let bytes = shard.stats().derived_file_bytes;
        assert_eq!(bytes, read(&io, GRAPH_FILE).len() as u64);
        assert!(shard.stats().disk_bytes() > bytes);
        shard.close().unwrap();
        let shard = open(&io, metric);
        assert_eq!(derive(&shard), [Step::BuiltCodes, Step::LoadedGraph], "{metric}");
        assert_eq!(answers(&shard), before, "{metric}");
    }
}

#[test]
fn a_graph_that_was_tested_for_another_recall_is_built_again() {
    let io = memory();
    drop(with_graph(&io, Metric::Cosine));
    let reopen = |recall_min| {
        let options = ShardOptions { recall_min, ..options() };
        derive(&Shard::open(&io, Path::new(DIR), shape(Metric::Cosine), options).unwrap())
    };
    assert_eq!(reopen(0.8), [Step::BuiltCodes, Step::BuiltGraph]);
    assert_eq!(reopen(0.8), [Step::BuiltCodes, Step::LoadedGraph]);
}

#[test]
fn a_merge_takes_the_graphs_of_its_inputs_with_it() {
    let io = memory();
    let shard = with_graph(&io, Metric::Cosine);
    shard.write(&namespace(2), records(0..100, &mut SeededRng::new(2))).unwrap();
    write(&shard, ROWS - 50..ROWS + 50, 3);
    shard.seal().unwrap();
    derive(&shard);
    let before = files(&io, ".graph");
    assert_eq!(before.len(), 4, "of two namespaces and all rows of the segment that they share: {before:?}");
    assert!(matches!(shard.compact().unwrap(), Step::Merged(Some(_))));
    assert_eq!(files(&io, ".graph"), Vec::<String>::new());
    derive(&shard);
    assert_eq!(files(&io, ".graph").len(), 3);
    let before = found(&shard);
    drop(shard);
    let shard = open(&io, Metric::Cosine);
    assert_eq!(derive(&shard), [vec![Step::BuiltCodes], vec![Step::LoadedGraph; 3]].concat());
    assert_eq!(found(&shard), before);
}

#[test]
fn what_belongs_to_no_segment_is_removed_at_the_next_start() {
    let io = memory();
    drop(with_graph(&io, Metric::Cosine));
    let bytes = read(&io, GRAPH_FILE);
    let leftovers = [
        "segment-0000000000000002.namespace-0000000000000001.graph",
        "segment-0000000000000002.all.graph",
        "segment-0000000000000001.namespace-0000000000000001.graph.tmp",
        "nobody.graph",
    ];
    leftovers.iter().for_each(|name| put(&io, name, &bytes[..bytes.len() / 2]));
    let shard = open(&io, Metric::Cosine);
    assert_eq!(files(&io, ".graph"), [GRAPH_FILE]);
    assert_eq!(files(&io, ".tmp"), Vec::<String>::new());
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::LoadedGraph]);
}

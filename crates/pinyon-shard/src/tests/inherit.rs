//! What graphs have from those of the segments that theirs was merged from.

use super::{
    id, namespace,
    recall::{Corpus, ROWS, build_graphs, open, open_spread, write_spread},
};
use crate::{
    Change, MemoryBudget, Scope, Shard, ShardOptions, Step, derived::graphs::GRAPH_OPTIONS, rows::part::Part,
};
use pinyon_index::CodeGraph;
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::ManualClock;
use std::{path::Path, sync::Arc};

/// Rows that need not be put into graphs that are still to be built, by segment and part.
fn sound_rows(shard: &Shard) -> Vec<usize> {
    let state = shard.inner.snapshot.load();
    let segments = state.layers.iter().filter_map(|view| view.layer.segment());
    segments.flat_map(|segment| segment.inherited().sound_rows()).collect()
}

/// A tenth of the rows with a graph dies, a few come, and all are merged.
fn merged(shard: &Shard, corpus: &mut Corpus) {
    corpus.write(shard, 0..ROWS);
    shard.seal().unwrap();
    assert_eq!(build_graphs(shard), 1);
    let gone: Vec<u64> = (0..ROWS).step_by(10).collect();
    gone.iter().for_each(|number| drop(corpus.records.remove(number)));
    let ids = gone.iter().map(|number| id(&format!("r{number}"))).collect();
    shard.write(&namespace(1), Change::DeleteIds(ids)).unwrap();
    corpus.write(shard, ROWS..ROWS + 200);
    shard.compact().unwrap();
}

#[test]
fn a_graph_begins_with_the_links_of_the_one_that_its_rows_were_in() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let (shard, mut corpus) = (open(&io), Corpus::new());
    merged(&shard, &mut corpus);
    let sound = sound_rows(&shard);
    assert!(matches!(sound[..], [rows] if rows > 2_000 && rows <= 2_700), "{sound:?}");
    assert_eq!(build_graphs(&shard), 1);
    assert_eq!(sound_rows(&shard), [], "nobody needs it twice");
    corpus.check(&shard, "merged");
}

#[test]
fn a_start_before_it_is_built_builds_it_from_nothing() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let mut corpus = Corpus::new();
    merged(&open(&io), &mut corpus);
    let shard = open(&io);
    assert_eq!(sound_rows(&shard), []);
    assert_eq!(build_graphs(&shard), 1);
    corpus.check(&shard, "started again");
}

#[test]
fn a_beginning_that_spoils_a_graph_is_thrown_away() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let (shard, mut corpus) = (open(&io), Corpus::new());
    merged(&shard, &mut corpus);
    let state = shard.inner.snapshot.load();
    let segment = state.layers[0].layer.segment().unwrap();
    let part = Part::Namespace(namespace(1).id());
    // A graph in which every row is linked to those that another row is near to.
    let codes = segment.codes(part).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let graph =
        CodeGraph::build(Arc::clone(codes.bytes_codes()), GRAPH_OPTIONS, 1, &|| false, &pool).unwrap();
    let rows = segment.len();
    let scrambled = |row: u32| Some((row as usize * 7_919 % rows as usize) as u32);
    let beginning = pinyon_index::Graph::beginning(&graph, rows as usize, &scrambled).unwrap();
    assert_eq!(beginning.sound_rows(), rows as usize);
    segment.inherited().keep(part, Some(beginning));
    assert_eq!(build_graphs(&shard), 1);
    corpus.check(&shard, "built from nothing");
}

#[test]
fn graphs_of_whole_segments_inherit_as_well() {
    let (shard, mut corpus) = (open_spread(), Corpus::new());
    write_spread(&shard, &mut corpus, &Vec::from_iter(0..2_400));
    shard.seal().unwrap();
    assert_eq!(build_graphs(&shard), 1);
    write_spread(&shard, &mut corpus, &Vec::from_iter(2_300..3_400));
    shard.seal().unwrap();
    assert!(matches!(shard.inner.quiet_step(shard.last_seq()).unwrap(), Step::Merged(Some(_))));
    let sound = sound_rows(&shard);
    assert!(matches!(sound[..], [rows] if rows > 2_000 && rows <= 2_300), "{sound:?}");
    assert_eq!(build_graphs(&shard), 1);
    let (recall, work) = corpus.recall_in(&shard, Scope::All, None);
    assert!(recall >= 0.99 && work.graph_walks == 40, "{recall} {work:?}");
}

#[test]
fn under_a_limit_on_memory_nothing_is_kept_that_is_not_counted() {
    let budget = Arc::new(MemoryBudget::new(1 << 30, Arc::new(ManualClock::default())));
    let options = ShardOptions { memory: Some(budget), graph_rows_min: 1_000, ..ShardOptions::server() };
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = Shard::open(&io, Path::new("/recall"), open(&io).shape(), options).unwrap();
    merged(&shard, &mut Corpus::new());
    assert_eq!(sound_rows(&shard), []);
    assert_eq!(build_graphs(&shard), 1);
}

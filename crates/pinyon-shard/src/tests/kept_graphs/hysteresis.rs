//! What had codes or a graph keeps them down to half of the rows that the first ones take.

use super::*;
use crate::ShardStats;

/// A shard whose namespace has so many rows with a graph.
fn with_rows(io: &SharedIo, rows: u64) -> Shard {
    let shard = open(io, Metric::Cosine);
    write(&shard, 0..rows, 1);
    shard.seal().unwrap();
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::BuiltGraph]);
    shard
}

/// Deletes rows and merges.
fn shrink(shard: &Shard, numbers: Range<u64>) {
    let ids = numbers.map(|number| id(&format!("r{number:04}"))).collect();
    shard.write(&namespace(1), Change::DeleteIds(ids)).unwrap();
    assert!(matches!(shard.compact().unwrap(), Step::Merged(Some(_))));
}

fn has_codes(stats: &ShardStats) -> bool {
    stats.segments.iter().all(|segment| segment.derived.byte_codes > 0)
}

#[test]
fn a_graph_is_kept_down_to_half_of_the_rows_and_over_a_start() {
    let io = memory();
    let shard = with_rows(&io, 42);
    shrink(&shard, 0..10);
    assert_eq!(derive(&shard), [Step::BuiltGraph], "of 32 rows, where the first takes 40");
    let before = found(&shard);
    let shard = open(&io, Metric::Cosine);
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::LoadedGraph]);
    assert_eq!(found(&shard), before);
    shrink(&shard, 10..21);
    assert_eq!(derive(&shard), [Step::BuiltGraph], "of 21");
    shrink(&shard, 21..23);
    assert_eq!(derive(&shard), [], "of 19");
    write(&shard, 100..110, 2);
    shard.seal().unwrap();
    shard.compact().unwrap();
    assert_eq!(derive(&shard), [], "what was lost comes back at the limit");
    write(&shard, 110..121, 3);
    shard.seal().unwrap();
    shard.compact().unwrap();
    assert_eq!(derive(&shard), [Step::BuiltGraph]);
}

#[test]
fn what_never_had_a_graph_gets_none_below_the_limit_nor_does_a_merge_that_a_start_follows() {
    let io = memory();
    let shard = open(&io, Metric::Cosine);
    write(&shard, 0..39, 1);
    shard.seal().unwrap();
    assert_eq!(derive(&shard), [Step::BuiltCodes]);
    shrink(&shard, 0..2);
    assert_eq!(derive(&shard), []);
    let io = memory();
    shrink(&with_rows(&io, 42), 0..10);
    assert_eq!(derive(&open(&io, Metric::Cosine)), [Step::BuiltCodes]);
}

#[test]
fn codes_are_kept_down_to_half_of_the_rows() {
    let io = memory();
    let shard = with_rows(&io, 40);
    shrink(&shard, 0..30);
    assert!(has_codes(&shard.stats()), "of ten rows, where the first take 20");
    shrink(&shard, 30..31);
    assert!(!has_codes(&shard.stats()));
    write(&shard, 100..110, 2);
    shard.seal().unwrap();
    shard.compact().unwrap();
    assert_eq!(derive(&shard), [], "19 rows");
}

#[test]
fn the_graph_of_a_segment_is_not_one_of_its_namespaces() {
    let io = memory();
    let shard = open(&io, Metric::Cosine);
    let write = |name: u64, numbers: Range<u64>| {
        shard.write(&namespace(name), records(numbers, &mut SeededRng::new(name))).unwrap();
    };
    (1..4).for_each(|name| write(name, 0..25));
    shard.seal().unwrap();
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::BuiltGraph], "of all");
    write(4, 0..5);
    shard.compact().unwrap();
    assert_eq!(derive(&shard), [Step::BuiltGraph], "of all again");
    assert_eq!(files(&io, ".graph").len(), 1);
}

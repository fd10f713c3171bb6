//! Coding gives way: to a stop, and within a merge to whoever waits for the merge's end.

use super::{
    namespace,
    recall::{Corpus, open, open_with},
};
use crate::{Scope, Shard, ShardOptions, Step, rows::part::Part};
use pinyon_storage::io::{MemoryIo, SharedIo};
use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering},
};

const ROWS: u64 = 300;

fn memory() -> SharedIo {
    Arc::new(MemoryIo::new())
}

/// How many segments have codes of how many.
fn coded(shard: &Shard) -> (usize, usize) {
    let stats = shard.stats();
    (stats.segments.iter().filter(|one| one.derived.byte_codes > 0).count(), stats.segments.len())
}

fn code(shard: &Shard) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    while shard.derive(&pool, &|| false) != Step::Idle {}
}

/// As many segments with codes as are merged.
fn to_be_merged(shard: &Shard, corpus: &mut Corpus) {
    let fan_in = ShardOptions::server().merge_fan_in as u64;
    for segment in 0..fan_in {
        corpus.write(shard, segment * ROWS..(segment + 1) * ROWS);
        shard.seal().unwrap();
    }
    code(shard);
    assert_eq!(coded(shard), (fan_in as usize, fan_in as usize));
}

/// Merges; whether the segment had codes when the merge was done. Afterwards it has them in any case.
fn merges_with_codes(shard: &Shard, corpus: &mut Corpus) -> bool {
    assert!(matches!(shard.step().unwrap(), Step::Merged(Some(_))));
    let (with_codes, segments) = coded(shard);
    assert_eq!(segments, 1);
    corpus.check(shard, "merged");
    code(shard);
    assert_eq!(coded(shard), (1, 1), "what was left for later was made later");
    corpus.check(shard, "coded");
    with_codes == 1
}

#[test]
fn a_merge_that_nobody_waits_for_carries_codes_over() {
    let (shard, mut corpus) = (open(&memory()), Corpus::new());
    to_be_merged(&shard, &mut corpus);
    assert!(merges_with_codes(&shard, &mut corpus));
}

#[test]
fn a_merge_that_a_step_waits_for_leaves_coding_for_later() {
    let (shard, mut corpus) = (open(&memory()), Corpus::new());
    to_be_merged(&shard, &mut corpus);
    shard.inner.waiting.fetch_add(1, Ordering::AcqRel);
    assert!(!merges_with_codes(&shard, &mut corpus));
    assert_eq!(shard.inner.waiting.load(Ordering::Acquire), 1, "steps count only while they wait");
}

#[test]
fn a_merge_that_the_end_waits_for_leaves_coding_for_later() {
    let (shard, mut corpus) = (open(&memory()), Corpus::new());
    to_be_merged(&shard, &mut corpus);
    shard.inner.bell.set_ending(true);
    assert!(!merges_with_codes(&shard, &mut corpus));
}

#[test]
fn a_merge_leaves_coding_for_later_before_writers_have_to_wait() {
    // Nothing is sealed before its time, so that a merge finds a memtable of any size.
    let options = ShardOptions { seal_bytes: usize::MAX, ..ShardOptions::server() };
    let (shard, mut corpus) =
        (open_with(&memory(), ShardOptions { backlog_bytes_max: 200_000, ..options }), Corpus::new());
    to_be_merged(&shard, &mut corpus);
    corpus.write(&shard, 10_000..10_000 + ROWS);
    assert!(shard.stats().memtable_bytes >= 100_000, "{}", shard.stats().memtable_bytes);
    assert!(!merges_with_codes(&shard, &mut corpus));
}

#[test]
fn a_stop_ends_coding_at_its_next_look_and_leaves_nothing_half_made() {
    let (shard, mut corpus) = (open(&memory()), Corpus::new());
    corpus.write(&shard, 0..5 * ROWS);
    shard.seal().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut stopped = 0;
    loop {
        let looks = Cell::new(0);
        let stop = || looks.replace(looks.get() + 1) >= stopped;
        match shard.derive(&pool, &stop) {
            Step::Stopped => assert_eq!(looks.get(), stopped + 1, "it was told once"),
            step => break assert_eq!(step, Step::BuiltCodes),
        }
        let state = shard.inner.snapshot.load();
        let part = Part::Namespace(namespace(1).id());
        assert!(state.layers[0].layer.segment().unwrap().codes(part).is_none());
        stopped += 1;
    }
    assert!(stopped > 5, "{stopped}");
    corpus.check(&shard, "coded");
    let scope = [namespace(1)];
    assert!(corpus.recall_in(&shard, Scope::Namespaces(&scope), None).1.code_distances > 0);
}

//! Every call fails once; every moment is a crash. In each case the shard opens again and holds every acknowledged
//! write, and of an unacknowledged one all or nothing.

use super::{
    DIR, namespace, open,
    operations::{Model, NAMESPACES, random_change},
    upsert,
};
use crate::{Change, Shard, ShardError, Step};
use pinyon_storage::{
    io::{Fault, FaultDisk, FaultKind, Io, Keep, SharedIo},
    manifest,
    segment::segment_file_name,
};
use pinyon_types::{Metric, SeededRng, SegmentId};
use std::{collections::BTreeSet, path::Path, sync::Arc};

fn shared(disk: &FaultDisk) -> SharedIo {
    Arc::new(disk.clone())
}

/// A scripted run: what was acknowledged, and the change that was under way when it ended.
struct Run {
    /// After how many journalled operations the model held.
    acknowledged: Vec<(usize, Model)>,
    attempted: Option<(u64, Change)>,
}

impl Run {
    fn durable_at(&self, operations: usize) -> (&Model, Option<&Model>) {
        let at = self.acknowledged.partition_point(|(after, _)| *after <= operations);
        (&self.acknowledged[at - 1].1, self.acknowledged.get(at).map(|one| &one.1))
    }

    fn last(&self) -> &Model {
        &self.acknowledged.last().unwrap().1
    }
}

/// Writes, seals, merges and reopens until something fails or the script ends.
fn run(disk: &FaultDisk, seed: u64, steps: u32) -> Run {
    let mut rng = SeededRng::new(seed);
    let mut run = Run { acknowledged: vec![(0, Model::default())], attempted: None };
    let mut opened = open(&shared(disk), Metric::Cosine).ok();
    for step in 0..steps {
        let Some(shard) = opened.clone() else { break };
        let space = rng.below(NAMESPACES);
        let change = random_change(&mut rng);
        let mut model = run.last().clone();
        model.apply(space, &change);
        match shard.write(&namespace(space), change.clone()) {
            Ok(_) => run.acknowledged.push((disk.op_count(), model)),
            // What was not written for lack of space is known not to be there; the run goes on.
            Err(ShardError::NotWritten { .. }) => {}
            Err(_) => {
                run.attempted = Some((space, change));
                break;
            }
        }
        // A failed background step must leave everything as it was.
        match step % 7 {
            1 => drop(shard.inner.quiet_step(shard.last_seq())),
            2 => drop(shard.seal()),
            4 => while matches!(shard.step(), Ok(done) if done != Step::Idle) {},
            5 if rng.below(3) == 0 => drop(shard.compact()),
            6 => opened = reopen(shard, disk),
            _ => {}
        }
    }
    run
}

fn reopen(shard: Shard, disk: &FaultDisk) -> Option<Shard> {
    // Half of the restarts are clean.
    if shard.last_seq().get().is_multiple_of(2) {
        let _ = shard.close();
    }
    drop(shard);
    open(&shared(disk), Metric::Cosine).ok()
}

pub(super) fn contents(shard: &Shard) -> Model {
    let mut model = Model::default();
    for space in 0..NAMESPACES {
        let ids = shard.list(&namespace(space), "", None, 1000).unwrap().ids;
        let records = shard.fetch(&namespace(space), &ids).unwrap();
        let records = records.into_iter().map(|one| (one.record.id.clone(), one.record));
        model.0.insert(space, records.collect());
    }
    model.0.retain(|_, records| !records.is_empty());
    model
}

pub(super) fn without_empty(model: &Model) -> Model {
    let mut model = model.clone();
    model.0.retain(|_, records| !records.is_empty());
    model
}

#[test]
fn every_crash_keeps_acknowledged_writes_and_no_half_of_any_other() {
    let mut images = 0;
    for seed in 1..=3 {
        let disk = FaultDisk::new();
        let run = run(&disk, seed, 45);
        assert!(run.attempted.is_none() && run.acknowledged.len() == 46, "the script itself must not fail");
        for at in 0..=disk.op_count() {
            let coin = seed * 1000 + at as u64;
            for keep in
                [Keep::Nothing, Keep::Everything, Keep::Random { seed: coin }, Keep::Torn { seed: coin }]
            {
                let image = disk.crash_image(at, keep);
                let context = format!("seed {seed}, crash at {at}, {keep:?}");
                let shard = open(&shared(&image), Metric::Cosine)
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
                let (durable, next) = run.durable_at(at);
                let found = contents(&shard);
                let is_next = next.is_some_and(|next| found == without_empty(next));
                assert!(found == without_empty(durable) || is_next, "{context}");
                images += 1;
            }
        }
    }
    assert!(images > 3_000, "only {images} images");
}

#[test]
fn a_crash_while_recovering_from_a_crash_changes_nothing() {
    let disk = FaultDisk::new();
    let run = run(&disk, 9, 30);
    for at in (0..=disk.op_count()).step_by(5) {
        let first = disk.crash_image(at, Keep::Torn { seed: at as u64 });
        let expected = contents(&open(&shared(&first), Metric::Cosine).unwrap());
        // The first image was changed by its recovery: every moment of that is a second crash.
        for again in 0..=first.op_count() {
            let second = first.crash_image(again, Keep::Random { seed: again as u64 });
            let shard = open(&shared(&second), Metric::Cosine)
                .unwrap_or_else(|error| panic!("{at}, {again}: {error}"));
            let found = contents(&shard);
            let (durable, _) = run.durable_at(at);
            assert!(found == expected || found == without_empty(durable), "crash at {at}, again at {again}");
        }
    }
}

#[test]
fn every_call_may_fail_and_nothing_acknowledged_is_lost() {
    let mut faults = 0;
    for kind in [FaultKind::Broken, FaultKind::Full, FaultKind::Short] {
        for lasting in [false, true] {
            for call in 0.. {
                let disk = FaultDisk::new();
                disk.fail(Some(Fault { call, kind, lasting }));
                let run = run(&disk, 4, 26);
                let is_over = disk.calls() <= call;
                disk.fail(None);
                let context = format!("{kind:?} at call {call}, lasting {lasting}");
                // What a power loss leaves after the fault must be as good as what the fault itself leaves.
                let image = disk.crash_image(disk.op_count(), Keep::Random { seed: call });
                check_after_fault(&disk, &run, &context);
                check_after_fault(&image, &run, &format!("{context}, then power loss"));
                faults += 1;
                if is_over {
                    break;
                }
            }
        }
    }
    assert!(faults > 600, "only {faults} faults");
}

/// What was read back at a start lies in older logs, and the current one is empty.
#[test]
fn a_crash_in_a_seal_that_is_the_first_thing_after_a_start_changes_nothing() {
    let disk = FaultDisk::new();
    let shard = open(&shared(&disk), Metric::Cosine).unwrap();
    let mut rng = SeededRng::new(12);
    for space in 0..NAMESPACES {
        shard.write(&namespace(space), upsert(2, &mut rng)).unwrap();
    }
    let expected = contents(&shard);
    drop(shard);
    let shard = open(&shared(&disk), Metric::Cosine).unwrap();
    let before = disk.op_count();
    assert!(matches!(shard.seal().unwrap(), Step::Sealed(_)));
    for at in before..=disk.op_count() {
        for keep in [Keep::Nothing, Keep::Everything, Keep::Random { seed: at as u64 }] {
            let image = disk.crash_image(at, keep);
            let opened = open(&shared(&image), Metric::Cosine);
            let opened = opened.unwrap_or_else(|error| panic!("crash at {at}, {keep:?}: {error}"));
            assert_eq!(contents(&opened), expected, "crash at {at}, {keep:?}");
        }
    }
    // The log that was current is current still, and takes what comes.
    shard.write(&namespace(0), upsert(1, &mut rng)).unwrap();
    let expected = contents(&shard);
    drop(shard);
    assert_eq!(contents(&open(&shared(&disk), Metric::Cosine).unwrap()), expected);
}

#[test]
fn everybody_who_waits_hears_of_a_failed_write() {
    let disk = FaultDisk::new();
    let shard = open(&shared(&disk), Metric::Cosine).unwrap();
    let mut rng = SeededRng::new(8);
    std::thread::scope(|scope| {
        let writer = shard.inner.writer.lock().unwrap();
        let write = |space| {
            let (shard, change) = (shard.clone(), upsert(2, &mut rng));
            scope.spawn(move || shard.write(&namespace(space), change))
        };
        let writers: Vec<_> = (0..NAMESPACES).map(write).collect();
        while (shard.inner.queue.lock().unwrap().len() as u64) < NAMESPACES {
            std::thread::yield_now();
        }
        disk.fail(Some(Fault { call: disk.calls(), kind: FaultKind::Broken, lasting: true }));
        drop(writer);
        for writer in writers {
            assert!(writer.join().unwrap().is_err());
        }
    });
    // Nobody is left to lead, and whoever comes next is not kept waiting for it.
    assert!(shard.write(&namespace(0), upsert(1, &mut rng)).is_err());
    assert_eq!(contents(&shard), Model::default());
}

fn check_after_fault(disk: &FaultDisk, run: &Run, context: &str) {
    let shard = open(&shared(disk), Metric::Cosine).unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = contents(&shard);
    let mut attempted = run.last().clone();
    if let Some((space, change)) = &run.attempted {
        attempted.apply(*space, change);
    }
    let is_attempted = found == without_empty(&attempted);
    assert!(found == without_empty(run.last()) || is_attempted, "{context}");
    // It is not only readable: it goes on.
    let mut rng = SeededRng::new(5);
    shard
        .write(&namespace(0), super::upsert(2, &mut rng))
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    shard.compact().unwrap_or_else(|error| panic!("{context}: {error}"));
}

/// A merge writes a file as large as what it merges: on a full disk one that nothing needs would keep everything else from being written.
#[test]
fn a_merge_that_fails_leaves_no_file_that_nothing_names() {
    let dir = Path::new(DIR);
    let segments_of = |disk: &FaultDisk| {
        let named = manifest::load(disk, dir).unwrap().unwrap().segments;
        named.iter().map(|entry| segment_file_name(SegmentId::new(entry.id))).collect::<BTreeSet<_>>()
    };
    let mut failed = 0;
    for call in 0.. {
        let (disk, mut rng) = (FaultDisk::new(), SeededRng::new(5));
        let shard = open(&shared(&disk), Metric::Cosine).unwrap();
        for _ in 0..3 {
            shard.write(&namespace(1), upsert(20, &mut rng)).unwrap();
            shard.seal().unwrap();
        }
        let before = segments_of(&disk);
        disk.fail(Some(Fault { call: disk.calls() + call, kind: FaultKind::Full, lasting: false }));
        let merged = shard.compact();
        disk.fail(None);
        if merged.is_ok() {
            break;
        }
        let named = segments_of(&disk);
        let there: BTreeSet<String> =
            disk.list(dir).unwrap().into_iter().filter(|name| name.contains(".seg")).collect();
        // Once the new manifest stands, what it replaced is there until the next start.
        if named == before {
            assert_eq!(there, named, "call {call}");
            failed += 1;
        }
    }
    assert!(failed > 5, "{failed}");
}

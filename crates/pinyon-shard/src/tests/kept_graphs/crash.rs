//! Every call fails once, every moment is a crash, with graphs built, kept, loaded and merged away in between.

use super::*;
use pinyon_storage::io::{Fault, FaultDisk, FaultKind, Keep};
use std::collections::BTreeSet;

/// Fewer than elsewhere: there are many crashes.
const FEW: u64 = 45;

fn shared(disk: &FaultDisk) -> SharedIo {
    Arc::new(disk.clone())
}

/// The ids that a shard has, which say how far the script came.
fn ids(shard: &Shard) -> BTreeSet<String> {
    let page = shard.list(&namespace(1), "", None, 1000).unwrap();
    page.ids.iter().map(|id| id.as_str().to_owned()).collect()
}

/// Asserts that answers are those of a shard that never had a graph.
fn check(io: &SharedIo, context: &str) {
    let try_open = |graph_rows_min| {
        let options = ShardOptions { graph_rows_min, ..options() };
        Shard::open(io, Path::new(DIR), shape(Metric::Cosine), options)
            .unwrap_or_else(|error| panic!("{context}: {error}"))
    };
    let plain = found(&try_open(u32::MAX));
    let shard = try_open(options().graph_rows_min);
    derive(&shard);
    assert_eq!(found(&shard), plain, "{context}");
    let segments: BTreeSet<String> = files(io, ".seg").iter().map(|name| name.replace(".seg", "")).collect();
    for name in files(io, ".graph") {
        assert!(segments.contains(name.split('.').next().unwrap()), "{context}: {name} is left over");
    }
    assert_eq!(files(io, ".tmp"), Vec::<String>::new(), "{context}");
}

/// Builds, keeps, loads and merges away; stops where something fails that is not a graph's.
fn run(disk: &FaultDisk) -> Option<()> {
    let open = || Shard::open(&shared(disk), Path::new(DIR), shape(Metric::Cosine), options()).ok();
    let write = |shard: &Shard, numbers, seed| {
        shard.write(&namespace(1), records(numbers, &mut SeededRng::new(seed))).ok()
    };
    let shard = open()?;
    write(&shard, 0..FEW, 1)?;
    shard.seal().ok()?;
    derive(&shard);
    drop(shard);
    let shard = open()?;
    derive(&shard);
    write(&shard, FEW - 10..FEW + 5, 2)?;
    shard.compact().ok()?;
    derive(&shard);
    shard.close().ok()
}

#[test]
fn no_crash_leaves_a_graph_that_answers_wrongly_or_that_nobody_removes() {
    let disk = FaultDisk::new();
    run(&disk).expect("the script itself must not fail");
    for at in 0..=disk.op_count() {
        let seed = at as u64;
        for keep in [Keep::Nothing, Keep::Everything, Keep::Random { seed }, Keep::Torn { seed }] {
            let image = shared(&disk.crash_image(at, keep));
            check(&image, &format!("crash at {at}, {keep:?}"));
        }
    }
}

#[test]
fn no_failing_call_of_a_graph_file_stops_anything() {
    let mut faults = 0;
    for kind in [FaultKind::Broken, FaultKind::Full, FaultKind::Short] {
        for lasting in [false, true] {
            for call in 0.. {
                let disk = FaultDisk::new();
                let shard = open(&shared(&disk), Metric::Cosine);
                write(&shard, 0..ROWS, 1);
                shard.seal().unwrap();
                let before = disk.calls();
                disk.fail(Some(Fault { call: before + call, kind, lasting }));
                let steps = derive(&shard);
                let is_over = disk.calls() <= before + call;
                disk.fail(None);
                let context = format!("{kind:?} at call {call} of the graph, lasting {lasting}");
                assert_eq!(steps, [Step::BuiltCodes, Step::BuiltGraph], "{context}");
                assert_eq!((shard.poisoned(), shard.step_failure()), (None, None), "{context}");
                write(&shard, ROWS..ROWS + 1, 2);
                drop(shard);
                check(&shared(&disk), &context);
                faults += 1;
                if is_over {
                    break;
                }
            }
        }
    }
    assert!(faults > 30, "only {faults} faults");
}

#[test]
fn no_failing_call_while_a_graph_is_loaded_stops_anything() {
    let disk = FaultDisk::new();
    let ids_before = ids(&with_graph(&shared(&disk), Metric::Cosine));
    for call in 0.. {
        let image = disk.crash_image(disk.op_count(), Keep::Everything);
        let shard = open(&shared(&image), Metric::Cosine);
        let before = image.calls();
        image.fail(Some(Fault { call: before + call, kind: FaultKind::Broken, lasting: false }));
        let steps = derive(&shard);
        let is_over = image.calls() <= before + call;
        image.fail(None);
        let last = if is_over { Step::LoadedGraph } else { Step::BuiltGraph };
        assert_eq!(steps, [Step::BuiltCodes, last], "call {call}");
        assert_eq!((shard.poisoned(), ids(&shard)), (None, ids_before.clone()), "call {call}");
        drop(shard);
        check(&shared(&image), &format!("call {call} of loading"));
        if is_over {
            assert!(call > 1, "loading makes calls");
            break;
        }
    }
}

//! The whole engine on the fault disk: whenever the power is cut, and whichever call fails, it opens again with all that was acknowledged
//! and nothing that was refused; what had no answer is there as a whole or not at all.
//!
//! A slice of all cases is tried at a time: `PINYON_TEST_SEED`, else the day, says which, and `PINYON_TEST_ENGINE_DISK` how many of each
//! sweep, `all` for every one. A failure prints seed and case: with `PINYON_TEST_ENGINE_DISK_CASE` that one is tried alone.

mod oracle;
mod repairs;
mod workload;

use crate::{Change, Engine, EngineError, ErrorCode, MovePhase, Reach, SystemClock, VectorQuery};
use oracle::{Asked, History, State};
use pinyon_storage::io::{Fault, FaultDisk, FaultKind, Keep};
use pinyon_types::{Clock, SeededRng};
use std::{collections::BTreeSet, time::Duration};
use workload::{Life, SHARDS, TENANTS, attempt, open, record};

/// Changes in one life.
const CHANGES: usize = 60;

/// The cases that are tried of all there are.
struct Slice {
    seed: u64,
    /// `None` for all.
    cases: Option<usize>,
    /// The only one, if somebody asks for one.
    alone: Option<usize>,
}

impl Slice {
    /// The one that is asked for, else so many cases.
    fn of(cases: usize) -> Self {
        let today = SystemClock::new().now_us() / 86_400_000_000;
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
        let seed = number("PINYON_TEST_SEED").map_or(today, |seed: usize| seed as u64);
        let cases = match std::env::var("PINYON_TEST_ENGINE_DISK").as_deref() {
            Ok("all") => None,
            Ok(asked) => Some(asked.parse().expect("a number or all")),
            Err(_) => Some(cases),
        };
        Self { seed, cases, alone: number("PINYON_TEST_ENGINE_DISK_CASE") }
    }

    /// Those of `0..all`, spread over all of them.
    fn within(&self, all: usize) -> impl Iterator<Item = usize> + use<> {
        let Self { seed, cases, alone } = *self;
        println!("PINYON_TEST_SEED={seed}, {cases:?} of {all} cases");
        let stride = cases.map_or(1, |cases| all.div_ceil(cases.max(1)).max(1));
        (seed as usize % stride..all).step_by(stride).filter(move |_| alone.is_none()).chain(alone)
    }

    fn name(&self, case: usize) -> String {
        format!("PINYON_TEST_SEED={} PINYON_TEST_ENGINE_DISK_CASE={case}", self.seed)
    }
}

/// Looks at everything that an engine has, against what it may have after so many operations of the disk.
fn check(engine: &Engine, history: &History, at: usize, context: &str) {
    let mut found = BTreeSet::new();
    for tenant in TENANTS {
        let possible = history.possible(tenant, at);
        let is_it = |state: &State| State::of(engine, tenant, state.assigned) == *state;
        let has = || State::of(engine, tenant, None);
        assert!(possible.iter().any(is_it), "{context}: {tenant} has {:?}, may have {possible:?}", has());
        found.extend(has().records.into_keys().map(|id| (tenant.to_owned(), id)));
    }
    let query = VectorQuery::dense(vec![1.0, 2.0, 3.0, 4.0], Reach::All, 1_000);
    let answer = engine.query_vector(query).unwrap();
    let met: Vec<_> = answer.results.iter().map(|one| (one.tenant.to_string(), one.id.clone())).collect();
    assert_eq!(met.len(), found.len(), "{context}: a record was met twice, or one more than there is");
    assert!(met.into_iter().collect::<BTreeSet<_>>() == found && !answer.is_partial, "{context}");
    let diagnosis = engine.diagnose();
    assert!(diagnosis.findings.is_empty(), "{context}: {:?}", diagnosis.findings);
}

/// Takes steps until no move is worked at; then every tenant has one copy at most.
fn end_moves(engine: &Engine, context: &str) {
    let is_moving = || engine.moves().iter().any(|one| one.phase.is_worked_at());
    for _ in 0..1_000 {
        if !is_moving() {
            break;
        }
        engine.step();
    }
    assert!(engine.moves().iter().all(|one| one.phase.is_ended()), "{context}: {:?}", engine.moves());
    assert_eq!(engine.inner.routing.routes().copies_to_drop().iter().count(), 0, "{context}");
    let mut names = BTreeSet::new();
    let one_each = engine.inner.copies().all(|(_, copy)| names.insert(copy.namespace.name().clone()));
    assert!(one_each, "{context}: {:?}", engine.inner.copies().collect::<Vec<_>>());
}

/// Opens an engine on a disk and sees that it has what it may have, and that it goes on.
fn check_disk(disk: &FaultDisk, history: &History, at: usize, context: &str) {
    let engine = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    check(&engine, history, at, context);
    end_moves(&engine, context);
    check(&engine, history, at, &format!("{context}, once moves ended"));
    let mut rng = SeededRng::new(5);
    for shard in 0..SHARDS {
        let tenant = format!("new-{shard}");
        engine.assign(&tenant, shard).unwrap_or_else(|error| panic!("{context}: {error}"));
        let change = Change::Upsert(vec![record(&mut rng)]);
        engine.write(&tenant, change).unwrap_or_else(|error| panic!("{context}: {error}"));
    }
    engine.close().unwrap_or_else(|error| panic!("{context}: {error}"));
}

/// Whether an error is of what was asked, or names a file.
fn says_where(error: &EngineError) -> bool {
    use ErrorCode::{AlreadyExists, FailedPrecondition, NotFound};
    matches!(error.code, AlreadyExists | FailedPrecondition | NotFound) || error.message.contains('/')
}

#[test]
fn a_life_without_faults_does_the_same_twice_and_everything_that_there_is_to_do() {
    let lives = [1, 2].map(|_| {
        let disk = FaultDisk::new();
        let life = Life::of(&disk, 3, 200);
        (disk.calls(), disk.op_count(), life, disk)
    });
    assert_eq!((lives[0].0, lives[0].1), (lives[1].0, lives[1].1), "calls and operations of the disk");
    let (_, at, life, disk) = &lives[0];
    assert!(life.errors.iter().all(|error| error.code != ErrorCode::Internal), "{:?}", life.errors);
    // Rows were sealed and merged, and what searches are faster with was made.
    let engine = open(disk).unwrap();
    check(&engine, &life.history, *at, "at the end");
    let ended = |phase| engine.moves().iter().filter(|one| one.phase == phase).count();
    assert!(ended(MovePhase::Done) > 2, "{:?}", engine.moves());
    let segments = engine.shards().into_iter().flat_map(|shard| shard.stats.segments);
    let derived: u64 = segments.map(|segment| segment.derived.byte_codes).sum();
    assert!(life.steps > 50 && engine.settle(Duration::from_secs(60), &mut |_| ()).unwrap());
    assert_eq!(derived, 0, "nothing is made before somebody takes the step");
    let segments: Vec<_> = engine.shards().into_iter().flat_map(|shard| shard.stats.segments).collect();
    assert!(segments.iter().any(|segment| segment.derived.byte_codes > 0), "{segments:?}");
    check(&engine, &life.history, *at, "once it is settled");
}

/// Settings are stored last, so that a start that failed leaves room for others; what was made before must not pass for what is left
/// of an engine whose routing table was lost.
#[test]
fn a_first_start_that_was_cut_off_is_begun_again() {
    let disk = FaultDisk::new();
    drop(open(&disk).unwrap());
    let history = History::default();
    for at in 0..=disk.op_count() {
        for keep in [Keep::Nothing, Keep::Everything, Keep::Random { seed: at as u64 }] {
            check_disk(&disk.crash_image(at, keep), &history, at, &format!("cut at {at}, {keep:?}"));
        }
    }
}

#[test]
fn every_power_cut_keeps_what_was_acknowledged_and_no_half_of_anything() {
    let slice = Slice::of(400);
    let disk = FaultDisk::new();
    let life = Life::of(&disk, slice.seed, CHANGES);
    let keeps =
        |coin: u64| [Keep::Nothing, Keep::Everything, Keep::Random { seed: coin }, Keep::Torn { seed: coin }];
    let all = (disk.op_count() + 1) * 4;
    for case in slice.within(all) {
        let (at, keep) = (case / 4, keeps(slice.seed + case as u64)[case % 4]);
        let context = format!("{}: cut at {at}, {keep:?}", slice.name(case));
        check_disk(&disk.crash_image(at, keep), &life.history, at, &context);
    }
}

/// A change of routes that fails half way: whichever of them a restart finds, what was acknowledged since is there.
#[test]
fn what_follows_a_change_of_routes_that_failed_is_kept_or_refused() {
    for (tenant, is_erased) in [(TENANTS[0], true), (TENANTS[1], false)] {
        for kind in [FaultKind::Broken, FaultKind::Full] {
            let calls = (0..).take_while(|call| change_route_and_fail(tenant, is_erased, kind, *call));
            assert!(calls.count() > 5);
        }
    }
}

/// Erases a tenant, or assigns one without records elsewhere, while a call fails; writes to all, and cuts the power. Whether there was
/// such a call.
fn change_route_and_fail(tenant: &str, is_erased: bool, kind: FaultKind, call: u64) -> bool {
    let (disk, mut history, mut rng) = (FaultDisk::new(), History::default(), SeededRng::new(call));
    let engine = open(&disk).unwrap();
    let mut attempt = |tenant, asked| attempt(&engine, &disk, &mut history, tenant, &asked);
    let mut upsert = || Asked::Write(Change::Upsert(vec![record(&mut rng)]));
    attempt(TENANTS[0], upsert()).unwrap();
    attempt(TENANTS[1], Asked::Declare(Vec::new())).unwrap();
    let elsewhere = (engine.tenant(tenant).unwrap().shard().unwrap().get() + 1) % SHARDS;
    let from = disk.calls();
    disk.fail(Some(Fault { call: from + call, kind, lasting: false }));
    let _ = attempt(tenant, if is_erased { Asked::Erase } else { Asked::Assign(elsewhere) });
    let was_met = disk.calls() > from + call;
    disk.fail(None);
    for tenant in TENANTS {
        let _ = attempt(tenant, upsert());
    }
    drop(engine);
    for keep in [Keep::Nothing, Keep::Everything, Keep::Random { seed: call }] {
        let (at, context) =
            (disk.op_count(), format!("{tenant}: {kind:?} at call {call}, then a cut, {keep:?}"));
        check_disk(&disk.crash_image(at, keep), &history, at, &context);
    }
    was_met
}

#[test]
fn every_call_may_fail_and_the_engine_says_which_file_or_goes_on() {
    let slice = Slice::of(40);
    let calls = {
        let disk = FaultDisk::new();
        Life::of(&disk, slice.seed, CHANGES);
        disk.calls() as usize
    };
    let kinds = [FaultKind::Broken, FaultKind::Full, FaultKind::Short];
    for case in slice.within(calls * 6) {
        let (call, kind, lasting) = ((case / 6) as u64, kinds[case % 3], case % 6 >= 3);
        let context = format!("{}: {kind:?} at call {call}, lasting {lasting}", slice.name(case));
        let disk = FaultDisk::new();
        disk.fail(Some(Fault { call, kind, lasting }));
        let life = Life::of(&disk, slice.seed, CHANGES);
        disk.fail(None);
        let at = disk.op_count();
        life.errors.iter().for_each(|error| assert!(says_where(error), "{context}: {error:?}"));
        let image = disk.crash_image(at, Keep::Random { seed: call });
        check_disk(&image, &life.history, at, &format!("{context}, then a power cut"));
        check_disk(&disk, &life.history, at, &context);
    }
}

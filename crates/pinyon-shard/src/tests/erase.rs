//! What was deleted, in whichever way, is in no file once its time is up or somebody asked; what was not is; and a crash or a failing
//! call in between changes neither.

use super::{DIM, DIR, id, metadata, namespace};
use crate::{
    Change, DiskBudget, DiskMarks, ErasureTimes, Shard, ShardError, ShardOptions, Step,
    search::read::{self, ListRequest},
};
use pinyon_storage::io::{Fault, FaultDisk, FaultKind, Io, Keep, MemoryIo, SharedIo};
use pinyon_types::{
    Dim, FieldTest, Filter, ManualClock, MetadataValue, Metric, Record, SeededRng, TenantId, Vector,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

const TIMES: ErasureTimes =
    ErasureTimes { namespaces: Duration::from_mins(10), records: Duration::from_hours(24) };

fn open(io: &SharedIo, clock: &Arc<ManualClock>, disk: Option<Arc<DiskBudget>>) -> Result<Shard, ShardError> {
    let options = ShardOptions {
        clock: Some(clock.clone()),
        erasure: Some(TIMES),
        disk,
        seal_bytes: 20_000,
        // Nothing is rewritten by itself.
        merge_fan_in: 1_000,
        dead_share_max: 2.0,
        graph_rows_min: u32::MAX,
        ..super::options()
    };
    Shard::open(io, Path::new(DIR), super::shape(Metric::Cosine), options)
}

/// Every byte of the shard's files.
fn bytes_of(io: &dyn Io) -> Vec<u8> {
    let dir = Path::new(DIR);
    io.list(dir).unwrap().iter().flat_map(|name| io.read(&dir.join(name)).unwrap()).collect()
}

/// The texts of this kind in the files, in the order of their numbers.
fn texts_in(bytes: &[u8]) -> BTreeSet<String> {
    let starts = bytes.windows(7).enumerate().filter(|(_, window)| window == b"secret-");
    starts
        .map(|(at, _)| String::from_utf8_lossy(&bytes[at..(at + 13).min(bytes.len())]).into_owned())
        .collect()
}

fn settle(shard: &Shard) {
    while shard.step().unwrap() != Step::Idle {}
}

struct World {
    io: SharedIo,
    clock: Arc<ManualClock>,
    shard: Shard,
    rng: SeededRng,
    texts: u32,
    /// The text of each record, by namespace and id.
    there: BTreeMap<(u64, String), String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let io: SharedIo = Arc::new(MemoryIo::new());
        Self::on(io, seed)
    }

    fn on(io: SharedIo, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::default());
        clock.advance(Duration::from_secs(1));
        let shard = open(&io, &clock, None).unwrap();
        Self { io, clock, shard, rng: SeededRng::new(seed), texts: 0, there: BTreeMap::new() }
    }

    fn text(&mut self) -> String {
        self.texts += 1;
        format!("secret-{:06}", self.texts)
    }

    fn put(&mut self, space: u64, number: u64) {
        let (name, text) = (format!("r{number:03}"), self.text());
        let components: Vec<f32> = (0..DIM).map(|_| self.rng.unit() as f32 + 0.1).collect();
        let vector = Vector::new(components, Dim::new(DIM as u32).unwrap()).unwrap();
        let fields =
            [("text", MetadataValue::String(text.clone())), ("n", MetadataValue::Number(number as f64))];
        let record = Record { id: id(&name), vector, sparse: None, metadata: metadata(&fields) };
        self.shard.write(&namespace(space), Change::Upsert(vec![record])).unwrap();
        self.there.insert((space, name), text);
    }

    /// One of the ways in which records go, or are replaced.
    fn change(&mut self) {
        let way = 1 + self.rng.below(39);
        self.change_by(way);
    }

    fn change_by(&mut self, way: u64) {
        let (space, number) = (1 + self.rng.below(3), self.rng.below(60));
        let name = format!("r{number:03}");
        match way {
            0 => {
                self.shard.write(&namespace(space), Change::DeleteAll).unwrap();
                self.there.retain(|(one, _), _| *one != space);
            }
            1..=4 => {
                self.shard.write(&namespace(space), Change::DeleteIds(vec![id(&name)])).unwrap();
                self.there.remove(&(space, name));
            }
            5 => {
                let filter = Filter::field("n", FieldTest::Lt(10.0));
                self.shard.write(&namespace(space), Change::DeleteMatching(filter)).unwrap();
                self.there.retain(|(one, name), _| *one != space || name.as_str() >= "r010");
            }
            6..=8 => {
                let text = self.text();
                let set = metadata(&[("text", MetadataValue::String(text.clone()))]);
                let change = Change::UpdateOne { id: id(&name), vector: None, sparse: None, set };
                self.shard.write(&namespace(space), change).unwrap();
                self.there.entry((space, name)).and_modify(|old| *old = text);
            }
            9 => {
                self.shard.seal().unwrap();
            }
            _ => self.put(space, number),
        }
    }

    fn live(&self) -> BTreeSet<String> {
        self.there.values().cloned().collect()
    }

    /// The files hold what is there, and nothing of what is not.
    fn assert_clean(&self, context: &str) {
        assert_eq!(texts_in(&bytes_of(&*self.io)), self.live(), "{context}");
        self.assert_reads(&self.shard, context);
    }

    fn assert_reads(&self, shard: &Shard, context: &str) {
        for space in 1..=3 {
            let expected: Vec<&String> =
                self.there.iter().filter(|((one, _), _)| *one == space).map(|((_, name), _)| name).collect();
            let request = ListRequest { prefix: "", after: None, limit: 1_000 };
            let page = read::list(&shard.inner.snapshot.load(), namespace(space).id(), request);
            let found: Vec<&str> = page.ids.iter().map(|id| id.as_str()).collect();
            assert_eq!(found, expected, "{context}: namespace {space}");
        }
    }
}

#[test]
fn records_that_were_deleted_or_replaced_in_any_way_are_gone_from_the_files_after_a_day() {
    for seed in 1..6 {
        let mut world = World::new(seed);
        (0..400).for_each(|_| world.change());
        settle(&world.shard);
        let before = texts_in(&bytes_of(&*world.io));
        assert!(before.len() > world.live().len() + 50, "the test is of something: {}", before.len());
        world.clock.advance(TIMES.records.saturating_sub(Duration::from_secs(1)));
        world.change();
        settle(&world.shard);
        assert!(texts_in(&bytes_of(&*world.io)).len() > world.live().len(), "not before its time");
        world.clock.advance(Duration::from_secs(1));
        settle(&world.shard);
        world.assert_clean(&format!("seed {seed}"));
        // Once more, after a restart, which counts from itself; some of it is due earlier.
        (0..100).for_each(|round| if round % 30 == 9 { world.change_by(0) } else { world.change() });
        world.shard.close().unwrap();
        world.shard = open(&world.io, &world.clock, None).unwrap();
        world.clock.advance(TIMES.records);
        settle(&world.shard);
        world.assert_clean(&format!("seed {seed}, after a restart"));
        assert_eq!(world.shard.inner.erasure_due_us(), None, "nothing is owed");
        assert_eq!(world.shard.step().unwrap(), Step::Idle);
    }
}

#[test]
fn a_namespace_that_was_emptied_is_gone_after_ten_minutes_and_only_its_segments_are_written_again() {
    for (is_sealed, restarts) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut world = World::new(7);
        let context = format!("sealed: {is_sealed}, restarted: {restarts}");
        world.put(2, 1);
        world.put(2, 2);
        world.shard.seal().unwrap();
        // One that nobody emptied, with a dead row, for a day.
        world.put(2, 1);
        for number in 0..20 {
            world.put(1, number);
        }
        if is_sealed {
            world.shard.seal().unwrap();
        }
        world.shard.write(&namespace(1), Change::DeleteAll).unwrap();
        world.there.retain(|(space, _), _| *space != 1);
        // Who comes back has only what it brings.
        world.put(1, 3);
        if restarts {
            if is_sealed {
                world.shard.seal().unwrap();
            }
            world.shard = open(&world.io, &world.clock, None).unwrap();
        }
        let aside = Path::new(DIR).join("segment-0000000000000099.seg.aside");
        world.io.create(&aside).unwrap().write_at(b"nobody knows", 0).unwrap();
        world.clock.advance(TIMES.namespaces.saturating_sub(Duration::from_secs(1)));
        settle(&world.shard);
        assert!(texts_in(&bytes_of(&*world.io)).len() > 20, "{context}: not before its time");
        world.clock.advance(Duration::from_secs(1));
        settle(&world.shard);
        let left = texts_in(&bytes_of(&*world.io));
        let mut expected = world.live();
        expected.insert("secret-000001".into());
        assert_eq!(left, expected, "{context}: the replaced record of another namespace has a day");
        world.assert_reads(&world.shard, &context);
        assert!(world.io.exists(&aside).unwrap(), "{context}: what was set aside has a day as well");
        world.clock.advance(TIMES.records);
        settle(&world.shard);
        assert!(!world.io.exists(&aside).unwrap(), "{context}");
        world.assert_clean(&context);
    }
}

#[test]
fn what_never_reached_a_segment_leaves_the_log() {
    let mut world = World::new(8);
    for number in 0..5 {
        world.put(1, number);
    }
    world.shard.write(&namespace(1), Change::DeleteAll).unwrap();
    world.there.clear();
    assert_eq!(world.shard.seal().unwrap(), Step::Idle, "the memtable is empty");
    let erased = world.shard.erase(namespace(1).name()).unwrap();
    assert_eq!((erased.segments, erased.is_held()), (0, false));
    world.assert_clean("in the log only");
    let bytes = bytes_of(&*world.io);
    let name = namespace(1).name().as_str().as_bytes().to_vec();
    assert!(!bytes.windows(name.len()).any(|window| window == name), "nor does anything name it");
    // The log goes on behind what was erased.
    world.put(1, 9);
    world.shard.write(&namespace(1), Change::DeleteIds(vec![id("r009")])).unwrap();
    world.there.clear();
    world.shard = open(&world.io, &world.clock, None).unwrap();
    world.assert_reads(&world.shard, "after a restart");
    world.clock.advance(TIMES.records);
    settle(&world.shard);
    world.assert_clean("a day after a restart with nothing but a log");
}

#[test]
fn an_erased_tenant_is_gone_at_once_with_what_was_set_aside_and_others_stay() {
    let mut world = World::new(9);
    for number in 0..30 {
        world.put(1 + number % 3, number);
        if number % 10 == 9 {
            world.shard.seal().unwrap();
        }
    }
    let aside = Path::new(DIR).join("wal-00000000000000000001.log.from-32.aside");
    world.io.create(&aside).unwrap().write_at(b"secret-999999", 0).unwrap();
    world.shard.write(&namespace(1), Change::DeleteAll).unwrap();
    world.there.retain(|(space, _), _| *space != 1);
    let reader = world.shard.inner.snapshot.load_full();
    let erased = world.shard.erase(namespace(1).name()).unwrap();
    assert_eq!((erased.segments, erased.leftovers), (3, 1));
    assert!(erased.is_held(), "a reader has the old segments");
    drop(reader);
    assert!(!erased.is_held());
    world.assert_clean("erased");
    let again = world.shard.erase(namespace(1).name()).unwrap();
    assert_eq!((again.segments, again.leftovers), (0, 0));
    let unknown = world.shard.erase(&TenantId::new("nobody").unwrap()).unwrap();
    assert_eq!(unknown.segments, 0);
    world.assert_clean("again");
}

#[test]
fn a_closed_namespace_takes_no_writes_of_old_routes() {
    let mut world = World::new(10);
    world.put(1, 1);
    let (old, shard) = (namespace(1), world.shard.clone());
    assert_eq!(shard.close_namespace(&old).unwrap().records, 1);
    let refused = shard.write(&old, Change::DeleteAll);
    assert!(matches!(refused, Err(ShardError::StaleRoute { .. })), "with records or without");
    shard.open_namespace(&old).unwrap();
    world.put(1, 2);
    shard.write(&old, Change::DeleteAll).unwrap();
    assert_eq!(shard.close_namespace(&old).unwrap().records, 0);
    for change in [Change::DeleteAll, Change::DeleteIds(vec![id("x")]), super::upsert(1, &mut world.rng)] {
        assert!(matches!(shard.write(&old, change), Err(ShardError::StaleRoute { .. })));
    }
    let newer = crate::Namespace::routed(old.id(), old.name().clone(), old.epoch().next());
    shard.write(&newer, super::upsert(1, &mut world.rng)).unwrap();
    shard.write(&namespace(2), super::upsert(1, &mut world.rng)).unwrap();
    shard.write(&newer, Change::DeleteAll).unwrap();
    shard.close_namespace(&newer).unwrap();
    shard.open_namespace(&newer).unwrap();
    shard.write(&newer, super::upsert(1, &mut world.rng)).unwrap();
}

/// What was written before an erasure of namespace 1 began, and what is to be left.
fn before_an_erasure(disk: &Arc<FaultDisk>) -> World {
    let mut world = World::on(Arc::clone(disk) as SharedIo, 11);
    for number in 0..12 {
        world.put(1 + number % 2, number);
        if number == 5 {
            world.shard.seal().unwrap();
        }
    }
    world.shard.write(&namespace(1), Change::DeleteAll).unwrap();
    world.there.retain(|(space, _), _| *space != 1);
    world
}

#[test]
fn a_crash_at_any_moment_of_an_erasure_loses_nothing_and_the_next_one_finishes_it() {
    let disk = Arc::new(FaultDisk::new());
    let world = before_an_erasure(&disk);
    let first = disk.op_count();
    world.shard.erase(namespace(1).name()).unwrap();
    world.assert_clean("without a crash");
    let mut crashes = 0;
    for at in first..=disk.op_count() {
        for keep in [Keep::Nothing, Keep::Everything] {
            let image: SharedIo = Arc::new(disk.crash_image(at, keep));
            let context = format!("crash at {at}, {keep:?}");
            let shard = open(&image, &world.clock, None).unwrap_or_else(|error| panic!("{context}: {error}"));
            world.assert_reads(&shard, &context);
            shard.erase(namespace(1).name()).unwrap();
            assert_eq!(texts_in(&bytes_of(&*image)), world.live(), "{context}");
            world.assert_reads(&shard, &context);
            crashes += 1;
        }
    }
    assert!(crashes > 40, "{crashes}");
}

#[test]
fn a_call_that_fails_in_an_erasure_loses_nothing_and_it_can_be_tried_again() {
    let mut failed = 0;
    for nth in 0.. {
        let disk = Arc::new(FaultDisk::new());
        let world = before_an_erasure(&disk);
        disk.fail(Some(Fault { call: disk.calls() + nth, kind: FaultKind::Broken, lasting: false }));
        let result = world.shard.erase(namespace(1).name());
        disk.fail(None);
        world.assert_reads(&world.shard, &format!("call {nth} failed"));
        if result.is_ok() {
            break;
        }
        failed += 1;
        let shard = if world.shard.poisoned().is_some() {
            open(&world.io, &world.clock, None).unwrap()
        } else {
            world.shard.clone()
        };
        shard.erase(namespace(1).name()).unwrap();
        assert_eq!(texts_in(&bytes_of(&*world.io)), world.live(), "call {nth}");
        world.assert_reads(&shard, &format!("call {nth}, again"));
    }
    assert!(failed > 10, "{failed}");
}

#[test]
fn without_room_an_erasure_waits_for_it() {
    let io: SharedIo = Arc::new(MemoryIo::holding(64 << 10));
    let clock = Arc::new(ManualClock::default());
    clock.advance(Duration::from_secs(1));
    let marks = DiskMarks { low: Some(0), full: Some(0) };
    let disk = Arc::new(DiskBudget::new(Arc::clone(&io), Path::new(DIR), marks, clock.clone()));
    let shard = open(&io, &clock, Some(disk)).unwrap();
    let mut world = World { io, clock, shard, rng: SeededRng::new(12), texts: 0, there: BTreeMap::new() };
    for number in 0..120 {
        world.put(2, number);
    }
    world.put(1, 1);
    world.shard.seal().unwrap();
    world.shard.write(&namespace(1), Change::DeleteAll).unwrap();
    let filler = Path::new(DIR).join("filler");
    let room = world.io.room(Path::new(DIR)).unwrap().free as usize;
    world.io.create(&filler).unwrap().write_at(&vec![0; room - 4_096], 0).unwrap();
    world.clock.advance(TIMES.namespaces);
    settle(&world.shard);
    let secret = &world.there[&(1, "r001".to_owned())];
    assert!(texts_in(&bytes_of(&*world.io)).contains(secret), "there was room after all");
    assert!(world.shard.step_failure().is_none(), "waiting is no failure");
    world.io.remove(&filler).unwrap();
    world.clock.advance(Duration::from_mins(2));
    settle(&world.shard);
    assert!(!texts_in(&bytes_of(&*world.io)).contains(secret));
}

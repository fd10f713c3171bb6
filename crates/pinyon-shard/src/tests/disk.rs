//! A full disk: what needs room is refused before it costs anything, deletions are let in to the last one, and the room that they make
//! comes back without a restart.

use super::{id, metadata, namespace};
use crate::{
    Change, DiskBudget, DiskLevel, DiskMarks, Shard, ShardError, ShardOptions, ShardShape, Step,
    search::read::{self, ListRequest},
};
use pinyon_storage::{
    io::{Fault, FaultDisk, FaultKind, MemoryIo, SharedIo},
    segment::segment_file_name,
};
use pinyon_types::{Dim, ManualClock, Metric, Record, SeededRng, ShardId, Vector};
use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

const DIM: u32 = 64;
const DISK_BYTES: u64 = 6 << 20;
const DIR: &str = "/disk";
/// Records of one write.
const BATCH: usize = 100;

struct World {
    io: SharedIo,
    shard: Shard,
    disk: Arc<DiskBudget>,
    clock: Arc<ManualClock>,
    rng: SeededRng,
    /// Numbers of records that are there.
    there: BTreeSet<usize>,
}

impl World {
    fn new(seed: u64) -> Self {
        let io: SharedIo = Arc::new(MemoryIo::holding(DISK_BYTES));
        let clock = Arc::new(ManualClock::default());
        let disk =
            Arc::new(DiskBudget::new(Arc::clone(&io), Path::new(DIR), DiskMarks::default(), clock.clone()));
        let shard = open(&io, &disk);
        Self { io, shard, disk, clock, rng: SeededRng::new(seed), there: BTreeSet::new() }
    }

    fn put(&mut self, first: usize, count: usize) -> Result<(), ShardError> {
        let mut record = |number: usize| {
            let components: Vec<f32> = (0..DIM).map(|_| self.rng.unit() as f32).collect();
            let vector = Vector::new(components, Dim::new(DIM).unwrap()).unwrap();
            Record { id: id(&format!("r{number:06}")), vector, sparse: None, metadata: metadata(&[]) }
        };
        let records = (first..first + count).map(&mut record).collect();
        self.shard.write(&namespace(1), Change::Upsert(records))?;
        self.there.extend(first..first + count);
        Ok(())
    }

    /// Writes until there is no room; what keepers do between two writes is done.
    fn fill(&mut self) -> ShardError {
        for first in (0..).step_by(BATCH) {
            if let Err(refused) = self.put(first, BATCH) {
                return refused;
            }
            self.keep();
        }
        unreachable!("the disk has an end");
    }

    fn keep(&self) {
        self.clock.advance(Duration::from_millis(300));
        while self.shard.step().is_ok_and(|step| step != Step::Idle) {}
    }

    fn delete(&mut self, numbers: &[usize]) {
        for part in numbers.chunks(BATCH) {
            let ids = part.iter().map(|number| id(&format!("r{number:06}"))).collect();
            self.shard.write(&namespace(1), Change::DeleteIds(ids)).expect("deletions are let in");
            self.there.retain(|number| !part.contains(number));
            self.keep();
        }
    }

    /// Seconds in which keepers do what they find to do.
    fn wait(&self, seconds: u64) {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            while self.shard.step().is_ok_and(|step| step != Step::Idle) {}
        }
    }

    fn check(&self) {
        let request = ListRequest { prefix: "", after: None, limit: 1_000_000 };
        let page = read::list(&self.shard.inner.snapshot.load(), namespace(1).id(), request);
        let found: Vec<String> = page.ids.iter().map(|id| id.as_str().to_owned()).collect();
        let there: Vec<String> = self.there.iter().map(|number| format!("r{number:06}")).collect();
        assert_eq!(found, there);
    }

    /// Somebody else takes all that is left.
    fn take_the_rest(&self) {
        let file = self.io.create(Path::new("/disk/others")).unwrap();
        file.allocate(self.io.room(Path::new(DIR)).unwrap().free).unwrap();
        assert_eq!(self.io.room(Path::new(DIR)).unwrap().free, 0);
    }
}

fn open(io: &SharedIo, disk: &Arc<DiskBudget>) -> Shard {
    let shape = ShardShape { shard: ShardId::new(0), dim: Dim::new(DIM).unwrap(), metric: Metric::Cosine };
    let options = ShardOptions {
        disk: Some(Arc::clone(disk)),
        seal_bytes: 256 << 10,
        log_preallocate_bytes: 1 << 20,
        ..ShardOptions::server()
    };
    Shard::open(io, Path::new(DIR), shape, options).unwrap()
}

#[test]
fn deletions_are_let_in_and_their_room_comes_back_without_a_restart() {
    for seed in 0..2 {
        let mut world = World::new(seed);
        for round in 0..4 {
            let refused = world.fill();
            assert!(refused.is_disk_full(), "{refused}");
            assert!(world.there.len() > 2_500, "{} records in round {round}", world.there.len());
            if round % 2 == 1 {
                // Until the reserve is there again, which merges may have taken.
                world.wait(40);
                world.take_the_rest();
            }
            let part = 3 + world.rng.below(3) as usize;
            let gone: Vec<usize> = world.there.iter().copied().filter(|number| number % part > 0).collect();
            let gone = if round == 2 { world.there.iter().copied().collect() } else { gone };
            world.delete(&gone);
            world.check();
            if round % 2 == 1 {
                world.io.remove(Path::new("/disk/others")).unwrap();
            }
            world.wait(10);
            assert_eq!(
                world.disk.level(),
                DiskLevel::Ample,
                "seed {seed}, round {round}: {:?}",
                world.disk.look()
            );
            world.check();
        }
    }
}

#[test]
fn what_finds_no_room_to_be_rewritten_is_named() {
    let mut world = World::new(3);
    world.fill();
    assert_eq!(world.shard.wants_room(), None, "nothing is dead");
    // A few of every segment: to rewrite a large one takes nearly all of it again.
    let gone: Vec<usize> = world.there.iter().copied().filter(|number| number % 10 == 0).collect();
    world.delete(&gone);
    world.wait(10);
    let wanted = world.shard.wants_room().expect("the large segments do not fit");
    let file = world.io.len(&Path::new(DIR).join(segment_file_name(wanted.segment))).unwrap();
    let free = world.disk.look().unwrap().room.free;
    assert!(wanted.bytes > free && wanted.bytes + wanted.gain == file, "{wanted:?}, {free} free, {file}");
    world.check();
}

#[test]
fn what_fails_for_another_reason_is_no_full_disk() {
    let faulty = FaultDisk::new();
    let io: SharedIo = Arc::new(faulty.clone());
    let clock = Arc::new(ManualClock::default());
    let disk =
        Arc::new(DiskBudget::new(Arc::clone(&io), Path::new(DIR), DiskMarks::default(), clock.clone()));
    let shard = open(&io, &disk);
    let mut world = World { io, shard, disk, clock, rng: SeededRng::new(1), there: BTreeSet::new() };
    world.put(0, 1).unwrap();
    // A resting log has to be opened again, which a process without descriptors cannot do.
    world.shard.inner.rest();
    faulty.fail(Some(Fault { call: faulty.calls(), kind: FaultKind::Broken, lasting: false }));
    let refused = world.put(1, 1).unwrap_err();
    assert!(matches!(refused, ShardError::NotWritten { .. }) && !refused.is_disk_full(), "{refused}");
    assert_eq!(world.disk.level(), DiskLevel::Ample);
    world.put(1, 1).unwrap();
    world.check();
}

#[test]
fn a_full_disk_is_started_on_and_deleted_from() {
    let mut world = World::new(9);
    world.fill();
    world.wait(40);
    world.take_the_rest();
    let World { io, shard, disk, clock, rng, there } = world;
    drop(shard);
    let shard = open(&io, &disk);
    let mut world = World { io, shard, disk, clock, rng, there };
    world.check();
    assert!(world.put(1 << 20, 1).is_err_and(|refused| refused.is_disk_full()));
    let gone: Vec<usize> = world.there.iter().copied().collect();
    world.delete(&gone);
    world.check();
    world.io.remove(Path::new("/disk/others")).unwrap();
    world.wait(10);
    assert_eq!(world.disk.level(), DiskLevel::Ample);
    world.put(0, BATCH).expect("there is room again");
}

#[test]
fn a_shard_that_nobody_wrote_to_starts_and_ends_without_a_write() {
    let faulty = FaultDisk::new();
    let io: SharedIo = Arc::new(faulty.clone());
    let clock = Arc::new(ManualClock::default());
    let disk = Arc::new(DiskBudget::new(Arc::clone(&io), Path::new(DIR), DiskMarks::default(), clock));
    let start = || open(&io, &disk);
    start().close().unwrap();
    let before = faulty.op_count();
    start().close().unwrap();
    assert_eq!(faulty.op_count(), before, "one that never took a record");
    let shard = start();
    let change = Change::DeleteIds(vec![id("none")]);
    shard.write(&namespace(1), change).unwrap();
    shard.close().unwrap();
    start().close().unwrap();
    let before = faulty.op_count();
    start().close().unwrap();
    assert_eq!(faulty.op_count(), before, "one that has entries in an older log");
}

#[test]
fn a_deletion_that_finds_no_room_gets_the_reserve() {
    let mut world = World::new(4);
    world.put(0, BATCH).unwrap();
    let free = || world.io.room(Path::new(DIR)).unwrap().free;
    let others = world.io.create(Path::new("/disk/first")).unwrap();
    others.allocate(free() - (400 << 10)).unwrap();
    world.wait(3);
    assert!(world.disk.look().unwrap().reserve > 100 << 10);
    world.take_the_rest();
    // More than what the log has reserved; nobody seals meanwhile.
    let deletion = |part: usize| (0..BATCH).map(|at| id(&format!("none-{part:03}-{at:03}"))).collect();
    for part in 0..40 {
        world.shard.write(&namespace(1), Change::DeleteIds(deletion(part))).expect("deletions are let in");
    }
    assert_eq!(world.disk.look().unwrap().reserve, 0);
    world.check();
}

//! Steps by hand: who is next, what is due when, and that an end leaves nothing behind.

use super::*;
use crate::{
    Change, DiskBudget, DiskMarks, Namespace, Shard, ShardOptions, ShardShape,
    tests::{namespace, random_vector},
};
use pinyon_storage::io::{Io, MemoryIo, SharedIo};
use pinyon_types::{Dim, ManualClock, Metadata, Metric, Record, RecordId, SeededRng, ShardId};
use std::path::Path;

struct World {
    keepers: Keepers,
    clock: Arc<ManualClock>,
    rng: SeededRng,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let graphs = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let options = KeepersOptions {
            threads: 0,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            memory: None,
            graphs: Arc::new(graphs),
        };
        let keepers = Keepers::stepped(options);
        Self { keepers, clock, rng: SeededRng::new(1) }
    }

    fn shard(&self, options: ShardOptions) -> Shard {
        let io: SharedIo = Arc::new(MemoryIo::new());
        let shape = ShardShape { shard: ShardId::new(0), dim: Dim::new(5).unwrap(), metric: Metric::Cosine };
        Shard::open(&io, Path::new("/kept"), shape, options).unwrap()
    }

    fn write(&mut self, shard: &Shard, space: &Namespace) {
        let record = Record {
            id: RecordId::new("r").unwrap(),
            vector: random_vector(&mut self.rng),
            sparse: None,
            metadata: Metadata::default(),
        };
        shard.write(space, Change::Upsert(vec![record])).unwrap();
    }

    /// Does what the next thread would do; `false` if nothing is due for it.
    fn step(&self, any: bool) -> bool {
        let shared = &self.keepers.shared;
        let turn = shared.lock().agenda.next(any, shared.clock.now_us());
        turn.inspect(|turn| shared.take(turn, any)).is_some()
    }

    fn settle(&self) -> usize {
        let mut steps = 0;
        while self.step(true) {
            steps += 1;
        }
        steps
    }
}

/// Seals at once, whatever is in the memtable.
fn eager() -> ShardOptions {
    ShardOptions { seal_bytes: 1, ..ShardOptions::server() }
}

fn segments(shard: &Shard) -> usize {
    shard.stats().segments.len()
}

#[test]
fn a_shard_is_in_the_queue_once_and_leaves_it_when_nothing_is_left_to_do() {
    let mut world = World::new();
    let options = ShardOptions { quiet_seal_bytes: 1, ..ShardOptions::server() };
    let shard = world.shard(options);
    let _keeping = world.keepers.keep(&shard);
    assert_eq!((world.keepers.busy(), world.settle()), (1, 1));
    world.clock.advance(Duration::from_secs(2));
    assert_eq!((world.settle(), world.keepers.busy()), (1, 0), "an idle shard costs nothing");
    for _ in 0..9 {
        world.write(&shard, &namespace(1));
    }
    assert_eq!((world.keepers.busy(), world.settle()), (1, 0), "it is looked at once nobody writes");
    world.clock.advance(Duration::from_secs(1));
    world.write(&shard, &namespace(1));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!((world.settle(), segments(&shard)), (1, 0), "somebody wrote since");
    world.clock.advance(Duration::from_secs(2));
    assert!(world.settle() > 0 && segments(&shard) == 1);
    world.clock.advance(Duration::from_secs(2));
    world.settle();
    assert_eq!(world.keepers.busy(), 0);
}

#[test]
fn a_seal_is_not_kept_waiting_by_what_else_is_due() {
    let mut world = World::new();
    let shards: Vec<Shard> = (0..3).map(|_| world.shard(eager())).collect();
    let _keepings: Vec<Keeping> = shards.iter().map(|shard| world.keepers.keep(shard)).collect();
    assert!(!world.step(false), "a look is not for the thread that seals");
    world.write(&shards[2], &namespace(1));
    assert!(world.step(false) && segments(&shards[2]) == 1);
    assert!(!world.step(false), "what comes after it is for others");
    world.write(&shards[1], &namespace(1));
    assert!(world.step(true) && segments(&shards[1]) == 1, "others take seals first too");
}

#[test]
fn a_failed_step_rests_however_loud_the_bell_is() {
    let mut world = World::new();
    let shard = world.shard(eager());
    let _keeping = world.keepers.keep(&shard);
    world.settle();
    world.write(&shard, &namespace(1));
    let turn = world.keepers.shared.lock().agenda.next(true, 0).unwrap();
    assert!(!world.step(true), "nobody else steps it meanwhile");
    world.keepers.shared.lock().agenda.ended(turn.number, turn.need, Ended::Failed, 0);
    shard.inner.bell.ask(Need::Seal);
    assert!(!world.step(true));
    world.clock.advance(Duration::from_secs(1));
    assert!(world.step(true) && segments(&shard) == 1);
}

#[test]
fn the_end_waits_for_the_step_that_runs_and_leaves_nothing() {
    let world = World::new();
    let shard = world.shard(eager());
    let keeping = world.keepers.keep(&shard);
    let turn = world.keepers.shared.lock().agenda.next(true, 0).unwrap();
    let (sender, ended) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        drop(keeping);
        sender.send(()).unwrap();
    });
    while !shard.inner.bell.is_ending() {
        std::thread::yield_now();
    }
    assert!(ended.try_recv().is_err());
    world.keepers.shared.take(&turn, true);
    thread.join().unwrap();
    assert_eq!((world.keepers.busy(), world.keepers.shared.lock().agenda.seats()), (0, 0));
    assert!(!shard.inner.bell.has_keepers() && !shard.inner.bell.is_ending());
    shard.inner.bell.ask(Need::Seal);
    assert!(!world.step(true));
}

#[test]
fn what_is_written_while_a_shard_is_about_to_rest_is_seen() {
    let mut world = World::new();
    let options = ShardOptions { quiet_seal_bytes: 1, ..ShardOptions::server() };
    let shard = world.shard(options);
    let _keeping = world.keepers.keep(&shard);
    world.settle();
    world.clock.advance(Duration::from_secs(2));
    let now = world.clock.now_us();
    let turn = world.keepers.shared.lock().agenda.next(true, now).unwrap();
    let ended = step(&turn, true);
    assert_eq!(ended, Ended::Rested(None));
    world.write(&shard, &namespace(1));
    world.keepers.shared.end(&turn, ended);
    assert_eq!(world.keepers.busy(), 1);
    world.clock.advance(Duration::from_secs(2));
    assert!(world.settle() > 0 && segments(&shard) == 1);
}

#[test]
fn a_shard_that_rests_is_looked_at_again_when_something_is_to_be_erased() {
    let mut world = World::new();
    world.clock.advance(Duration::from_secs(1));
    let clock: Arc<dyn Clock> = world.clock.clone();
    let shard =
        world.shard(ShardOptions { quiet_seal_bytes: 1, clock: Some(clock), ..ShardOptions::server() });
    let _keeping = world.keepers.keep(&shard);
    world.write(&shard, &namespace(1));
    shard.write(&namespace(1), Change::DeleteAll).unwrap();
    for _ in 0..4 {
        world.clock.advance(Duration::from_secs(2));
        world.settle();
    }
    assert_eq!(world.settle(), 0, "it rests");
    // A write meanwhile is met as soon as ever.
    world.write(&shard, &namespace(2));
    world.clock.advance(Duration::from_secs(2));
    assert!(world.settle() > 0);
    assert_eq!(segments(&shard), 1);
    world.clock.advance(Duration::from_mins(10));
    assert!(world.settle() > 0, "what was emptied is erased");
    let owed = shard.inner.erasure_due_us();
    assert!(owed.is_some_and(|due| due > world.clock.now_us() + 1_000_000), "records have a day: {owed:?}");
}

/// A few rows are dead, too few to be worth a merge; then others fill the disk.
#[test]
fn room_that_a_shard_at_rest_could_give_back_is_given_back_when_it_becomes_scarce() {
    let world = World::new();
    world.clock.advance(Duration::from_secs(1));
    let (io, dir) = (MemoryIo::holding(8 << 20), Path::new("/kept"));
    let clock = Arc::clone(&world.clock);
    let shared: SharedIo = Arc::new(io.clone());
    let disk = DiskBudget::new(Arc::clone(&shared), dir, DiskMarks::default(), Arc::clone(&clock) as _);
    let (disk, clock) = (Some(Arc::new(disk)), Some(clock as Arc<dyn Clock>));
    let options = ShardOptions { quiet_seal_bytes: 1, erasure: None, disk, clock, ..ShardOptions::server() };
    let shape = ShardShape { shard: ShardId::new(0), dim: Dim::new(5).unwrap(), metric: Metric::Cosine };
    let shard = Shard::open(&shared, dir, shape, options).unwrap();
    let mut rng = SeededRng::new(4);
    let mut record = |at: u32| Record {
        id: RecordId::new(&format!("r{at:04}")).unwrap(),
        vector: random_vector(&mut rng),
        sparse: None,
        metadata: Metadata::default(),
    };
    shard.write(&namespace(1), Change::Upsert((0..1000).map(&mut record).collect())).unwrap();
    let _keeping = world.keepers.keep(&shard);
    let pass = |seconds| {
        for _ in 0..seconds {
            world.clock.advance(Duration::from_secs(1));
            world.settle();
        }
    };
    pass(5);
    let gone = (0..100).map(|at| RecordId::new(&format!("r{at:04}")).unwrap()).collect();
    shard.write(&namespace(1), Change::DeleteIds(gone)).unwrap();
    pass(30);
    let dead = || shard.stats().segments.iter().map(|one| one.dead_rows).sum::<u64>();
    assert_eq!(dead(), 100, "not worth a merge");
    let free = io.room(dir).unwrap().free;
    io.create(Path::new("/kept/others")).unwrap().allocate(free - (600 << 10)).unwrap();
    pass(15);
    assert_eq!(dead(), 0);
    io.remove(Path::new("/kept/others")).unwrap();
    pass(15);
    assert_eq!(world.keepers.busy(), 0, "without dead rows it costs nothing");
}

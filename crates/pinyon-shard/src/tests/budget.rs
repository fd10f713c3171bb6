//! A limit on memory: what is counted goes down to it, answers stay right, what is dropped comes back when it is queried and there is
//! room and not before, and writes are refused when memtables alone are above it.

use super::{id, metadata, namespace};
use crate::{Change, MemoryBudget, Query, Scope, Shard, ShardError, ShardOptions, ShardShape, Step};
use pinyon_distance::{QueryScorer, inverse_norm};
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{
    Clock, Dim, FieldTest, Filter, ManualClock, MetadataValue, Metric, Record, SeededRng, ShardId, TopK,
    Vector,
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const DIM: u32 = 16;
const ROWS: usize = 1_000;
/// A line of 64 bytes and eight of scale and length, for each row.
const CODES: u64 = 72 * ROWS as u64;

fn vector(rng: &mut SeededRng) -> Vector {
    let components: Vec<f32> = (0..DIM).map(|_| (rng.unit() - 0.5) as f32).collect();
    Vector::new(components, Dim::new(DIM).unwrap()).unwrap()
}

struct World {
    shard: Shard,
    budget: Arc<MemoryBudget>,
    clock: Arc<ManualClock>,
    rng: SeededRng,
    records: Vec<Vec<Record>>,
}

impl World {
    fn new(bytes_max: u64) -> Self {
        Self::with(|clock| MemoryBudget::new(bytes_max, clock))
    }

    fn with(budget: impl FnOnce(Arc<dyn Clock>) -> MemoryBudget) -> Self {
        let io: SharedIo = Arc::new(MemoryIo::new());
        let shape =
            ShardShape { shard: ShardId::new(0), dim: Dim::new(DIM).unwrap(), metric: Metric::Cosine };
        let clock = Arc::new(ManualClock::default());
        let budget = Arc::new(budget(Arc::clone(&clock) as Arc<dyn Clock>));
        let memory = Some(Arc::clone(&budget));
        let options = ShardOptions { memory, log_preallocate_bytes: 4_096, ..ShardOptions::server() };
        let shard = Shard::open(&io, Path::new("/budget"), shape, options).unwrap();
        Self { shard, budget, clock, rng: SeededRng::new(4), records: Vec::new() }
    }

    /// Writes the records of one namespace more.
    fn write(&mut self) -> Result<(), ShardError> {
        let record = |row: usize| Record {
            id: id(&format!("r{row:04}")),
            vector: vector(&mut self.rng),
            sparse: None,
            metadata: metadata(&[("n", MetadataValue::Number(row as f64))]),
        };
        let records: Vec<Record> = (0..ROWS).map(record).collect();
        self.shard.write(&namespace(self.records.len() as u64), Change::Upsert(records.clone()))?;
        self.records.push(records);
        Ok(())
    }

    fn derive(&self) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        while self.shard.derive(&pool, &|| false) != Step::Idle {}
    }

    /// Looks at the limit when it is time to.
    fn look(&self) {
        self.clock.advance(Duration::from_secs(1));
        self.shard.keep_memory();
    }

    /// Looks at the limit often enough that everything that is not queried meanwhile counts as idle.
    fn rest(&self) {
        (0..8).for_each(|_| self.look());
    }

    fn codes(&self) -> u64 {
        self.shard.stats().segments.iter().map(|segment| segment.derived.byte_codes).sum()
    }

    /// Asks a namespace, and holds the answer against its records; returns whether codes answered.
    fn ask(&mut self, number: usize, filter: Option<&Filter>) -> bool {
        let vector = vector(&mut self.rng);
        let scorer = QueryScorer::new(Metric::Cosine, vector.as_slice());
        let passing = self.records[number].iter();
        let passing = passing.filter(|one| filter.is_none_or(|filter| filter.matches(&one.metadata)));
        let mut nearest: Vec<_> = passing
            .map(|one| {
                let norm = inverse_norm(one.vector.as_slice());
                (scorer.distance(one.vector.as_slice(), norm), one.id.clone())
            })
            .collect();
        nearest.sort_unstable();
        nearest.truncate(10);
        let query = Query { filter, ..Query::dense(&vector, TopK::new(10).unwrap()) };
        let scope = [namespace(number as u64)];
        let found = self.shard.search(Scope::Namespaces(&scope), query, &|| false).unwrap();
        let hits: Vec<_> = found.hits.iter().map(|hit| (hit.distance(), hit.id())).collect();
        let right = hits.iter().filter(|hit| nearest.contains(hit)).count();
        assert!(hits.len() == nearest.len() && right + 1 >= nearest.len(), "{hits:?}\n{nearest:?}");
        found.work.code_distances > 0
    }
}

#[test]
fn a_namespace_that_is_queried_takes_the_place_of_one_that_is_not() {
    let mut world = World::new(CODES + CODES / 2);
    for _ in 0..3 {
        world.write().unwrap();
        world.shard.seal().unwrap();
    }
    world.look();
    world.derive();
    assert_eq!(world.codes(), CODES, "one of three fits");
    let with_codes: Vec<bool> = (0..3).map(|number| world.ask(number, None)).collect();
    assert_eq!(with_codes.iter().filter(|has| **has).count(), 1);
    let cold = with_codes.iter().position(|has| !has).unwrap();
    world.rest();
    assert!(!world.ask(cold, None), "scans of vectors answer meanwhile");
    // No room: the next look is told, and drops what is idle.
    world.derive();
    assert!(!world.ask(cold, None));
    world.look();
    assert_eq!(world.codes(), 0);
    world.derive();
    assert!(world.ask(cold, None), "it has come back");
    assert_eq!(world.codes(), CODES);
    assert!((0..3).filter(|number| world.ask(*number, None)).count() == 1, "and the other has gone");
}

#[test]
fn what_is_above_the_limit_goes_and_comes_back_only_when_it_is_queried() {
    let mut world = World::new(CODES * 3);
    world.write().unwrap();
    world.shard.seal().unwrap();
    world.look();
    world.derive();
    let filter = Filter::field("n", FieldTest::Lt(5.0));
    assert!(world.ask(0, None));
    world.ask(0, Some(&filter));
    let filled = world.shard.stats().resident_bytes();
    assert!(filled > CODES, "codes and a filter index: {filled}");
    // A memtable that takes nearly all of the limit.
    world.write().unwrap();
    let above = world.shard.stats().resident_bytes();
    assert!(above > world.budget.bytes_max(), "{above}");
    world.look();
    let below = world.shard.stats().resident_bytes();
    assert!(below < above && below <= world.budget.bytes_max(), "{below}, {above}");
    assert_eq!(world.shard.stats().memtable_rows, 0, "it was sealed before its time");
    assert_eq!(world.codes(), 0);
    world.derive();
    assert_eq!(world.codes(), 0, "room is for what is queried");
    world.look();
    world.derive();
    assert_eq!(world.codes(), CODES, "of the new segment alone, although there is room for both");
    assert!(!world.ask(0, None), "the query that asks for it back");
    world.ask(0, Some(&filter));
    world.look();
    world.derive();
    assert!(world.ask(0, None));
    assert_eq!(world.codes(), 2 * CODES);
    assert!(world.budget.used() <= world.budget.bytes_max());
}

#[test]
fn answers_stay_right_under_a_limit_that_nothing_fits() {
    let mut world = World::new(1);
    for number in 0..4 {
        // Memtables alone are above it, until they are sealed.
        world.write().unwrap();
        world.look();
        world.derive();
        assert_eq!(world.codes(), 0);
        let filter = Filter::field("n", FieldTest::Lt(300.0));
        for number in 0..=number {
            assert!(!world.ask(number, None));
            world.ask(number, Some(&filter));
        }
        world.look();
        assert_eq!(world.shard.stats().resident_bytes(), 0, "filter indexes are dropped too");
        world.shard.compact().unwrap();
    }
}

#[test]
fn under_a_limit_nothing_is_brought_together_for_a_graph_that_there_will_not_be() {
    let mut world = World::new(CODES * 100);
    for _ in 0..21 {
        world.write().unwrap();
        world.shard.seal().unwrap();
    }
    assert!(world.shard.records() > u64::from(ShardOptions::server().graph_rows_min));
    assert_eq!(world.shard.inner.quiet_step(world.shard.last_seq()).unwrap(), Step::Idle);
}

#[test]
fn writes_are_refused_while_memtables_alone_are_above_the_limit() {
    let mut world = World::new(1 << 20);
    world.write().unwrap();
    world.budget.memtables.store((1 << 20) + 1, Ordering::Relaxed);
    let refused = world.write().unwrap_err();
    assert!(matches!(refused, ShardError::MemoryFull { used: 1_048_577, bytes_max: 1_048_576 }), "{refused}");
    assert!(refused.to_string().contains("memory_mib"), "{refused}");
    world.shard.write(&namespace(0), Change::DeleteIds(vec![id("r0000")])).unwrap();
    // The next look counts again.
    world.look();
    world.write().unwrap();
}

/// The process has 100 MiB at most, and these many percent of them.
fn at(percent: u64) -> u64 {
    percent << 20
}

#[test]
fn what_the_process_has_decides_near_the_limit_what_is_built_dropped_and_refused() {
    let process = Arc::new(AtomicU64::new(at(50)));
    let gauge = Arc::clone(&process);
    let mut world = World::with(|clock| MemoryBudget::new(at(100), clock).unasked().gauged(gauge));
    let look = |world: &World, percent| {
        process.store(at(percent), Ordering::Relaxed);
        world.clock.advance(Duration::from_secs(2));
        world.shard.keep_memory();
    };
    world.write().unwrap();
    world.shard.seal().unwrap();
    look(&world, 86);
    world.derive();
    assert_eq!(world.codes(), 0, "nothing is built");
    look(&world, 84);
    world.derive();
    assert!(world.codes() >= CODES && world.ask(0, None));
    world.write().unwrap();
    look(&world, 89);
    assert!(world.codes() >= CODES && world.shard.stats().memtable_rows > 0, "that is no hurry");
    // Sealing frees less than what is too much, so codes go too.
    look(&world, 94);
    assert_eq!((world.codes(), world.shard.stats().memtable_rows), (0, 0));
    assert!(!world.ask(0, None), "scans answer");
    look(&world, 95);
    assert!(matches!(world.write(), Err(ShardError::MemoryFull { .. })));
    world.shard.write(&namespace(0), Change::DeleteIds(vec![id("r0000")])).unwrap();
    assert_eq!(world.shard.count(&namespace(0), None).unwrap(), ROWS as u64 - 1);
    look(&world, 60);
    world.write().unwrap();
    world.derive();
    assert!(world.codes() > 0, "what was dropped comes back");
}

//! Kept graphs under a limit on memory.

use super::*;
use crate::MemoryBudget;
use pinyon_types::ManualClock;
use std::time::Duration;

#[test]
fn a_graph_that_was_dropped_for_its_memory_comes_back_from_its_file() {
    let (io, clock) = (memory(), Arc::new(ManualClock::default()));
    let budget = Arc::new(MemoryBudget::new(120_000, Arc::clone(&clock) as Arc<dyn pinyon_types::Clock>));
    let options = ShardOptions { memory: Some(Arc::clone(&budget)), ..options() };
    let shard = Shard::open(&io, Path::new(DIR), shape(Metric::Cosine), options).unwrap();
    let look = || {
        clock.advance(Duration::from_secs(1));
        shard.keep_memory();
    };
    write(&shard, 0..ROWS, 1);
    shard.seal().unwrap();
    look();
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::BuiltGraph]);
    let (before, bytes, derived) = (answers(&shard), read(&io, GRAPH_FILE), shard.stats().resident_bytes());
    // Tenants that are too small for codes: nothing else wants the room.
    for tenant in 2..50 {
        shard.write(&namespace(tenant), records(0..15, &mut SeededRng::new(tenant))).unwrap();
    }
    assert!(shard.stats().resident_bytes() > budget.bytes_max() && derived < budget.bytes_max());
    look();
    assert_eq!(shard.stats().segments.iter().map(|one| one.derived.total()).sum::<u64>(), 0, "it went");
    assert!(read(&io, GRAPH_FILE) == bytes, "its file stays");
    assert_eq!(derive(&shard), [], "what was dropped waits for a query");
    assert!(answers(&shard).iter().all(|(_, work)| work.graph_walks == 0));
    look();
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::LoadedGraph]);
    assert_eq!(answers(&shard), before);
    assert_eq!(shard.stats().resident_bytes(), derived);
}

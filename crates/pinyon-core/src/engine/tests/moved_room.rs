//! The room that a tenant took where it lived before.

use super::{
    super::EngineStats,
    moves::{elsewhere, stepped, upsert},
    records,
};
use crate::{Engine, MovePhase};
use pinyon_storage::io::{MemoryIo, SharedIo};
use std::sync::Arc;

fn stats(engine: &Engine, shard: u32) -> EngineStats {
    engine.shards().into_iter().find(|one| one.shard.get() == shard).unwrap()
}

/// Records that segments of a shard hold, those that are dead too.
fn rows(engine: &Engine, shard: u32) -> u64 {
    stats(engine, shard).stats.segments.iter().map(|segment| u64::from(segment.rows)).sum()
}

fn rest(engine: &Engine) {
    while engine.step() {}
}

#[test]
fn what_a_copy_took_is_given_back_before_its_move_is_over_unless_it_is_next_to_nothing() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let engine = stepped(&io);
    upsert(&engine, "acme", 0..2_000, 0);
    let home = engine.lookup("acme").unwrap().unwrap().shard.get();
    for (tenant, count) in [("other", 500), ("small", 20)] {
        engine.assign(tenant, home).unwrap();
        (0..count).step_by(500).for_each(|from| upsert(&engine, tenant, from..count.min(from + 500), 0));
    }
    engine.settle(std::time::Duration::from_secs(60), &mut |_| ()).unwrap();
    assert_eq!(rows(&engine, home), 2_520);
    let begun = engine.move_tenant("acme", elsewhere(&engine, "acme"), "").unwrap();
    rest(&engine);
    assert_eq!(engine.find_move(begun.id).unwrap().phase, MovePhase::Done);
    assert_eq!(rows(&engine, home), 520, "no segment holds any of it");
    assert!(stats(&engine, home).stats.log_bytes <= 1 << 20, "{:?}", stats(&engine, home).stats);
    // Twenty of thousands are not worth it: they go with the next merge or the erasure.
    upsert(&engine, "other", 500..2_500, 0);
    engine.settle(std::time::Duration::from_secs(60), &mut |_| ()).unwrap();
    engine.inner.fleet.local().for_each(|(_, shard)| {
        shard.compact().unwrap();
    });
    let before = stats(&engine, home).stats.segments;
    engine.move_tenant("small", elsewhere(&engine, "small"), "").unwrap();
    rest(&engine);
    let has = |id| stats(&engine, home).stats.segments.iter().any(|segment| segment.id == id);
    assert!(before.iter().any(|segment| has(segment.id)), "the large one was not written again");
    assert_eq!(
        ["acme", "other", "small"].map(|tenant| records(&engine, tenant)),
        [2_000, 2_500, 20],
        "nothing else went"
    );
}

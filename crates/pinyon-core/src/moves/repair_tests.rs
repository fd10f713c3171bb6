//! What the doctor finds of moves and copies that nobody brings to an end, and what its repair makes of it, once and twice.

use super::{
    planning::Entered,
    record::{MovePhase, MoveRecord},
};
use crate::{
    Engine, FindingKind, Reach, VectorQuery,
    catalog::{CopyToDrop, Job, JobId, Leftover},
    engine::tests::moves::{assert_tidy, elsewhere, stepped, upsert, version_of},
};
use pinyon_backend::{Change, Namespace, Until};
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{Epoch, NamespaceId, RecordId, ShardId, TenantId};
use std::sync::Arc;

/// An engine with a tenant of 50 records that begins to move, after so many attempts at the move.
fn moving(attempts: usize) -> (SharedIo, Engine, Entered) {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let engine = stepped(&io);
    upsert(&engine, "acme", 0..50, 1);
    upsert(&engine, "other", 0..50, 1);
    while engine.step() {}
    let begun = engine.move_tenant("acme", elsewhere(&engine, "acme"), "").unwrap();
    (0..attempts).for_each(|_| assert!(engine.step()));
    let entered = Entered::find(&engine.inner.routing, JobId::new(begun.id)).unwrap();
    (io, engine, entered)
}

/// Puts what a test wants into the table.
fn put_job(engine: &Engine, entered: &Entered, phase: MovePhase) {
    let job = entered.record.job(phase, Job { error: Some("r is not r".into()), ..entered.job.clone() });
    engine.inner.routing.change(|draft| draft.put_job(entered.id, job)).unwrap();
}

fn strike(engine: &Engine, shard: ShardId, number: NamespaceId) {
    let struck = engine.inner.routing.change(|draft| {
        draft.remove_copy(shard, number);
        Ok::<_, String>(())
    });
    struck.unwrap();
}

fn id(text: &str) -> RecordId {
    RecordId::new(text).unwrap()
}

fn kinds(engine: &Engine) -> Vec<FindingKind> {
    engine.diagnose().findings.into_iter().map(|one| one.kind).collect()
}

/// Repairs twice what was found, and looks at it after a restart: the tenant has these records and nothing is twice.
fn repaired(io: &SharedIo, engine: Engine, found: &[FindingKind], (count, version): (u64, u64)) {
    assert_eq!(kinds(&engine), found);
    for _ in 0..2 {
        let (_, after) = engine.repair().unwrap();
        assert_eq!(after.findings, []);
    }
    drop(engine);
    let engine = stepped(io);
    while engine.step() {}
    assert_eq!(engine.tenant("acme").unwrap().count(None).unwrap(), count);
    assert_eq!(version_of(&engine, "acme", 7), Some(version));
    assert_eq!(engine.tenant("other").unwrap().count(None).unwrap(), 50);
    let all = engine.query_vector(VectorQuery::dense(vec![1.0; 8], Reach::All, 1_000)).unwrap();
    assert_eq!(all.results.len() as u64, count + 50, "nothing is found twice");
    assert_tidy(&engine);
    // It moves as others do.
    let begun = engine.move_tenant("acme", elsewhere(&engine, "acme"), "").unwrap();
    while engine.step() {}
    assert_eq!(engine.find_move(begun.id).unwrap().phase, MovePhase::Done);
    assert_tidy(&engine);
}

#[test]
fn a_move_that_is_under_way_is_no_trouble() {
    for attempts in 0..3 {
        let (_, engine, _) = moving(attempts);
        assert_eq!(kinds(&engine), [], "after {attempts} attempts");
    }
}

#[test]
fn a_copy_that_no_move_will_drop_is_dropped() {
    let (io, engine, entered) = moving(0);
    put_job(&engine, &entered, MovePhase::Failed);
    repaired(&io, engine, &[FindingKind::Leftover], (50, 1));
    // The one that the tenant left, with what it had then.
    let (io, engine, entered) = moving(1);
    assert_eq!(Entered::find(&engine.inner.routing, entered.id).unwrap().phase, MovePhase::Cleaning);
    upsert(&engine, "acme", 0..10, 2);
    put_job(&engine, &entered, MovePhase::Done);
    repaired(&io, engine, &[FindingKind::Leftover], (50, 2));
}

#[test]
fn a_move_whose_tenant_or_copy_is_not_where_it_says_is_ended() {
    // Made anew as a repair does: the tenant's route has another epoch.
    let (io, engine, _) = moving(0);
    let all = engine.inner.routing.all().into_iter().map(|(tenant, one)| (tenant, one.namespace, one.shard));
    engine.inner.routing.replace_all(all.collect(), Epoch::ZERO).unwrap();
    repaired(&io, engine, &[FindingKind::StuckMove], (50, 1));
    // Its copy is not known as one.
    let (io, engine, entered) = moving(0);
    let MoveRecord { target, .. } = entered.record;
    strike(&engine, target.shard, target.number);
    repaired(&io, engine, &[FindingKind::StuckMove], (50, 1));
    // It waits for people.
    let (io, engine, entered) = moving(1);
    upsert(&engine, "acme", 7..8, 9);
    put_job(&engine, &Entered::find(&engine.inner.routing, entered.id).unwrap(), MovePhase::Stopped);
    assert!(engine.diagnose().findings[0].message.contains("r is not r"));
    repaired(&io, engine, &[FindingKind::StuckMove], (50, 9));
}

#[test]
fn of_two_copies_that_were_the_tenants_own_the_later_one_counts() {
    let (io, engine, entered) = moving(1);
    let MoveRecord { source, .. } = entered.record;
    upsert(&engine, "acme", 0..60, 3);
    put_job(&engine, &entered, MovePhase::Done);
    strike(&engine, source.shard, source.number);
    repaired(&io, engine, &[FindingKind::Outdated], (60, 3));
}

#[test]
fn a_number_that_shards_hold_is_given_to_nobody_else() {
    let (io, engine, _) = moving(0);
    while engine.step() {}
    let next = engine.inner.routing.next_number();
    let shard = engine.inner.backend(ShardId::new(2)).unwrap();
    let stranger = Namespace::routed(next, TenantId::new("stranger").unwrap(), Epoch::ZERO);
    let records = engine.tenant("other").unwrap().fetch(&[id("r00001")]).unwrap();
    let record = records[0].record.clone();
    shard.write(&stranger, Change::Upsert(vec![record]), Until::NEVER).unwrap();
    let copy =
        CopyToDrop { tenant: "stranger".into(), leftover: Leftover::Incoming, epoch: 1, since_us: 1, job: 0 };
    let put = engine.inner.routing.change(|draft| draft.put_copy(ShardId::new(2), next, copy));
    put.unwrap();
    assert_eq!(kinds(&engine), [FindingKind::Leftover, FindingKind::NumberAhead]);
    let (_, after) = engine.repair().unwrap();
    // It is all that there is of that tenant: nobody drops it without being asked.
    let left: Vec<_> = after.findings.into_iter().map(|one| one.kind).collect();
    assert_eq!(left, [FindingKind::Leftover]);
    drop(engine);
    let engine = stepped(&io);
    engine.assign("new", 2).unwrap();
    assert_eq!(engine.tenant("new").unwrap().count(None).unwrap(), 0);
    assert!(engine.lookup("new").unwrap().unwrap().namespace > next);
    engine.erase("stranger").unwrap();
    assert_eq!(kinds(&engine), [], "that is how it goes");
}

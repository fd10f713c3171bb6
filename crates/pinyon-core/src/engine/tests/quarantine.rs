//! A damaged shard is kept out by itself: nothing that it holds is answered as if it were empty, and everything else is.

use super::*;
use crate::{
    CrossShardSettings, Diagnosis, QuarantineReason, ShardOutcome,
    catalog::{AssignRequest, Pin},
};
use pinyon_types::{ShardId, TenantId};
use std::path::Path;

const TENANTS: u32 = 12;

/// An engine that has records on every shard, ended, with one file of shard 1 damaged.
fn damaged(name: &str, settings: &EngineSettings) -> PathBuf {
    let dir = scratch(name);
    let engine = Engine::open(&dir, settings.clone()).unwrap();
    fill(&engine, TENANTS, 3);
    engine.close().unwrap();
    drop(engine);
    flip(&dir.join("shards/shard-0001/MANIFEST"));
    dir
}

fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[24] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

fn tenants_of(engine: &Engine, shard: u32) -> Vec<String> {
    let here = engine.tenants().into_iter().filter(|(_, assignment)| assignment.shard == ShardId::new(shard));
    here.map(|(tenant, _)| tenant.to_string()).collect()
}

fn is_kept_out<T>(answer: Result<T, EngineError>) {
    let refused = answer.map(drop).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Quarantined, "{refused}");
    assert!(
        refused.message.contains("tenant-shard-1 is quarantined (damaged): ")
            && refused.message.contains("MANIFEST")
    );
}

#[test]
fn tenants_of_a_damaged_shard_are_refused_and_all_others_served() {
    let dir = damaged("quarantine-tenants", &settings());
    let engine = Engine::open(&dir, settings()).unwrap();
    let kept_out = tenants_of(&engine, 1);
    assert!(!kept_out.is_empty() && kept_out.len() < TENANTS as usize);
    let id = [RecordId::new("d0").unwrap()];
    for (tenant, _) in engine.tenants() {
        let tenant = tenant.as_str();
        let found = engine.tenant(tenant).unwrap().fetch(&id);
        if !kept_out.iter().any(|one| one == tenant) {
            assert_eq!(found.unwrap().len(), 1);
            continue;
        }
        is_kept_out(found);
        is_kept_out(engine.tenant(tenant).unwrap().count(None));
        is_kept_out(engine.namespace(tenant));
        is_kept_out(engine.tenant(tenant).unwrap().list("", None, 10));
        is_kept_out(engine.query_text(&TextQuery::in_tenant(tenant, "beer", 3)));
        is_kept_out(engine.write(tenant, Change::DeleteAll));
        is_kept_out(engine.drop_namespace(tenant));
        is_kept_out(engine.assign(tenant, 0));
    }
    assert_eq!(engine.namespaces("").len(), TENANTS as usize);
    let [one] = engine.quarantined().try_into().unwrap();
    assert_eq!((one.shard, one.assigned_tenants), (ShardId::new(1), kept_out.len() as u64));
    assert_eq!(one.quarantine.reason, QuarantineReason::Damaged);
    assert!(!engine.services().shards && engine.takes_writes());
    remove(&dir);
}

#[test]
fn a_route_to_a_shard_that_is_not_there_is_refused_by_name_and_harms_nobody_else() {
    let dir = scratch("quarantine-no-such-shard");
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, 3, 3);
    let (tenant, shard) = (TenantId::new("astray").unwrap(), ShardId::new(9));
    engine.inner.routing.assign(vec![AssignRequest { tenant, shard, pin: Pin::Explicit }]).unwrap();
    let refused = [
        engine.tenant("astray").unwrap().count(None).map(drop),
        engine.query_text(&TextQuery::in_tenant("astray", "beer", 3)).map(drop),
        engine.write("astray", Change::DeleteAll).map(drop),
        engine.ingest("astray", vec![document("d", "beer", 1.0)]).map(drop),
        engine.assign("astray", 1).map(drop),
    ];
    for refused in refused {
        let error = refused.unwrap_err();
        assert_eq!(error.code, ErrorCode::Quarantined);
        assert!(error.message.contains("there is no shard tenant-shard-9"), "{error}");
    }
    let both = TextQuery {
        reach: Reach::Tenants(vec!["astray".into(), "tenant-000".into()]),
        ..TextQuery::everywhere("beer", 3)
    };
    let answer = engine.query_text(&both).unwrap();
    assert!(answer.is_partial && answer.results.len() == 3);
    assert!(!engine.query_text(&TextQuery::everywhere("beer", 3)).unwrap().is_partial);
    assert_eq!((engine.shards().len(), engine.place("new").is_ok()), (4, true));
    assert_eq!(engine.tenant_reports().len(), 5);
    engine.health();
    let kinds = |found: Diagnosis| found.findings.iter().map(|one| one.kind).collect::<Vec<_>>();
    let (before, after) = engine.repair().unwrap();
    assert_eq!((kinds(before), kinds(after)), (vec![FindingKind::NoShard], vec![]));
    engine.ingest("astray", vec![document("d", "beer", 1.0)]).unwrap();
    assert_eq!(records(&engine, "astray"), 1);
    drop(engine);
    remove(&dir);
}

#[test]
fn an_answer_across_shards_without_one_says_so_and_is_not_kept() {
    let cross_shard = CrossShardSettings { cache_bytes: 1 << 20, ..Default::default() };
    let settings = EngineSettings { cross_shard, ..settings() };
    let dir = damaged("quarantine-everywhere", &settings);
    let engine = Engine::open(&dir, settings).unwrap();
    for _ in 0..2 {
        let answer = engine.query_text(&TextQuery::everywhere("beer malt", 100)).unwrap();
        assert!(answer.is_partial && !answer.is_cached && !answer.results.is_empty());
        let failed: Vec<ShardId> = answer
            .shards
            .iter()
            .filter(|report| matches!(&report.outcome, ShardOutcome::Failed(problem) if problem.message.contains("quarantined")))
            .map(|report| report.shard)
            .collect();
        assert_eq!(failed, [ShardId::new(1)]);
    }
    let only = Reach::Tenants(tenants_of(&engine, 1));
    is_kept_out(engine.query_text(&TextQuery { reach: only, ..TextQuery::everywhere("beer", 3) }));
    remove(&dir);
}

#[test]
fn new_tenants_go_elsewhere_unless_the_choice_is_a_promise() {
    for placement in [PlacementPolicy::Mmh3, PlacementPolicy::Ring, PlacementPolicy::LeastLoaded] {
        let settings = EngineSettings { placement, ..settings() };
        let dir = damaged(&format!("quarantine-place-{}", placement.name()), &settings);
        let engine = Engine::open(&dir, settings).unwrap();
        let placed: Vec<Result<ShardId, EngineError>> =
            (0..40).map(|number| engine.place(&format!("new-{number}")).map(|one| one.shard)).collect();
        assert!(placed.iter().flatten().all(|shard| *shard != ShardId::new(1)));
        let refused = placed.into_iter().filter_map(Result::err).map(Err::<(), _>);
        let refused = refused.inspect(|one| is_kept_out(one.clone())).count();
        assert_eq!(refused > 0, placement == PlacementPolicy::Mmh3, "{refused}");
        remove(&dir);
    }
}

#[test]
fn the_doctor_repairs_nothing_while_a_shard_is_kept_out_and_drops_it_by_its_name_only() {
    let dir = damaged("quarantine-drop", &settings());
    let engine = Engine::open_for_repair(&dir, settings()).unwrap();
    let kinds: Vec<FindingKind> = engine.diagnose().findings.into_iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [FindingKind::Quarantined]);
    assert_eq!(engine.repair().unwrap_err().code, ErrorCode::FailedPrecondition);
    for wrong in ["", "tenant-shard-", "tenant-shard-0", "tenant-shard-11", "Tenant-shard-1"] {
        assert_eq!(engine.drop_shard(wrong).unwrap_err().code, ErrorCode::FailedPrecondition, "{wrong}");
    }
    let tenants = tenants_of(&engine, 1);
    let dropped = engine.drop_shard("tenant-shard-1").unwrap();
    assert_eq!(dropped.assigned_tenants, tenants.len() as u64);
    assert!(dropped.aside.unwrap().join("MANIFEST").exists());
    drop(engine);
    let engine = Engine::open(&dir, settings()).unwrap();
    assert!(engine.quarantined().is_empty() && engine.diagnose().findings.is_empty());
    for (tenant, _) in engine.tenants() {
        let expected = if tenants.contains(&tenant.to_string()) { 0 } else { 3 };
        assert_eq!(records(&engine, tenant.as_str()), expected);
    }
    engine.ingest(&tenants[0], vec![document("again", "beer", 1.0)]).unwrap();
    assert_eq!(records(&engine, &tenants[0]), 1);
    drop(engine);
    remove(&dir);
}

#[test]
fn a_shard_of_another_number_is_foreign() {
    let dir = damaged("quarantine-foreign", &settings());
    let (first, other) = (dir.join("shards/shard-0001/MANIFEST"), dir.join("shards/shard-0002/MANIFEST"));
    std::fs::copy(other, first).unwrap();
    let engine = Engine::open(&dir, settings()).unwrap();
    let [one] = engine.quarantined().try_into().unwrap();
    assert_eq!((one.shard, one.quarantine.reason), (ShardId::new(1), QuarantineReason::Foreign));
    drop(engine);
    remove(&dir);
}

#[test]
fn a_shard_whose_files_were_put_back_is_opened_again_without_a_restart() {
    let dir = damaged("reopen-damaged", &settings());
    let engine = Engine::open(&dir, settings()).unwrap();
    let kept_out = tenants_of(&engine, 1);
    for _ in 0..2 {
        is_kept_out(engine.reopen("tenant-shard-1"));
        assert!(!engine.reopen("tenant-shard-2").unwrap().was_opened, "it is well");
    }
    assert_eq!(engine.reopen("tenant-shard-9").unwrap_err().code, ErrorCode::NotFound);
    let (shard, away) = (dir.join("shards/shard-0001"), dir.join("away"));
    std::fs::rename(&shard, &away).unwrap();
    let refused = engine.reopen("tenant-shard-1").unwrap_err();
    assert!(refused.code == ErrorCode::Quarantined && refused.message.contains("missing"), "{refused}");
    assert!(!shard.exists(), "what is missing is not begun anew");
    std::fs::rename(away, shard).unwrap();
    flip(&dir.join("shards/shard-0001/MANIFEST"));
    assert!(engine.reopen("tenant-shard-1").unwrap().was_opened);
    assert!(!engine.reopen("tenant-shard-1").unwrap().was_opened);
    for tenant in &kept_out {
        assert_eq!(records(&engine, tenant), 3);
        engine.write(tenant, Change::DeleteAll).unwrap();
    }
    assert!(engine.settle(Duration::from_secs(60), &mut |_| ()).unwrap());
    assert!(engine.quarantined().is_empty() && engine.diagnose().findings.is_empty());
    drop(engine);
    let engine = Engine::open(&dir, settings()).unwrap();
    assert!(kept_out.iter().all(|tenant| records(&engine, tenant) == 0));
    drop(engine);
    remove(&dir);
}

#[test]
fn a_shard_that_takes_no_writes_is_opened_again_beside_its_readers() {
    let dir = scratch("reopen-poisoned");
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, TENANTS, 3);
    let tenant = tenants_of(&engine, 1).swap_remove(0);
    let old = engine.inner.fleet.member(ShardId::new(1)).unwrap().local().unwrap();
    // Whatever a shard refuses writes for, it is read again from its files.
    old.close().unwrap();
    assert_eq!(engine.write(&tenant, Change::DeleteAll).unwrap_err().code, ErrorCode::WritesRefused);
    assert_eq!(records(&engine, &tenant), 3);
    assert!(engine.reopen("tenant-shard-1").unwrap().was_opened);
    engine.write(&tenant, Change::DeleteAll).unwrap();
    assert_eq!(records(&engine, &tenant), 0);
    // Who held the shard before sees what it saw.
    assert_eq!(old.records(), old.namespaces().values().map(|(_, records)| records).sum::<u64>());
    let file = "shards/shard-0001/wal-1.log: no such device";
    let new = engine.inner.fleet.member(ShardId::new(1)).unwrap().local().unwrap();
    new.give_up(&format!("{}", dir.join(file).display()));
    let failures: Vec<String> = engine.shards().into_iter().filter_map(|shard| shard.failure).collect();
    assert_eq!(failures, [file], "where the data directory lies is nobody's business");
    drop((old, new, engine));
    let engine = Engine::open(&dir, settings()).unwrap();
    assert_eq!(records(&engine, &tenant), 0);
    drop(engine);
    remove(&dir);
}

#[test]
fn looking_at_a_damaged_routing_table_sets_nothing_aside() {
    let dir = scratch("quarantine-look");
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, TENANTS, 3);
    drop(engine);
    let database = dir.join("catalog/sled/db");
    std::fs::write(&database, [7; 300]).unwrap();
    for _ in 0..2 {
        let engine = Engine::open_to_diagnose(&dir, settings()).unwrap();
        let [finding] = engine.diagnose().findings.try_into().unwrap();
        assert_eq!(finding.kind, FindingKind::Unreadable);
        assert!(engine.drop_shard("tenant-shard-1").is_err());
        let is_refused = |error: EngineError| error.code == ErrorCode::Quarantined;
        assert!(engine.tenant("tenant-001").is_err_and(is_refused));
        // Nobody is told that what he wants gone is gone.
        assert!(engine.write("tenant-001", Change::DeleteAll).is_err_and(is_refused));
        engine.close().unwrap();
    }
    assert!(!dir.join("catalog-damaged-1").exists());
    remove(&dir);
}

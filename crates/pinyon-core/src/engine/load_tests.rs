//! Tests of query load through the whole engine: a tenant that is hammered, and the health report and advice that tell of it.

use super::{tests::*, *};
use crate::{HealthReport, ShardStatus, TextQuery, VectorQuery};
use pinyon_types::ManualClock;
use std::{path::Path, time::Duration};

/// An engine whose clock stands until it is moved.
fn open(dir: &Path) -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let environment = crate::Environment::system().with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    (Engine::open(dir, EngineSettings { environment, ..settings() }).unwrap(), clock)
}

fn ask(engine: &Engine, reach: &crate::Reach, times: u32) {
    let vector = engine.embed_query("beer and malt").unwrap();
    for _ in 0..times {
        engine.query_vector(VectorQuery::dense(vector.clone(), reach.clone(), 5)).unwrap();
    }
}

fn ask_tenant(engine: &Engine, tenant: u32, times: u32) {
    ask(engine, &crate::Reach::Tenant(format!("tenant-{tenant:03}")), times);
}

fn hot(report: &HealthReport) -> Vec<u32> {
    let hot = report.shards.iter().filter(|shard| shard.status == ShardStatus::Hot);
    hot.map(|shard| shard.shard.get()).collect()
}

#[test]
fn a_hammered_tenant_makes_its_shard_hot_until_it_stops() {
    let dir = scratch("hammered");
    let (engine, clock) = open(&dir);
    fill(&engine, 12, 20);
    let home = engine.lookup("tenant-003").unwrap().unwrap().shard;
    let before = engine.health();
    assert!(before.alerts.is_empty() && before.shards.iter().all(|shard| shard.load_share == 0.0));
    // Ten times what the others are asked.
    for tenant in 0..12 {
        ask_tenant(&engine, tenant, if tenant == 3 { 1_000 } else { 100 });
    }
    clock.advance(Duration::from_secs(20));
    let report = engine.health();
    assert_eq!(hot(&report), [home.get()]);
    assert!(report.needs_rebalancing && report.alerts.len() == 1, "{:?}", report.alerts);
    assert!(report.alerts[0].contains("query load") && report.alerts[0].contains("tenant-003"));
    let shard = &report.shards[home.get() as usize];
    assert_eq!(shard.hottest[0].tenant.as_str(), "tenant-003");
    assert!(shard.hottest[0].share > 0.7 && shard.load_share > 0.4, "{shard:?}");
    let advice = engine.advise();
    assert_eq!(advice.alerts, report.alerts);
    assert!(advice.summary.starts_with(&engine.index_name(home)), "{}", advice.summary);
    // The tenants' loads are rates of the time that the engine has run.
    let tenants = engine.tenant_reports();
    let rate = |name: &str| tenants.iter().find(|one| one.tenant.as_str() == name).unwrap().load.per_second();
    assert_eq!((rate("tenant-003"), rate("tenant-004")), (50.0, 5.0));
    let hottest = engine.hottest_tenants(2);
    assert_eq!((hottest.len(), hottest[0].0, hottest[0].1.tenant.as_str()), (2, home, "tenant-003"));
    // It stops; the others go on for a while.
    for _ in 0..6 {
        clock.advance(Duration::from_secs(60));
        (0..12).for_each(|tenant| ask_tenant(&engine, tenant, 10));
    }
    let after = engine.health();
    assert!(after.alerts.is_empty() && !after.needs_rebalancing, "{:?}", after.alerts);
    clock.advance(Duration::from_secs(5 * 60));
    assert_eq!(engine.query_load().searches, 0);
    drop(engine);
    remove(&dir);
}

#[test]
fn queries_across_tenants_are_nobodys_load() {
    let dir = scratch("across");
    let (engine, clock) = open(&dir);
    fill(&engine, 12, 20);
    ask(&engine, &crate::Reach::All, 50);
    let two = vec!["tenant-001".to_owned(), "tenant-002".to_owned()];
    ask(&engine, &crate::Reach::Tenants(two), 50);
    clock.advance(Duration::from_secs(10));
    assert!(engine.query_load().searches >= 250, "every shard that is asked counts a search");
    // The two live on one shard, so that neither is searched alone.
    assert_eq!(
        engine.lookup("tenant-001").unwrap().unwrap().shard,
        engine.lookup("tenant-002").unwrap().unwrap().shard
    );
    assert!(engine.hottest_tenants(10).is_empty());
    // A failed query, and one of an unknown tenant, do no work.
    let before = engine.query_load();
    assert!(engine.query_text(&TextQuery::in_tenant("tenant-001", "beer", 0)).is_err());
    engine.query_text(&TextQuery::in_tenant("nobody", "beer", 5)).unwrap();
    assert_eq!(engine.query_load(), before);
    drop(engine);
    remove(&dir);
}

#[test]
fn equal_load_on_all_shards_alerts_to_nothing() {
    let dir = scratch("equal");
    let (engine, clock) = open(&dir);
    // One tenant a shard, of the same size.
    for shard in 0..4 {
        engine.assign(&format!("tenant-{shard:03}"), shard).unwrap();
    }
    fill(&engine, 4, 20);
    (0..4).for_each(|tenant| ask_tenant(&engine, tenant, 500));
    clock.advance(Duration::from_secs(30));
    let report = engine.health();
    assert!(report.alerts.is_empty() && !report.needs_rebalancing, "{:?}", report.alerts);
    assert!(report.shards.iter().all(|shard| (shard.load_share - 0.25).abs() < 0.01), "{:?}", report.shards);
    drop(engine);
    remove(&dir);
}

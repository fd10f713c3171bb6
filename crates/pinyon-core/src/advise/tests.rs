//! Tests of the rules, for given numbers and for a running system.

use super::*;
use crate::{Quantiles, QueryLoad, ShardHealth};
use pinyon_types::ShardId;

#[test]
fn every_limit_is_passed_only_above_its_value() {
    let at_limits =
        AdviceInput { tenants: 80, vectors: 1_000_000, p95_ms: 500.0, namespaces: 80, ..Default::default() };
    let advice = advise(&at_limits);
    assert!(!advice.should_shard && advice.reasons.is_empty());
    for above in [
        AdviceInput { tenants: 81, ..at_limits },
        AdviceInput { vectors: 1_000_001, ..at_limits },
        AdviceInput { p95_ms: 500.1, ..at_limits },
        AdviceInput { namespaces: 81, ..at_limits },
    ] {
        let advice = advise(&above);
        assert!(advice.should_shard && advice.reasons.len() == 1, "{above:?}");
    }
}

#[test]
fn giants_and_cross_tenant_queries_speak_against_it() {
    let large = AdviceInput { tenants: 500, vectors: 5_000_000, ..Default::default() };
    let giants = advise(&AdviceInput { top_10_share: Some(0.71), ..large });
    assert!(!giants.should_shard && giants.against[0].contains("71 %"), "{giants:?}");
    let crossing = advise(&AdviceInput { cross_tenant_share: Some(0.21), ..large });
    assert!(!crossing.should_shard && crossing.against[0].contains("21 %"));
    let neither = advise(&AdviceInput { top_10_share: Some(0.7), cross_tenant_share: Some(0.2), ..large });
    assert!(neither.should_shard);
}

/// A system of shards in these states.
fn health(states: &[ShardStatus]) -> HealthReport {
    let shard = |(number, status): (u32, &ShardStatus)| ShardHealth {
        shard: ShardId::new(number),
        index_name: format!("s-{number}"),
        namespace_count: 20,
        total_vectors: 5_000,
        latency: Quantiles::default(),
        load: QueryLoad::default(),
        load_share: 0.0,
        hottest: Vec::new(),
        status: *status,
    };
    let shards: Vec<ShardHealth> = (0..).zip(states).map(shard).collect();
    let ill = shards.iter().filter(|shard| shard.status < ShardStatus::NearCapacity);
    let alerts: Vec<String> = ill.map(|shard| format!("{}: too much", shard.index_name)).collect();
    HealthReport { needs_rebalancing: !alerts.is_empty(), shards, alerts }
}

const WELL: [ShardStatus; 4] = [ShardStatus::Healthy; 4];

fn live(counts: &LiveCounts, health: &HealthReport) -> Advice {
    advise_live(counts, health, &Thresholds::module())
}

#[test]
fn a_running_system_is_not_judged_by_next_to_nothing() {
    // 81 tenants of one vector each, and two queries, one of them across tenants.
    let tiny = LiveCounts {
        shards: 1,
        tenants: 81,
        namespaces: 81,
        vectors: 81,
        vectors_of_top_10: 10,
        queries: 2,
        queries_across: 1,
    };
    let advice = live(&tiny, &health(&WELL[..1]));
    assert!(!advice.should_shard && advice.reasons.is_empty() && advice.against.is_empty(), "{advice:?}");
    assert!(advice.summary.starts_with("do not shard"));
    let measured = measured(&tiny, &health(&WELL));
    assert_eq!((measured.top_10_share, measured.cross_tenant_share), (None, None));
    assert_eq!((measured.tenants, measured.vectors), (81, 81), "what is counted is told as it is");
    // Enough of everything.
    let large = LiveCounts { vectors: LIVE_VECTORS_MIN, vectors_of_top_10: LIVE_VECTORS_MIN / 2, ..tiny };
    let advice = live(&large, &health(&WELL[..1]));
    assert!(advice.should_shard && advice.reasons.len() == 2, "{advice:?}");
    let crossing = LiveCounts { queries: LIVE_QUERIES_MIN, queries_across: LIVE_QUERIES_MIN / 2, ..large };
    let advice = live(&crossing, &health(&WELL[..1]));
    assert!(!advice.should_shard && advice.against[0].contains("50 % of the queries"), "{advice:?}");
    let fewer = LiveCounts { queries: LIVE_QUERIES_MIN - 1, ..crossing };
    assert!(live(&fewer, &health(&WELL[..1])).against.is_empty());
}

#[test]
fn a_slow_query_or_two_are_no_p95() {
    let with_p95 = |count| {
        let mut health = health(&WELL);
        health.shards[1].latency = Quantiles { p50_us: 1, p95_us: 900_000, p99_us: 900_000, count };
        measured(&LiveCounts::default(), &health).p95_ms
    };
    assert_eq!((with_p95(health::P95_QUERIES_MIN - 1), with_p95(health::P95_QUERIES_MIN)), (0.0, 900.0));
}

#[test]
fn a_system_that_is_sharded_is_told_whether_to_stay_so() {
    let large = LiveCounts { shards: 4, tenants: 40, vectors: 1_100_000, ..Default::default() };
    let advice = live(&large, &health(&WELL));
    assert!(advice.should_shard && advice.shards == Some(4) && advice.alerts.is_empty());
    assert!(advice.summary.starts_with("keep the 4 shards"), "{}", advice.summary);
    let small = LiveCounts { vectors: 20_000, ..large };
    let advice = live(&small, &health(&WELL));
    assert!(!advice.should_shard && advice.summary.starts_with("do not shard further"), "{}", advice.summary);
    assert!(advice.summary.contains("the 4 shards there are"));
    let crossing = LiveCounts { queries: 1_000, queries_across: 500, ..large };
    let advice = live(&crossing, &health(&WELL));
    assert!(!advice.should_shard && advice.summary.starts_with("keep the 4 shards and add none"));
    assert!(live(&LiveCounts { shards: 1, ..large }, &health(&WELL[..1])).summary.starts_with("shard:"));
}

#[test]
fn advice_never_contradicts_the_health_report() {
    use ShardStatus::{Failed, Healthy, Hot, NearCapacity, Overloaded};
    let small = LiveCounts { shards: 4, tenants: 40, vectors: 20_000, ..Default::default() };
    for state in [Failed, Overloaded, Hot, NearCapacity, Healthy] {
        let health = health(&[Healthy, state, Healthy, Healthy]);
        let advice = live(&small, &health);
        assert_eq!(advice.alerts, health.alerts);
        let is_ill = state <= Hot;
        assert_eq!(advice.summary.starts_with("s-1: "), is_ill, "{}", advice.summary);
        assert_eq!(advice.summary.contains("would carry this load"), !is_ill, "{}", advice.summary);
    }
    let hot = health(&[Healthy, Hot, Healthy, Healthy]);
    assert!(live(&small, &hot).summary.contains("move tenants to other shards"));
    let stuck = HealthReport { needs_rebalancing: false, ..hot };
    assert!(live(&small, &stuck).summary.contains("moving tenants does not help"));
    // 100 tenants do not fit into four shards of fewer than 18, wherever they are.
    let crowded = LiveCounts { tenants: 100, ..small };
    let advice = live(&crowded, &health(&[Overloaded; 4]));
    assert!(advice.summary.contains("s-0, s-1, s-2 and 1 more: too much"), "{}", advice.summary);
    assert!(advice.summary.contains("raise MAX_VECTORS_PER_SHARD or MAX_NAMESPACES_PER_SHARD"));
    let single = live(&LiveCounts { shards: 1, ..small }, &health(&[Overloaded]));
    assert!(!single.summary.contains("carries this load"), "{}", single.summary);
    // Its own limit, not the reference's, is what a slow system is held against.
    let mut slow = health(&[Healthy, Overloaded, Healthy, Healthy]);
    slow.shards[1].latency = Quantiles { p50_us: 1, p95_us: 150_000, p99_us: 200_000, count: 1_000 };
    let thresholds = Thresholds { p95_warn: Duration::from_millis(100), ..Thresholds::module() };
    assert!(advise_live(&small, &slow, &thresholds).reasons[0].contains("150 ms is above 100 ms"));
    assert!(live(&small, &slow).reasons.is_empty());
}

#[test]
fn given_numbers_count_and_only_missing_ones_come_from_the_system() {
    let live = AdviceInput { tenants: 81, vectors: 81, namespaces: 81, ..Default::default() };
    let given = |given: GivenNumbers| advise_filled(&given, given.filled(live));
    let advice = given(GivenNumbers { tenants: Some(81), ..Default::default() });
    assert_eq!(advice.reasons, ["81 tenants are more than 80"], "{advice:?}");
    assert!(given(GivenNumbers { cross_tenant_share: Some(0.1), ..Default::default() }).reasons.is_empty());
    let advice = given(GivenNumbers { vectors: Some(2_000_000), ..Default::default() });
    assert_eq!(advice.reasons.len(), 3, "{advice:?}");
    assert_eq!((advice.shards, advice.alerts.len()), (None, 0));
}

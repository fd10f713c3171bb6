//! Tests of the rules: limits, comparisons of shards and their floors, query load.

use super::*;
use pinyon_types::SeededRng;

fn sample(tenants: u64, vectors: u64, p95_us: u64) -> ShardLoadSample {
    let latency = Quantiles { p50_us: 1, p95_us, p99_us: p95_us, count: HOT_P95_QUERIES_MIN };
    ShardLoadSample {
        shard: ShardId::new(0),
        index_name: "s-0".into(),
        tenants,
        vectors,
        latency,
        load: QueryLoad::default(),
        hottest: Vec::new(),
        failure: None,
    }
}

/// A load of so many searches that cost 300 each.
fn load(searches: u64) -> QueryLoad {
    QueryLoad { searches, cost: searches * 300, span: Duration::from_secs(240) }
}

fn share_of(tenant: &str, searches: u64, of: u64) -> TenantShare {
    let tenant = TenantId::new(tenant).unwrap();
    TenantShare { tenant, load: load(searches), share: searches as f64 / of as f64 }
}

/// Four shards of ten tenants, with so many searches each.
fn loaded(searches: [u64; 4]) -> Vec<ShardLoadSample> {
    searches.map(|searches| ShardLoadSample { load: load(searches), ..sample(10, 100, 0) }).into()
}

fn judged(samples: Vec<ShardLoadSample>) -> HealthReport {
    judge(samples, &Thresholds::module())
}

fn status(sample: &ShardLoadSample) -> ShardStatus {
    // Three equals beside it, so that only the absolute rules can fire.
    judged(vec![sample.clone(); 4]).shards[0].status
}

#[test]
fn limits_are_the_modules() {
    for (sample, expected) in [
        (sample(3, 100, 1_000), ShardStatus::Healthy),
        (sample(3, 300_000, 1_000), ShardStatus::NearCapacity),
        (sample(3, 300_001, 1_000), ShardStatus::Overloaded),
        (sample(3, 239_999, 1_000), ShardStatus::Healthy),
        (sample(15, 100, 1_000), ShardStatus::Healthy),
        (sample(16, 100, 1_000), ShardStatus::NearCapacity),
        (sample(18, 100, 1_000), ShardStatus::Overloaded),
        (sample(3, 100, 500_001), ShardStatus::Overloaded),
        (sample(3, 100, 500_000), ShardStatus::Healthy),
    ] {
        assert_eq!(status(&sample), expected, "{sample:?}");
    }
    let failed = ShardLoadSample { failure: Some("log failed".into()), ..sample(1, 1, 1) };
    assert_eq!(status(&failed), ShardStatus::Failed);
}

#[test]
fn a_shard_far_above_the_mean_is_hot_and_calls_for_rebalancing() {
    let samples = vec![sample(2, 1_000, 0), sample(2, 1_000, 0), sample(2, 1_000, 0), sample(2, 5_000, 0)];
    let report = judged(samples);
    assert_eq!(report.shards[3].status, ShardStatus::Hot);
    assert!(
        report.needs_rebalancing && report.alerts[0].contains("times the mean of 2000"),
        "{:?}",
        report.alerts
    );
    let tiny = judged(vec![sample(1, 0, 0), sample(2, 9, 0)]);
    assert!(!tiny.needs_rebalancing, "next to nothing is not hot");
}

/// Every relative rule at its floor and just below, all other shards being empty.
#[test]
fn below_its_floor_no_rule_calls_a_shard_hot() {
    let latency = |count, p95_us| Quantiles { p50_us: 1, p95_us, p99_us: p95_us, count };
    let beside_two = |latency| ShardLoadSample { latency, ..sample(0, 0, 0) };
    let enough = HOT_P95_QUERIES_MIN;
    for (hot, not_hot) in [
        (sample(HOT_TENANTS_MIN, 0, 0), sample(HOT_TENANTS_MIN - 1, 0, 0)),
        (sample(1, HOT_VECTORS_MIN, 0), sample(1, HOT_VECTORS_MIN - 1, 0)),
        (beside_two(latency(enough, HOT_P95_US_MIN)), beside_two(latency(enough, HOT_P95_US_MIN - 1))),
        (beside_two(latency(enough, HOT_P95_US_MIN)), beside_two(latency(enough - 1, 400_000))),
        (
            ShardLoadSample { load: load(HOT_SEARCHES_MIN), ..sample(2, 0, 0) },
            ShardLoadSample { load: load(HOT_SEARCHES_MIN - 1), ..sample(2, 0, 0) },
        ),
    ] {
        let others = || [sample(0, 0, 1), sample(0, 0, 1), sample(0, 0, 1)];
        let report = judged([vec![hot.clone()], others().into()].concat());
        assert_eq!((report.shards[0].status, report.needs_rebalancing), (ShardStatus::Hot, true), "{hot:?}");
        let report = judged([vec![not_hot.clone()], others().into()].concat());
        assert_eq!(report.shards[0].status, ShardStatus::Healthy, "{not_hot:?}");
        assert!(report.alerts.is_empty() && !report.needs_rebalancing);
    }
}

#[test]
fn shards_that_were_hardly_asked_do_not_make_another_slow() {
    let asked = |count, p95_us| ShardLoadSample {
        latency: Quantiles { p50_us: 1, p95_us, p99_us: p95_us, count },
        ..sample(1, 1, 0)
    };
    // The only one that was asked is the mean.
    let report = judged(vec![asked(5_000, 40_000), asked(0, 0), asked(3, 5), asked(0, 0)]);
    assert!(report.alerts.is_empty(), "{:?}", report.alerts);
    let report = judged(vec![asked(5_000, 40_000), asked(5_000, 1_000), asked(300, 1_000), asked(0, 0)]);
    assert!(report.alerts[0].contains("p95 latency 40.0 ms, over 1.5 times the mean of 14.0 ms"));
    // A limit is not passed by a slow first query.
    assert_eq!(status(&asked(P95_QUERIES_MIN - 1, 900_000)), ShardStatus::Healthy);
    assert_eq!(status(&asked(P95_QUERIES_MIN, 900_000)), ShardStatus::Overloaded);
}

#[test]
fn a_hammered_shard_is_hot_and_its_alert_names_the_tenants() {
    let mut samples = loaded([2_000, 2_000, 2_000, 6_000]);
    samples[3].hottest = vec![share_of("acme", 3_000, 6_000), share_of("beta", 2_400, 6_000)];
    let report = judged(samples.clone());
    assert_eq!(report.shards[3].status, ShardStatus::Hot);
    assert!(report.needs_rebalancing && report.alerts.len() == 1);
    assert!((report.shards[3].load_share - 0.5).abs() < 1e-9);
    for part in ["2.0 times the mean", "25.0 searches a second", "acme 50 %, beta 40 %; move one of them"] {
        assert!(report.alerts[0].contains(part), "{part}: {}", report.alerts[0]);
    }
    // One that alone makes any shard hot.
    samples[3].hottest[0] = share_of("acme", 5_400, 6_000);
    let report = judged(samples.clone());
    let advice =
        "acme 90 % of it: move the other tenants away or give it a shard of its own, moving it alone";
    assert!(report.alerts[0].contains(advice) && report.needs_rebalancing, "{:?}", report.alerts);
    // Nobody is left to be moved away.
    samples[3].tenants = 1;
    let report = judged(samples.clone());
    assert!(report.alerts[0].contains("has the shard to itself") && !report.needs_rebalancing);
    samples[3].hottest.clear();
    assert!(judged(samples).alerts[0].contains("it comes from queries across tenants"));
}

#[test]
fn loads_that_are_equal_or_below_the_floor_never_alert() {
    let mut rng = SeededRng::new(5);
    for _ in 0..500 {
        let searches = rng.below(1_000_000);
        let equal = judged(loaded([searches; 4]));
        assert!(equal.alerts.is_empty() && !equal.needs_rebalancing, "{searches}: {:?}", equal.alerts);
        let little = judged(loaded([(); 4].map(|()| rng.below(HOT_SEARCHES_MIN))));
        assert!(little.alerts.is_empty(), "{:?}", little.alerts);
        // Half as much again is the most that others' equal share allows.
        let within = judged(loaded([searches, searches, searches, searches + searches / 2]));
        assert!(within.alerts.is_empty(), "{searches}: {:?}", within.alerts);
    }
    assert!(judged(loaded([1_000_000, 0, 0, 0]).split_off(3)).alerts.is_empty());
    assert!(judged(vec![loaded([9_999, 0, 0, 0])[0].clone()]).alerts.is_empty(), "one shard is its own mean");
}

#[test]
fn a_shard_that_takes_no_writes_is_mended_before_anything_is_moved() {
    let failed = ShardLoadSample { failure: Some("log failed".into()), ..sample(19, 400_000, 0) };
    let report = judged(vec![failed, sample(19, 1, 0)].into_iter().take(1).collect());
    assert_eq!((report.worst(), report.needs_rebalancing), (ShardStatus::Failed, false));
}

//! Health: which shards are too full, too slow, or much fuller and slower than the others.

use crate::{Quantiles, Thresholds};
use pinyon_types::ShardId;

/// A shard's state, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShardStatus {
    /// It takes no writes.
    Failed,
    /// A limit is passed.
    Overloaded,
    /// It carries over one and a half times the mean of all shards.
    Hot,
    /// A limit is nearly reached.
    NearCapacity,
    /// Nothing is wrong.
    Healthy,
}

impl ShardStatus {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Overloaded => "overloaded",
            Self::Hot => "hot",
            Self::NearCapacity => "near_capacity",
            Self::Healthy => "healthy",
        }
    }
}

/// One shard's load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShardLoadSample {
    pub(crate) shard: ShardId,
    pub(crate) index_name: String,
    pub(crate) tenants: u64,
    pub(crate) vectors: u64,
    pub(crate) latency: Quantiles,
    pub(crate) failure: Option<String>,
}

/// One shard's health.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardHealth {
    /// Which shard.
    pub shard: ShardId,
    /// Its name.
    pub index_name: String,
    /// Tenants that live on it.
    pub namespace_count: u64,
    /// Vectors that it holds.
    pub total_vectors: u64,
    /// Query latency of the last minutes.
    pub latency: Quantiles,
    /// The worst of what was found.
    pub status: ShardStatus,
}

/// The health of all shards.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthReport {
    /// Each shard.
    pub shards: Vec<ShardHealth>,
    /// Whether tenants should be moved.
    pub needs_rebalancing: bool,
    /// What was found, in sentences.
    pub alerts: Vec<String>,
}

/// Over this many times the mean of all shards a shard is hot.
const HOT_FACTOR: f64 = 1.5;
/// From this share of a limit on a shard is near its capacity.
const NEAR_CAPACITY: f64 = 0.8;
/// Relative rules mean nothing while a shard holds next to nothing.
const HOT_VECTORS_MIN: u64 = 1_000;
const HOT_TENANTS_MIN: u64 = 5;
const HOT_P95_US_MIN: u64 = 10_000;

/// Judges every shard.
pub(crate) fn judge(samples: Vec<ShardLoadSample>, thresholds: &Thresholds) -> HealthReport {
    let mut alerts = Vec::new();
    let means = Means::of(&samples);
    let judge_one = |sample: ShardLoadSample| {
        let mut findings = absolute_findings(&sample, thresholds);
        findings.extend(means.relative_findings(&sample));
        let status = findings.iter().map(|(status, _)| *status).min().unwrap_or(ShardStatus::Healthy);
        alerts.extend(findings.into_iter().map(|(_, alert)| format!("{}: {alert}", sample.index_name)));
        ShardHealth {
            shard: sample.shard,
            index_name: sample.index_name,
            namespace_count: sample.tenants,
            total_vectors: sample.vectors,
            latency: sample.latency,
            status,
        }
    };
    let shards: Vec<ShardHealth> = samples.into_iter().map(judge_one).collect();
    let relieves = |shard: &ShardHealth| matches!(shard.status, ShardStatus::Overloaded | ShardStatus::Hot);
    HealthReport { needs_rebalancing: shards.iter().any(relieves), shards, alerts }
}

fn absolute_findings(sample: &ShardLoadSample, thresholds: &Thresholds) -> Vec<(ShardStatus, String)> {
    let mut findings = Vec::new();
    let mut add =
        |holds: bool, status: ShardStatus, alert: String| findings.extend(holds.then_some((status, alert)));
    let Thresholds { vectors_per_shard_max, namespaces_per_shard_max, namespaces_per_shard_warn, p95_warn } =
        thresholds;
    if let Some(failure) = &sample.failure {
        add(true, ShardStatus::Failed, failure.clone());
    }
    let (vectors, tenants) = (sample.vectors, sample.tenants);
    let is_over = vectors > *vectors_per_shard_max;
    add(is_over, ShardStatus::Overloaded, format!("{vectors} vectors, limit {vectors_per_shard_max}"));
    add(
        !is_over && vectors as f64 >= *vectors_per_shard_max as f64 * NEAR_CAPACITY,
        ShardStatus::NearCapacity,
        format!("{vectors} vectors, near the limit of {vectors_per_shard_max}"),
    );
    let is_crowded = tenants >= *namespaces_per_shard_warn;
    add(
        is_crowded,
        ShardStatus::Overloaded,
        format!(
            "{tenants} namespaces of {namespaces_per_shard_max}, rebalance from {namespaces_per_shard_warn} on"
        ),
    );
    add(
        !is_crowded && tenants as f64 >= *namespaces_per_shard_max as f64 * NEAR_CAPACITY,
        ShardStatus::NearCapacity,
        format!("{tenants} namespaces, near the limit of {namespaces_per_shard_max}"),
    );
    add(
        u128::from(sample.latency.p95_us) > p95_warn.as_micros(),
        ShardStatus::Overloaded,
        format!("p95 latency {} ms, limit {} ms", sample.latency.p95_us / 1000, p95_warn.as_millis()),
    );
    findings
}

struct Means {
    tenants: f64,
    vectors: f64,
    p95_us: f64,
}

impl Means {
    fn of(samples: &[ShardLoadSample]) -> Self {
        let mean = |value: fn(&ShardLoadSample) -> u64| {
            samples.iter().map(|sample| value(sample) as f64).sum::<f64>() / samples.len().max(1) as f64
        };
        Self {
            tenants: mean(|sample| sample.tenants),
            vectors: mean(|sample| sample.vectors),
            p95_us: mean(|sample| sample.latency.p95_us),
        }
    }

    fn relative_findings(&self, sample: &ShardLoadSample) -> Vec<(ShardStatus, String)> {
        let is_hot = |value: u64, mean: f64, least: u64| value >= least && value as f64 > mean * HOT_FACTOR;
        let mut findings = Vec::new();
        let mut add = |holds: bool, what: String| findings.extend(holds.then_some((ShardStatus::Hot, what)));
        add(
            is_hot(sample.tenants, self.tenants, HOT_TENANTS_MIN),
            format!("{} namespaces, over {HOT_FACTOR} times the mean of {:.1}", sample.tenants, self.tenants),
        );
        add(
            is_hot(sample.vectors, self.vectors, HOT_VECTORS_MIN),
            format!("{} vectors, over {HOT_FACTOR} times the mean of {:.0}", sample.vectors, self.vectors),
        );
        add(
            is_hot(sample.latency.p95_us, self.p95_us, HOT_P95_US_MIN),
            format!(
                "p95 latency {} us, over {HOT_FACTOR} times the mean of {:.0} us",
                sample.latency.p95_us, self.p95_us
            ),
        );
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(tenants: u64, vectors: u64, p95_us: u64) -> ShardLoadSample {
        let latency = Quantiles { p50_us: 1, p95_us, p99_us: p95_us, count: 10 };
        ShardLoadSample {
            shard: ShardId::new(0),
            index_name: "s-0".into(),
            tenants,
            vectors,
            latency,
            failure: None,
        }
    }

    fn status(sample: &ShardLoadSample) -> ShardStatus {
        // Three equals beside it, so that only the absolute rules can fire.
        let report = judge(vec![sample.clone(); 4], &Thresholds::module());
        report.shards[0].status
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
        let samples =
            vec![sample(2, 1_000, 0), sample(2, 1_000, 0), sample(2, 1_000, 0), sample(2, 5_000, 0)];
        let report = judge(samples, &Thresholds::module());
        assert_eq!(report.shards[3].status, ShardStatus::Hot);
        assert!(
            report.needs_rebalancing && report.alerts[0].contains("times the mean of 2000"),
            "{:?}",
            report.alerts
        );
        let tiny = judge(vec![sample(1, 0, 0), sample(2, 9, 0)], &Thresholds::module());
        assert!(!tiny.needs_rebalancing, "next to nothing is not hot");
    }
}

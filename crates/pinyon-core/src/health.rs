//! Health: which shards are too full, too slow or too busy, by limits and against the other shards.

#[cfg(test)]
mod tests;

use crate::{Quantiles, QueryLoad, Thresholds};
use pinyon_types::{ShardId, TenantId};
use std::time::Duration;

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
    /// Every state, worst first.
    pub const ALL: [Self; 5] = [Self::Failed, Self::Overloaded, Self::Hot, Self::NearCapacity, Self::Healthy];

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

/// A tenant's part in the query load of its shard.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantShare {
    /// Whose part.
    pub tenant: TenantId,
    /// Its load.
    pub load: QueryLoad,
    /// Its share of the shard's load, 0 to 1.
    pub share: f64,
}

/// One shard's load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShardLoadSample {
    pub(crate) shard: ShardId,
    pub(crate) index_name: String,
    pub(crate) tenants: u64,
    pub(crate) vectors: u64,
    pub(crate) latency: Quantiles,
    pub(crate) load: QueryLoad,
    /// The tenants with most of that load, the hottest first.
    pub(crate) hottest: Vec<TenantShare>,
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
    /// Query load of the last minutes.
    pub load: QueryLoad,
    /// Its share of all shards' query load, 0 to 1; 0 where there is none.
    pub load_share: f64,
    /// The tenants with most of its query load, the hottest first; a few at most.
    pub hottest: Vec<TenantShare>,
    /// The worst of what was found.
    pub status: ShardStatus,
}

/// The health of all shards.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthReport {
    /// Each shard.
    pub shards: Vec<ShardHealth>,
    /// Whether moving tenants would relieve a shard.
    pub needs_rebalancing: bool,
    /// What was found, in sentences.
    pub alerts: Vec<String>,
}

impl HealthReport {
    /// The worst state of any shard.
    pub fn worst(&self) -> ShardStatus {
        self.shards.iter().map(|shard| shard.status).min().unwrap_or(ShardStatus::Healthy)
    }
}

/// Over this many times the mean of all shards a shard is hot.
const HOT_FACTOR: f64 = 1.5;
/// From this share of a limit on a shard is near its capacity.
const NEAR_CAPACITY: f64 = 0.8;
/// Fewer vectors than these are scanned in a tenth of a millisecond: no shard is hot by them, however few the others have.
const HOT_VECTORS_MIN: u64 = 1_000;
/// Half of the reference's limit of 20. Hashing 12 tenants to four shards puts over 1.5 times the mean on one of them six times
/// in ten, and nobody is worse off for it.
const HOT_TENANTS_MIN: u64 = 10;
/// A P95 below this is felt by nobody, and differences are the machine's.
const HOT_P95_US_MIN: u64 = 10_000;
/// Queries of the last minutes from which on shards' P95 are compared: of four equal shards (simulated, log-normal latencies)
/// one was over 1.5 times the mean in 6 % of looks with 50 queries each, in none of 1,500 with 200.
const HOT_P95_QUERIES_MIN: u64 = 200;
/// Among fewer queries than these the 95th percentile is the slowest one, a cold cache as a rule.
pub(crate) const P95_QUERIES_MIN: u64 = 20;
/// Searches of the last minutes from which on a shard can be hot by its query load: about one a second. Below that moving a
/// tenant costs more than it could ever save.
const HOT_SEARCHES_MIN: u64 = 300;

/// What is wrong with a shard.
struct Finding {
    status: ShardStatus,
    alert: String,
    /// Whether moving tenants mends it.
    is_mended_by_moves: bool,
}

/// Judges every shard.
pub(crate) fn judge(samples: Vec<ShardLoadSample>, thresholds: &Thresholds) -> HealthReport {
    let (mut alerts, mut needs_rebalancing) = (Vec::new(), false);
    let means = Means::of(&samples);
    let cost_of_all: u64 = samples.iter().map(|sample| sample.load.cost).sum();
    let judge_one = |sample: ShardLoadSample| {
        let mut findings = absolute_findings(&sample, thresholds);
        findings.extend(means.relative_findings(&sample));
        let status = findings.iter().map(|one| one.status).min().unwrap_or(ShardStatus::Healthy);
        // Nothing can be moved off a shard that takes no writes.
        needs_rebalancing |=
            status != ShardStatus::Failed && findings.iter().any(|one| one.is_mended_by_moves);
        alerts.extend(findings.into_iter().map(|one| format!("{}: {}", sample.index_name, one.alert)));
        ShardHealth {
            shard: sample.shard,
            index_name: sample.index_name,
            namespace_count: sample.tenants,
            total_vectors: sample.vectors,
            latency: sample.latency,
            load: sample.load,
            load_share: share(sample.load.cost, cost_of_all),
            hottest: sample.hottest,
            status,
        }
    };
    let shards: Vec<ShardHealth> = samples.into_iter().map(judge_one).collect();
    HealthReport { shards, needs_rebalancing, alerts }
}

/// A part's share of a whole; 0 of nothing.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn absolute_findings(sample: &ShardLoadSample, thresholds: &Thresholds) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |holds: bool, status: ShardStatus, alert: String| {
        let is_mended_by_moves = status == ShardStatus::Overloaded;
        findings.extend(holds.then_some(Finding { status, alert, is_mended_by_moves }));
    };
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
        is_slow(sample.latency, *p95_warn),
        ShardStatus::Overloaded,
        format!("p95 latency {} ms, limit {} ms", sample.latency.p95_us / 1000, p95_warn.as_millis()),
    );
    findings
}

/// Whether a P95 is above a limit, and of enough queries to be one.
pub(crate) fn is_slow(latency: Quantiles, limit: Duration) -> bool {
    latency.count >= P95_QUERIES_MIN && u128::from(latency.p95_us) > limit.as_micros()
}

struct Means {
    tenants: f64,
    vectors: f64,
    /// Of the shards that were asked often enough.
    p95_us: f64,
    cost: f64,
}

impl Means {
    fn of(samples: &[ShardLoadSample]) -> Self {
        let mean = |value: fn(&ShardLoadSample) -> u64| mean(samples.iter().map(value));
        let compared = samples.iter().map(|sample| sample.latency);
        let compared = compared.filter(|latency| latency.count >= HOT_P95_QUERIES_MIN);
        Self {
            tenants: mean(|sample| sample.tenants),
            vectors: mean(|sample| sample.vectors),
            p95_us: self::mean(compared.map(|latency| latency.p95_us)),
            cost: mean(|sample| sample.load.cost),
        }
    }

    fn relative_findings(&self, sample: &ShardLoadSample) -> Vec<Finding> {
        let is_hot = |value: u64, mean: f64, least: u64| value >= least && value as f64 > mean * HOT_FACTOR;
        let mut findings = Vec::new();
        let mut add = |holds: bool, alert: String| {
            findings.extend(holds.then_some(Finding {
                status: ShardStatus::Hot,
                alert,
                is_mended_by_moves: true,
            }));
        };
        add(
            is_hot(sample.tenants, self.tenants, HOT_TENANTS_MIN),
            format!("{} namespaces, over {HOT_FACTOR} times the mean of {:.1}", sample.tenants, self.tenants),
        );
        add(
            is_hot(sample.vectors, self.vectors, HOT_VECTORS_MIN),
            format!("{} vectors, over {HOT_FACTOR} times the mean of {:.0}", sample.vectors, self.vectors),
        );
        add(
            sample.latency.count >= HOT_P95_QUERIES_MIN
                && is_hot(sample.latency.p95_us, self.p95_us, HOT_P95_US_MIN),
            format!(
                "p95 latency {:.1} ms, over {HOT_FACTOR} times the mean of {:.1} ms",
                sample.latency.p95_us as f64 / 1e3,
                self.p95_us / 1e3
            ),
        );
        findings.extend(self.load_finding(sample));
        findings
    }

    /// A shard that does much more of the searching than the others.
    fn load_finding(&self, sample: &ShardLoadSample) -> Option<Finding> {
        let load = sample.load;
        let is_hot = load.searches >= HOT_SEARCHES_MIN && load.cost as f64 > self.cost * HOT_FACTOR;
        is_hot.then(|| Finding {
            status: ShardStatus::Hot,
            alert: format!(
                "query load {:.1} times the mean of all shards ({:.1} searches a second in the last minutes, weighed by their \
                 cost){}",
                load.cost as f64 / self.cost,
                load.per_second(),
                self.whose_load(sample)
            ),
            // Whoever has a shard to itself takes the load along.
            is_mended_by_moves: sample.tenants > 1,
        })
    }

    /// Whose the load is, and what mends it. Searches of several tenants at once are nobody's.
    fn whose_load(&self, sample: &ShardLoadSample) -> String {
        let Some(hottest) = sample.hottest.first() else {
            return "; it comes from queries across tenants".into();
        };
        let named = |one: &TenantShare| format!("{} {:.0} %", one.tenant, one.share * 100.0);
        let is_giant = hottest.load.cost as f64 > self.cost * HOT_FACTOR;
        match (is_giant, sample.tenants) {
            (false, _) => {
                let named: Vec<String> = sample.hottest.iter().map(named).collect();
                format!("; most of it: {}; move one of them to a shard with less", named.join(", "))
            }
            (true, ..=1) => {
                format!(
                    "; {} of it has the shard to itself: no move helps, give it less to do",
                    named(hottest)
                )
            }
            (true, _) => format!(
                "; {} of it: move the other tenants away or give it a shard of its own, moving it alone only takes the load \
                 along",
                named(hottest)
            ),
        }
    }
}

fn mean(values: impl Iterator<Item = u64>) -> f64 {
    let (count, sum) = values.fold((0_u64, 0.0), |(count, sum), value| (count + 1, sum + value as f64));
    sum / count.max(1) as f64
}

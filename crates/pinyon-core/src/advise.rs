//! Advice: whether sharding is worth its price at all, with reasons for and against. Given numbers are weighed by the reference
//! module's rules; a running system is advised on what it has measured enough of, and on what its health report says.

#[cfg(test)]
mod tests;

use crate::{HealthReport, ShardStatus, Thresholds, health};
use std::time::Duration;

/// What the advice is based on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AdviceInput {
    /// Number of tenants.
    pub tenants: u64,
    /// Number of vectors.
    pub vectors: u64,
    /// 95th percentile of query latency in milliseconds.
    pub p95_ms: f64,
    /// Number of namespaces in one index.
    pub namespaces: u64,
    /// Share of all vectors that the ten largest tenants hold, if known.
    pub top_10_share: Option<f64>,
    /// Share of queries that cross tenants, if known.
    pub cross_tenant_share: Option<f64>,
}

/// Numbers that somebody gives to be advised on. What is missing comes from a running system, or is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GivenNumbers {
    /// Number of tenants.
    pub tenants: Option<u64>,
    /// Number of vectors.
    pub vectors: Option<u64>,
    /// 95th percentile of query latency in milliseconds.
    pub p95_ms: Option<f64>,
    /// Number of namespaces in one index.
    pub namespaces: Option<u64>,
    /// Share of all vectors that the ten largest tenants hold.
    pub top_10_share: Option<f64>,
    /// Share of queries that cross tenants.
    pub cross_tenant_share: Option<f64>,
}

impl GivenNumbers {
    /// Fills what is missing from the numbers of a running system; without one it is nothing.
    pub fn filled(&self, live: AdviceInput) -> AdviceInput {
        AdviceInput {
            tenants: self.tenants.unwrap_or(live.tenants),
            vectors: self.vectors.unwrap_or(live.vectors),
            p95_ms: self.p95_ms.unwrap_or(live.p95_ms),
            namespaces: self.namespaces.unwrap_or(live.namespaces),
            top_10_share: self.top_10_share.or(live.top_10_share),
            cross_tenant_share: self.cross_tenant_share.or(live.cross_tenant_share),
        }
    }
}

/// The advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Whether to shard, or to stay sharded.
    pub should_shard: bool,
    /// What speaks for it.
    pub reasons: Vec<String>,
    /// What speaks against it.
    pub against: Vec<String>,
    /// Shards that there are already; `None` where the advice is on given numbers.
    pub shards: Option<u32>,
    /// What the health report alerts to, where the advice is on a running system.
    pub alerts: Vec<String>,
    /// The conclusion in a sentence.
    pub summary: String,
}

const TENANTS_MAX: u64 = 80;
const VECTORS_MAX: u64 = 1_000_000;
const NAMESPACES_MAX: u64 = 80;
const P95_MS_MAX: f64 = 500.0;
const TOP_10_SHARE_MAX: f64 = 0.7;
const CROSS_TENANT_SHARE_MAX: f64 = 0.2;

/// Vectors of a running system from which on its number of tenants, and who holds them, mean anything: fewer are scanned
/// within a millisecond, whoever owns them.
const LIVE_VECTORS_MIN: u64 = 10_000;
/// Queries from which on the share of them that cross tenants is known to 0.06 (two standard errors at a share of 0.2).
const LIVE_QUERIES_MIN: u64 = 200;

/// Weighs the numbers: the reference module's limits speak for sharding; a few giants or many cross-tenant queries
/// speak against it, because neither gets faster by it.
pub fn advise(input: &AdviceInput) -> Advice {
    let p95_max = Duration::from_secs_f64(P95_MS_MAX / 1e3);
    let (reasons, against) = (reasons(input, p95_max), against(input));
    let should_shard = !reasons.is_empty() && against.is_empty();
    let summary = summarise(should_shard, reasons.is_empty());
    Advice { should_shard, reasons, against, shards: None, alerts: Vec::new(), summary }
}

fn reasons(input: &AdviceInput, p95_max: Duration) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut add = |holds: bool, reason: String| reasons.extend(holds.then_some(reason));
    add(input.tenants > TENANTS_MAX, format!("{} tenants are more than {TENANTS_MAX}", input.tenants));
    add(input.vectors > VECTORS_MAX, format!("{} vectors are more than {VECTORS_MAX}", input.vectors));
    let p95_ms_max = p95_max.as_secs_f64() * 1e3;
    add(
        input.p95_ms > p95_ms_max,
        format!("p95 latency of {:.0} ms is above {p95_ms_max:.0} ms", input.p95_ms),
    );
    add(
        input.namespaces > NAMESPACES_MAX,
        format!("{} namespaces in one index are more than {NAMESPACES_MAX}", input.namespaces),
    );
    reasons
}

fn against(input: &AdviceInput) -> Vec<String> {
    let mut against = Vec::new();
    if let Some(share) = input.top_10_share.filter(|share| *share > TOP_10_SHARE_MAX && input.tenants > 10) {
        against.push(format!(
            "the ten largest tenants hold {:.0} % of the vectors (above {:.0} %): give those a shard of their own \
             instead of spreading everybody",
            share * 100.0,
            TOP_10_SHARE_MAX * 100.0
        ));
    }
    if let Some(share) = input.cross_tenant_share.filter(|share| *share > CROSS_TENANT_SHARE_MAX) {
        against.push(format!(
            "{:.0} % of the queries cross tenants (above {:.0} %): each of them waits for the slowest shard",
            share * 100.0,
            CROSS_TENANT_SHARE_MAX * 100.0
        ));
    }
    against
}

fn summarise(should_shard: bool, is_within_limits: bool) -> String {
    match (should_shard, is_within_limits) {
        (true, _) => "shard: the limits of a single index are passed and nothing speaks against it".into(),
        (false, true) => {
            "do not shard: one index carries this load, and every shard adds latency to queries that cross tenants".into()
        }
        (false, false) => {
            "do not shard yet: limits are passed, but sharding alone would not help; see what speaks against it".into()
        }
    }
}

/// What a running system has counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct LiveCounts {
    pub(crate) shards: u32,
    pub(crate) tenants: u64,
    pub(crate) namespaces: u64,
    pub(crate) vectors: u64,
    /// Of these the ten largest tenants' own.
    pub(crate) vectors_of_top_10: u64,
    /// Queries since the start.
    pub(crate) queries: u64,
    /// Of these the ones across tenants.
    pub(crate) queries_across: u64,
}

/// The numbers of a running system that it has measured enough of; shares of little are left out.
pub(crate) fn measured(counts: &LiveCounts, health: &HealthReport) -> AdviceInput {
    let share = |part, whole, least| (whole >= least).then(|| health::share(part, whole));
    let latencies = health.shards.iter().map(|shard| shard.latency);
    let p95_us = latencies.filter(|one| one.count >= health::P95_QUERIES_MIN).map(|one| one.p95_us).max();
    AdviceInput {
        tenants: counts.tenants,
        vectors: counts.vectors,
        p95_ms: p95_us.unwrap_or(0) as f64 / 1e3,
        namespaces: counts.namespaces,
        top_10_share: share(counts.vectors_of_top_10, counts.vectors, LIVE_VECTORS_MIN),
        cross_tenant_share: share(counts.queries_across, counts.queries, LIVE_QUERIES_MIN),
    }
}

/// The numbers that rules are applied to: numbers of tenants and namespaces that nobody gave mean nothing while there are few
/// vectors.
fn counted(given: &GivenNumbers, input: AdviceInput) -> AdviceInput {
    let counts = input.vectors >= LIVE_VECTORS_MIN;
    AdviceInput {
        tenants: if counts { input.tenants } else { given.tenants.unwrap_or(0) },
        namespaces: if counts { input.namespaces } else { given.namespaces.unwrap_or(0) },
        ..input
    }
}

/// Advice on numbers some of which come from a running system.
pub(crate) fn advise_filled(given: &GivenNumbers, input: AdviceInput) -> Advice {
    advise(&counted(given, input))
}

/// Advice on a running system. It never contradicts the system's health report, which is judged by the same thresholds.
pub(crate) fn advise_live(counts: &LiveCounts, health: &HealthReport, thresholds: &Thresholds) -> Advice {
    let input = counted(&GivenNumbers::default(), measured(counts, health));
    let (reasons, against) = (reasons(&input, thresholds.p95_warn), against(&input));
    let should_shard = !reasons.is_empty() && against.is_empty();
    let trouble = trouble(counts, health, thresholds);
    let on_shards = on_shards(counts.shards, &reasons, &against, trouble.is_some());
    Advice {
        should_shard,
        reasons,
        against,
        shards: Some(counts.shards),
        alerts: health.alerts.clone(),
        summary: trouble.map_or(on_shards.clone(), |trouble| format!("{trouble}; {on_shards}")),
    }
}

/// What the health report calls for first; nothing where no shard is in trouble.
fn trouble(counts: &LiveCounts, health: &HealthReport, thresholds: &Thresholds) -> Option<String> {
    let ill = health.shards.iter().filter(|shard| shard.status <= ShardStatus::Hot);
    let ill: Vec<&str> = ill.map(|shard| shard.index_name.as_str()).collect();
    let what = match health.worst() {
        ShardStatus::Healthy | ShardStatus::NearCapacity => return None,
        ShardStatus::Failed => "not all is well there, mend that first",
        _ if !fit(counts, thresholds) => {
            "too much, and the shards together hold more than their limits allow: raise MAX_VECTORS_PER_SHARD or \
             MAX_NAMESPACES_PER_SHARD if the machine carries it, or ingest into more shards"
        }
        _ if !health.needs_rebalancing => "too much, and moving tenants does not help",
        _ if counts.shards == 1 => "too much for one shard",
        _ => "too much, move tenants to other shards",
    };
    Some(format!("{}: {what} (see the alerts)", named(&ill)))
}

/// Whether the shards could hold everything within their limits, if it were spread evenly.
fn fit(counts: &LiveCounts, thresholds: &Thresholds) -> bool {
    let shards = u64::from(counts.shards);
    counts.vectors <= thresholds.vectors_per_shard_max.saturating_mul(shards)
        && counts.tenants <= thresholds.namespaces_per_shard_warn.saturating_sub(1).saturating_mul(shards)
}

/// Whether there should be as many shards as there are, or more.
fn on_shards(shards: u32, reasons: &[String], against: &[String], is_in_trouble: bool) -> String {
    let (is_needed, is_opposed) = (!reasons.is_empty(), !against.is_empty());
    match (is_needed, is_opposed, shards) {
        (false, _, 1) if is_in_trouble => "no other limit of a single index is passed".into(),
        (_, _, 1) => summarise(is_needed && !is_opposed, !is_needed),
        (true, false, _) => format!(
            "keep the {shards} shards: the limits of a single index are passed and nothing speaks against sharding"
        ),
        (true, true, _) => format!(
            "keep the {shards} shards and add none: limits of a single index are passed, but more shards alone would not \
             help; see what speaks against it"
        ),
        (false, _, _) if is_in_trouble => {
            format!("keep the {shards} shards: no limit of a single index is passed")
        }
        (false, ..) => format!(
            "do not shard further: one index would carry this load; keep the {shards} shards there are, they only cost queries \
             that cross tenants"
        ),
    }
}

/// The first few of a list of shards.
fn named(shards: &[&str]) -> String {
    match shards {
        [a, b, c, _, ..] => format!("{a}, {b}, {c} and {} more", shards.len() - 3),
        _ => shards.join(", "),
    }
}

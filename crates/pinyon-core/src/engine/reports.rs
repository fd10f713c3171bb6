//! What the engine tells of itself: contents, latency, health, advice.

use super::{Engine, Member};
use crate::{
    Advice, AdviceInput, CrossShardCounts, EngineSettings, HealthReport, Quantiles, advise,
    health::{self, ShardLoadSample},
    latency::LatencyMeter,
};
use pinyon_shard::ShardStats;
use pinyon_types::{ShardId, TenantId};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, atomic::Ordering},
};

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantReport {
    /// Its name.
    pub tenant: TenantId,
    /// Where it lives.
    pub shard: ShardId,
    /// Its records.
    pub records: u64,
    /// Bytes of its vectors.
    pub vector_bytes: u64,
    /// Queries in it, if it is metered.
    pub queries: u64,
    /// Their latency over the last minutes.
    pub latency: Quantiles,
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineStats {
    /// Which shard.
    pub shard: ShardId,
    /// Its name.
    pub index_name: String,
    /// Tenants that are assigned to it, those without records included.
    pub assigned_tenants: u64,
    /// What it holds.
    pub stats: ShardStats,
    /// Queries it answered.
    pub queries: u64,
    /// Their latency over the last minutes.
    pub latency: Quantiles,
    /// Why it takes no writes or cannot seal, if so.
    pub failure: Option<String>,
}

/// Whether the parts that an engine leans on work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineServices {
    /// Every shard is open and takes writes.
    pub shards: bool,
    /// The routing store takes changes: none failed since the start.
    pub routing: bool,
    /// The embedder is local, or its last call succeeded, or before the first one its settings could work.
    pub embedder: bool,
}

impl Engine {
    /// Whether the parts it leans on work. Waits for nothing and calls nobody.
    pub fn services(&self) -> EngineServices {
        let is_good =
            |member: &Member| member.shard.poisoned().is_none() && member.shard.step_failure().is_none();
        EngineServices {
            shards: self.inner.fleet.members.iter().all(is_good),
            routing: self.inner.routing.takes_changes(),
            embedder: self.inner.settings.embedder.is_working(),
        }
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &EngineSettings {
        &self.inner.settings
    }

    /// The effort of queries that name none: the index's, or else that of the settings.
    pub fn scan_factor(&self) -> f64 {
        f64::from_bits(self.inner.scan_factor.load(Ordering::Relaxed))
    }

    /// Sets the index's; queries that come from now on are asked with it.
    pub(crate) fn set_scan_factor(&self, of_index: Option<f64>) {
        let factor = of_index.unwrap_or(self.inner.settings.scan_factor);
        self.inner.scan_factor.store(factor.to_bits(), Ordering::Relaxed);
    }

    /// Every shard, in order.
    pub fn shards(&self) -> Vec<EngineStats> {
        let inner = &self.inner;
        let mut assigned = vec![0; inner.fleet.members.len()];
        for (_, assignment) in inner.routing.all() {
            assigned[assignment.shard.get() as usize] += 1;
        }
        let report = |(number, assigned_tenants): (u32, u64)| {
            let member = &inner.fleet.members[number as usize];
            EngineStats {
                shard: ShardId::new(number),
                index_name: inner.index_name(ShardId::new(number)),
                assigned_tenants,
                stats: member.shard.stats(),
                queries: member.latency.total(),
                latency: member.latency.quantiles(),
                failure: member.shard.poisoned().or_else(|| member.shard.step_failure()),
            }
        };
        (0..).zip(assigned).map(report).collect()
    }

    /// Every tenant, ordered by name.
    pub fn tenant_reports(&self) -> Vec<TenantReport> {
        let inner = &self.inner;
        let mut records = BTreeMap::new();
        for member in &inner.fleet.members {
            records.extend(member.shard.namespaces().into_iter().map(|(id, (_, count))| (id, count)));
        }
        let meters = inner.tenant_latency.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let report = |(tenant, assignment): (TenantId, crate::Assignment)| {
            let records = records.get(&assignment.namespace).copied().unwrap_or(0);
            let meter: Option<&Arc<LatencyMeter>> = meters.get(&assignment.namespace);
            TenantReport {
                tenant,
                shard: assignment.shard,
                records,
                vector_bytes: records * u64::from(inner.settings.dim.get()) * 4,
                queries: meter.map_or(0, |meter| meter.total()),
                latency: meter.map(|meter| meter.quantiles()).unwrap_or_default(),
            }
        };
        inner.routing.all().into_iter().map(report).collect()
    }

    /// Queries across shards since the start.
    pub fn cross_shard_counts(&self) -> CrossShardCounts {
        self.inner.cross_shard.counts()
    }

    /// Which shards are too full, too slow, or much more so than the others.
    pub fn health(&self) -> HealthReport {
        let samples = self.shards().into_iter().map(|shard| ShardLoadSample {
            shard: shard.shard,
            index_name: shard.index_name,
            tenants: shard.assigned_tenants,
            vectors: shard.stats.records,
            latency: shard.latency,
            failure: shard.failure,
        });
        health::judge(samples.collect(), &self.inner.settings.thresholds)
    }

    /// What the running system would be advised on: the numbers of all shards together.
    pub fn advice_input(&self) -> AdviceInput {
        let shards = self.shards();
        let vectors: u64 = shards.iter().map(|shard| shard.stats.records).sum();
        let mut sizes: Vec<u64> = shards
            .iter()
            .flat_map(|shard| &shard.stats.namespaces)
            .map(|namespace| namespace.records)
            .collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let top_10: u64 = sizes.iter().take(10).sum();
        let single = self.inner.single_tenant_queries.load(Ordering::Relaxed);
        let cross = self.cross_shard_counts().queries;
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        AdviceInput {
            tenants: self.inner.routing.len() as u64,
            vectors,
            p95_ms: shards.iter().map(|shard| shard.latency.p95_us).max().unwrap_or(0) as f64 / 1000.0,
            namespaces: sizes.len() as u64,
            top_10_share: share(top_10, vectors),
            cross_tenant_share: share(cross, single + cross),
        }
    }

    /// Advice from the running system's own numbers.
    pub fn advise(&self) -> Advice {
        advise(&self.advice_input())
    }
}

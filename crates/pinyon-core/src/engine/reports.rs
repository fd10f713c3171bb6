//! What the engine tells of itself: contents, latency, load, health.

use super::{Engine, Inner, Member, Quarantine};
use crate::{
    CrossShardCounts, EngineError, EngineSettings, ErrorCode, HealthReport, Quantiles, QueryLoad,
    TenantShare,
    health::{self, ShardLoadSample},
    latency::LatencyMeter,
};
use pinyon_shard::{PartRecall, ResidentBytes, Shard, ShardStats, WantedRoom};
use pinyon_types::{NamespaceId, ShardId, TenantId};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, atomic::Ordering},
};

/// Tenants that are named as those with most of a shard's load.
const HOTTEST_MAX: usize = 3;

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
    /// Load of the last minutes by queries in it alone.
    pub load: QueryLoad,
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
    /// Load of the last minutes, by queries of every kind.
    pub load: QueryLoad,
    /// Why it is kept out, takes no writes or cannot seal, if so.
    pub failure: Option<String>,
    /// Why it is kept out, if it is; its contents are not known then and count as nothing.
    pub quarantine: Option<Quarantine>,
}

/// A shard that is kept out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedShard {
    /// Which shard.
    pub shard: ShardId,
    /// Its name.
    pub index_name: String,
    /// Tenants that are assigned to it.
    pub assigned_tenants: u64,
    /// Why.
    pub quarantine: Quarantine,
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
    /// Bytes that its shards keep in memory.
    pub fn resident(&self) -> ResidentBytes {
        self.inner.fleet.local().map(|(_, shard)| shard.resident()).sum()
    }

    /// Whether the parts it leans on work. Waits for nothing and calls nobody.
    pub fn services(&self) -> EngineServices {
        EngineServices {
            shards: self.inner.fleet.members().all(|(_, member)| self.inner.failure(member).is_none()),
            routing: self.inner.routing.takes_changes(),
            embedder: self.inner.settings.embedder.is_working(),
        }
    }

    /// Whether any shard is served.
    pub fn serves(&self) -> bool {
        self.inner.fleet.backends().next().is_some()
    }

    /// Whether every shard that is served, and the routing store, take changes.
    pub fn takes_writes(&self) -> bool {
        let refuses = |shard: &Shard| shard.poisoned().or_else(|| shard.step_failure()).is_some();
        self.inner.routing.takes_changes() && !self.inner.fleet.local().any(|(_, shard)| refuses(&shard))
    }

    /// Where room on the disk is scarce: what would make some and finds none to be rewritten in, by shard.
    pub(crate) fn wanted_room(&self) -> Vec<(String, WantedRoom)> {
        let inner = &self.inner;
        let of_shard = |(id, shard): (ShardId, Shard)| Some((inner.index_name(id), shard.wants_room()?));
        inner.fleet.local().filter_map(of_shard).collect()
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &EngineSettings {
        &self.inner.settings
    }

    /// The effort of queries that name none: the index's, or else that of the settings.
    pub fn scan_factor(&self) -> f64 {
        self.inner.scan_factor()
    }

    /// Sets the index's; queries that come from now on are asked with it.
    pub(crate) fn set_scan_factor(&self, of_index: Option<f64>) {
        let factor = of_index.unwrap_or(self.inner.settings.scan_factor);
        self.inner.scan_factor.store(factor.to_bits(), Ordering::Relaxed);
    }

    /// The shards that are kept out.
    pub fn quarantined(&self) -> Vec<QuarantinedShard> {
        let inner = &self.inner;
        let report = |(shard, quarantine)| {
            let index_name = inner.index_name(shard);
            QuarantinedShard {
                shard,
                index_name,
                assigned_tenants: inner.assigned_tenants(shard),
                quarantine,
            }
        };
        inner.fleet.quarantined().map(report).collect()
    }

    /// Every shard, in order.
    pub fn shards(&self) -> Vec<EngineStats> {
        let inner = &self.inner;
        let mut assigned: BTreeMap<ShardId, u64> = BTreeMap::new();
        for (_, assignment) in inner.routing.all() {
            *assigned.entry(assignment.shard).or_default() += 1;
        }
        let now_us = inner.clock.now_us();
        let report = |(shard, member): (ShardId, &Member)| EngineStats {
            shard,
            index_name: inner.index_name(shard),
            assigned_tenants: assigned.get(&shard).copied().unwrap_or_default(),
            stats: member.local().map(|shard| shard.stats()).unwrap_or_default(),
            queries: member.latency.total(),
            latency: member.latency.quantiles(),
            load: member.load.read(now_us, inner.fleet.began_us),
            failure: inner.failure(member),
            quarantine: member.quarantine(),
        };
        inner.fleet.members().map(report).collect()
    }

    /// How good the answers of every part of every shard are that has codes or a graph.
    pub fn recalls(&self) -> Vec<(ShardId, PartRecall)> {
        let of_shard = |(number, shard): (ShardId, Shard)| -> Vec<(ShardId, PartRecall)> {
            shard.recalls().into_iter().map(|part| (number, part)).collect()
        };
        self.inner.fleet.local().flat_map(of_shard).collect()
    }

    /// Every tenant, ordered by name.
    pub fn tenant_reports(&self) -> Vec<TenantReport> {
        let inner = &self.inner;
        let mut records = BTreeMap::new();
        for (_, copy) in inner.owned_copies() {
            records.insert(copy.namespace.id(), copy.records);
        }
        let loads = inner.tenant_loads();
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
                load: loads.get(&assignment.namespace).copied().unwrap_or_default(),
            }
        };
        inner.routing.all().into_iter().map(report).collect()
    }

    /// Queries across shards since the start.
    pub fn cross_shard_counts(&self) -> CrossShardCounts {
        self.inner.cross_shard.counts()
    }

    /// Query load of all shards in the last minutes.
    pub fn query_load(&self) -> QueryLoad {
        let inner = &self.inner;
        let now_us = inner.clock.now_us();
        let loads = inner.fleet.members().map(|(_, member)| member.load.read(now_us, inner.fleet.began_us));
        loads.reduce(QueryLoad::plus).unwrap_or_default()
    }

    /// The tenants with most query load in the last minutes, the hottest first, each with its share of its shard's.
    pub fn hottest_tenants(&self, count: usize) -> Vec<(ShardId, TenantShare)> {
        let by_shard = self.inner.hottest_by_shard(count).into_iter();
        let mut hottest: Vec<(ShardId, TenantShare)> =
            by_shard.flat_map(|(shard, tenants)| tenants.into_iter().map(move |one| (shard, one))).collect();
        hottest.sort_by_key(|(_, one)| Reverse(one.load.cost));
        hottest.truncate(count);
        hottest
    }

    /// Which shards are too full, too slow or too busy, or much more so than the others.
    pub fn health(&self) -> HealthReport {
        self.shards_and_health().1
    }

    /// Every shard, in order, and their health, judged by those very numbers.
    pub fn shards_and_health(&self) -> (Vec<EngineStats>, HealthReport) {
        let (shards, mut hottest) = (self.shards(), self.inner.hottest_by_shard(HOTTEST_MAX));
        let samples = shards.iter().map(|shard| ShardLoadSample {
            shard: shard.shard,
            index_name: shard.index_name.clone(),
            tenants: shard.assigned_tenants,
            vectors: shard.stats.records,
            latency: shard.latency,
            load: shard.load,
            hottest: hottest.remove(&shard.shard).unwrap_or_default(),
            failure: shard.failure.clone(),
        });
        let health = health::judge(samples.collect(), &self.inner.settings.thresholds);
        (shards, health)
    }
}

impl Inner {
    pub(super) fn scan_factor(&self) -> f64 {
        f64::from_bits(self.scan_factor.load(Ordering::Relaxed))
    }

    fn assigned_tenants(&self, shard: ShardId) -> u64 {
        self.routing.all().iter().filter(|(_, assignment)| assignment.shard == shard).count() as u64
    }

    fn failure(&self, member: &Member) -> Option<String> {
        if let Some(quarantine) = member.quarantine() {
            return Some(quarantine.to_string());
        }
        let shard = member.local()?;
        let problem = shard.poisoned().or_else(|| shard.step_failure())?;
        Some(self.relative(EngineError::new(ErrorCode::Internal, problem)).message)
    }

    fn tenant_loads(&self) -> HashMap<NamespaceId, QueryLoad> {
        self.fleet.tenant_loads.read(self.clock.now_us(), self.fleet.began_us)
    }

    /// The tenants with most of the load of every shard that has some, the hottest first.
    fn hottest_by_shard(&self, count: usize) -> BTreeMap<ShardId, Vec<TenantShare>> {
        let mut hottest: BTreeMap<ShardId, Vec<TenantShare>> = BTreeMap::new();
        let loads = self.tenant_loads();
        // Nobody asked anything: the table of all tenants need not be copied.
        let routes = if loads.is_empty() { Vec::new() } else { self.routing.all() };
        for (tenant, route) in routes {
            if let Some(load) = loads.get(&route.namespace) {
                let tenants = hottest.entry(route.shard).or_default();
                tenants.push(TenantShare { tenant, load: *load, share: 0.0 });
            }
        }
        let now_us = self.clock.now_us();
        for (shard, tenants) in &mut hottest {
            tenants.sort_by_key(|one| Reverse(one.load.cost));
            tenants.truncate(count);
            let read = |member: &Member| member.load.read(now_us, self.fleet.began_us).cost;
            let all = self.fleet.member(*shard).map_or(0, read);
            // A search may have been counted between the two looks.
            tenants.iter_mut().for_each(|one| one.share = health::share(one.load.cost, all).min(1.0));
        }
        hottest
    }
}

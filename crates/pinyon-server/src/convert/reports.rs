//! What the engine tells of itself, as JSON.

use super::{recall, tenant::millis};
use crate::ApiError;
use pinyon_core::{
    Advice, AdviceInput, DerivedBytes, Diagnosis, Engine, EngineError, EngineServices, EngineSettings,
    EngineStats, ErasureReport, ErrorCode, GivenNumbers, Index, Indexes, MappedBytes, Quantiles, QueryLoad,
    ReopenedShard, SalvageReport, SegmentStats, ShardStatus, TenantShare, Thresholds,
};
use pinyon_wire::{admin, recall::PartRecall, tenant};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Tenants listed per shard in `/metrics`; the rest is counted.
const TENANTS_LISTED_MAX: usize = 1_000;

fn ms(latency_us: u64) -> f64 {
    millis(Duration::from_micros(latency_us))
}

/// The answer of `GET /health`.
pub fn health(settings: &EngineSettings, services: EngineServices) -> tenant::HealthResponse {
    let EngineServices { shards, routing, embedder } = services;
    tenant::HealthResponse {
        status: if shards && routing && embedder { "healthy" } else { "degraded" }.into(),
        services: tenant::Services { pinecone: shards, redis: routing, openai: embedder },
        config: Some(tenant::HealthConfig {
            num_shards: settings.shards,
            shard_prefix: settings.shard_prefix.clone(),
            vector_dimension: settings.dim.get(),
        }),
        recall: Vec::new(),
        recall_below_target: None,
        quarantined: Vec::new(),
        disk: None,
        warnings: Vec::new(),
    }
}

/// The shards of all indexes that are kept out.
pub fn quarantined(indexes: &Indexes) -> Vec<tenant::QuarantinedShard> {
    // Of an index that is kept out as a whole the problem is told with its directory.
    let relative =
        |problem| EngineError::new(ErrorCode::Quarantined, problem).relative_to(indexes.data_dir()).message;
    let of_index = move |index: Arc<Index>| {
        let kept_out = index.engine.quarantined();
        kept_out.into_iter().map(move |one| tenant::QuarantinedShard {
            index: index.description.name.clone(),
            shard: one.index_name,
            reason: one.quarantine.reason.name().into(),
            problem: relative(one.quarantine.problem),
            tenants: one.assigned_tenants,
            since: one.quarantine.since_us / 1_000_000,
        })
    };
    indexes.all().into_iter().flat_map(of_index).collect()
}

/// A shard that was to be opened again.
pub fn reopened(index: &str, reopened: ReopenedShard) -> admin::ReopenedShard {
    let ReopenedShard { index_name, was_opened } = reopened;
    admin::ReopenedShard { index: index.to_owned(), shard: index_name, state: "serving".into(), was_opened }
}

/// A tenant that was erased; files are named relative to the data directory, where that is known.
pub fn erased(
    (tenant_id, index): (String, String),
    report: ErasureReport,
    data_dir: Option<&Path>,
) -> admin::ErasedTenant {
    let relative = |path: PathBuf| {
        let within = data_dir.and_then(|dir| path.strip_prefix(dir).ok());
        within.unwrap_or(&path).display().to_string()
    };
    admin::ErasedTenant {
        tenant_id,
        index,
        was_known: report.was_known,
        records: report.records,
        segments: report.segments,
        held_by_readers: report.is_held_by_readers,
        not_touched: report.not_touched.into_iter().map(relative).collect(),
    }
}

/// An index, as administration sees it.
pub fn index(index: &Index) -> admin::IndexInfo {
    let description = &index.description;
    admin::IndexInfo {
        name: description.name.clone(),
        dimension: description.dim.get(),
        metric: description.metric.name().into(),
        port: description.port,
        scan_factor: description.scan_factor,
        effective_scan_factor: index.engine.scan_factor(),
    }
}

/// The answer of `GET /metrics` as JSON.
pub fn metrics(engine: &Engine, recalls: Vec<PartRecall>) -> tenant::MetricsResponse {
    let settings = engine.settings();
    let empty = || tenant::Distribution { tenant_count: 0, tenants: Vec::new() };
    let mut distribution: BTreeMap<String, tenant::Distribution> =
        (0..settings.shards).map(|shard| (shard.to_string(), empty())).collect();
    for (name, assignment) in engine.tenants() {
        let entry = distribution.entry(assignment.shard.to_string()).or_insert_with(empty);
        entry.tenant_count += 1;
        if entry.tenants.len() < TENANTS_LISTED_MAX {
            entry.tenants.push(name.to_string());
        }
    }
    let Thresholds { vectors_per_shard_max, namespaces_per_shard_max, namespaces_per_shard_warn, p95_warn } =
        settings.thresholds.clone();
    tenant::MetricsResponse {
        distribution,
        health: health_report(engine, recalls),
        thresholds: tenant::Thresholds {
            max_vectors_per_shard: vectors_per_shard_max,
            max_namespaces_per_shard: namespaces_per_shard_max,
            rebalance_namespaces: namespaces_per_shard_warn,
            p95_warn_ms: millis(p95_warn),
        },
    }
}

/// The health of every shard, and how good the answers of all indexes are.
pub fn health_report(engine: &Engine, recall: Vec<PartRecall>) -> tenant::HealthReport {
    let (stats, report) = engine.shards_and_health();
    let shards = report.shards.into_iter().zip(stats).map(|(health, stats)| {
        let Quantiles { p50_us, p95_us, p99_us, .. } = health.latency;
        tenant::ShardHealth {
            shard_id: health.shard.get(),
            index_name: health.index_name,
            namespace_count: health.namespace_count,
            total_vectors: health.total_vectors,
            status: ShardStatus::name(health.status).into(),
            disk_bytes: stats.stats.disk_bytes(),
            queries: stats.queries,
            p50_ms: ms(p50_us),
            p95_ms: ms(p95_us),
            p99_ms: ms(p99_us),
            queries_per_second: per_second(health.load),
            load_share: health.load_share,
            hottest_tenants: health.hottest.iter().map(tenant_share).collect(),
        }
    });
    tenant::HealthReport {
        shards: shards.collect(),
        needs_rebalancing: report.needs_rebalancing,
        alerts: report.alerts.into_iter().chain(recall::warnings(&recall)).collect(),
        recall,
    }
}

fn tenant_share(one: &TenantShare) -> tenant::TenantShare {
    let queries_per_second = per_second(one.load);
    tenant::TenantShare { tenant_id: one.tenant.to_string(), queries_per_second, load_share: one.share }
}

/// A rate that is read by people too: thousandths are enough.
fn per_second(load: QueryLoad) -> f64 {
    (load.per_second() * 1e3).round() / 1e3
}

/// Every tenant.
pub fn tenants(engine: &Engine) -> admin::TenantList {
    let cost_of_all = engine.query_load().cost.max(1) as f64;
    let info = |one: pinyon_core::TenantReport| admin::TenantInfo {
        index_name: engine.index_name(one.shard),
        tenant_id: one.tenant.to_string(),
        shard_id: one.shard.get(),
        vectors: one.records,
        vector_bytes: one.vector_bytes,
        queries: one.queries,
        p95_ms: ms(one.latency.p95_us),
        queries_per_second: per_second(one.load),
        load_share: (one.load.cost as f64 / cost_of_all).min(1.0),
    };
    admin::TenantList { tenants: engine.tenant_reports().into_iter().map(info).collect() }
}

/// Every shard.
pub fn shards(engine: &Engine) -> admin::ShardList {
    admin::ShardList { shards: engine.shards().into_iter().map(shard).collect() }
}

fn shard(one: EngineStats) -> admin::ShardInfo {
    let segments = one.stats.segments.iter().map(|segment| admin::SegmentInfo {
        segment: segment.id.get(),
        rows: segment.rows,
        dead_rows: segment.dead_rows,
        bytes: segment.bytes,
        graphs: segment.graphs,
        graph_bytes: segment.derived.graphs,
        memory: segment_memory(segment),
    });
    admin::ShardInfo {
        shard_id: one.shard.get(),
        index_name: one.index_name,
        tenants: one.assigned_tenants,
        vectors: one.stats.records,
        memtable_rows: one.stats.memtable_rows,
        disk_bytes: one.stats.disk_bytes(),
        memtable_bytes: one.stats.memtable_bytes,
        log_bytes: one.stats.log_bytes,
        resident_bytes: one.stats.resident_bytes(),
        segments: segments.collect(),
        queries: one.queries,
        p50_ms: ms(one.latency.p50_us),
        p95_ms: ms(one.latency.p95_us),
        p99_ms: ms(one.latency.p99_us),
        failure: one.failure,
    }
}

fn segment_memory(segment: &SegmentStats) -> admin::SegmentMemory {
    let MappedBytes { vectors, sparse, records, rest } = segment.mapped;
    let DerivedBytes { byte_codes, bit_codes, graphs, filter_indexes } = segment.derived;
    admin::SegmentMemory { vectors, sparse, records, rest, byte_codes, bit_codes, graphs, filter_indexes }
}

/// Checks what a request for advice gives.
///
/// # Errors
/// A share that is none, or a latency below zero.
pub fn check_advice(request: &admin::AdviceRequest) -> Result<(), ApiError> {
    let shares = [("top_10_share", request.top_10_share), ("cross_tenant_share", request.cross_tenant_share)];
    for (field, share) in shares {
        if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(ApiError::invalid(field, format!("must be a share from 0 to 1, is {share}")));
        }
    }
    match request.p95_ms.filter(|p95_ms| *p95_ms < 0.0) {
        Some(p95_ms) => Err(ApiError::invalid("p95_ms", format!("must be at least 0, is {p95_ms}"))),
        None => Ok(()),
    }
}

/// The numbers that a request for advice gives.
pub fn given_numbers(request: admin::AdviceRequest) -> GivenNumbers {
    let admin::AdviceRequest { tenants, vectors, p95_ms, namespaces, top_10_share, cross_tenant_share } =
        request;
    GivenNumbers { tenants, vectors, p95_ms, namespaces, top_10_share, cross_tenant_share }
}

/// Advice with the numbers it is based on.
pub fn advice((input, advice): (AdviceInput, Advice)) -> admin::AdviceResponse {
    let Advice { should_shard, reasons, against, shards, alerts, summary } = advice;
    let input = admin::AdviceRequest {
        tenants: Some(input.tenants),
        vectors: Some(input.vectors),
        p95_ms: Some(input.p95_ms),
        namespaces: Some(input.namespaces),
        top_10_share: input.top_10_share,
        cross_tenant_share: input.cross_tenant_share,
    };
    admin::AdviceResponse { should_shard, reasons, against, summary, shards, alerts, input }
}

/// What the doctor found in every index.
pub fn diagnosis(of_indexes: Vec<(String, Diagnosis)>) -> admin::DoctorResponse {
    let (mut tenants, mut namespaces, mut findings) = (0, 0, Vec::new());
    for (index, diagnosis) in of_indexes {
        tenants += diagnosis.tenants;
        namespaces += diagnosis.namespaces;
        findings.extend(diagnosis.findings.into_iter().map(|one| admin::FindingInfo {
            index: index.clone(),
            kind: one.kind.name().into(),
            shard: one.shard,
            tenant_id: one.tenant.map(|tenant| tenant.to_string()),
            message: one.message,
            repairable: one.kind.is_repairable(),
            left: None,
        }));
    }
    admin::DoctorResponse { healthy: findings.is_empty(), tenants, namespaces, findings }
}

/// What is left of a quarantined shard.
pub fn left(report: SalvageReport) -> admin::LeftOfShard {
    let (records, lost_records) = (report.kept(), report.lost());
    let damaged = report.namespaces.into_iter().filter(|one| one.lost.count > 0);
    let namespaces = damaged.map(|one| admin::LeftOfNamespace {
        tenant_id: one.tenant.to_string(),
        records: one.kept,
        lost_records: one.lost.count,
        lost_ids: one.lost.ids.iter().map(ToString::to_string).collect(),
    });
    admin::LeftOfShard {
        records,
        lost_records,
        unknown_rows: report.unknown,
        lost_writes: report.lost_entries,
        namespaces: namespaces.collect(),
        problems: report.problems,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_degraded_when_one_service_is_and_says_which() {
        let settings = EngineSettings::offline(4, 64).unwrap();
        for (shards, routing, embedder) in
            [(true, true, true), (false, true, true), (true, false, true), (true, true, false)]
        {
            let health = health(&settings, EngineServices { shards, routing, embedder });
            let services = tenant::Services { pinecone: shards, redis: routing, openai: embedder };
            let status = if shards && routing && embedder { "healthy" } else { "degraded" };
            assert_eq!((health.services, health.status.as_str()), (services, status));
        }
    }
}

//! `/metrics` as Prometheus text.

mod moves;

pub(crate) use moves::MoveNumbers;

use crate::{
    convert::recall::Recalls,
    http::{Door, PlacesReport, Sockets},
    strangers::Strangers,
};
use pinyon_core::{
    DerivedBytes, DiskLevel, DiskState, Engine, EngineStats, HealthReport, MappedBytes, ResidentBytes,
    Scrubbed, ShardStatus, anonymous_resident_bytes, mapped_resident_bytes,
};
use pinyon_wire::{recall::PartRecall, tenant::QuarantinedShard};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::atomic::AtomicU64;

type Label = [(&'static str, String); 1];
type Totals = Family<Vec<(&'static str, String)>, Counter>;
type Floats = Family<Vec<(&'static str, String)>, Gauge<f64, AtomicU64>>;

/// One metric: its name, what it says, and its value for a shard.
type Metric = (&'static str, &'static str, fn(&EngineStats) -> f64);

/// Tenants that have a series.
const TENANTS_MAX: usize = 10;

const METRICS: [Metric; 11] = [
    ("pinyon_shard_tenants", "Tenants assigned to a shard", |shard| shard.assigned_tenants as f64),
    ("pinyon_shard_vectors", "Live records of a shard", |shard| shard.stats.records as f64),
    (
        "pinyon_shard_disk_bytes",
        "Bytes of a shard's segments and log files, reserved space included",
        |shard| shard.stats.disk_bytes() as f64,
    ),
    ("pinyon_shard_segments", "Segments of a shard", |shard| shard.stats.segments.len() as f64),
    ("pinyon_shard_memtable_bytes", "Bytes not sealed yet", |shard| shard.stats.memtable_bytes as f64),
    ("pinyon_shard_queries", "Queries a shard answered since the start", |shard| shard.queries as f64),
    ("pinyon_shard_queries_per_second", "Searches of a shard a second in the last minutes", |shard| {
        shard.load.per_second()
    }),
    ("pinyon_shard_last_seq_no", "Position of the last visible write", |shard| {
        shard.stats.last_seq.get() as f64
    }),
    ("pinyon_shard_writable", "1 while a shard takes writes", |shard| {
        f64::from(u8::from(shard.failure.is_none()))
    }),
    ("pinyon_shard_codes_bytes", "Bytes of vectors' codes in memory", |shard| {
        derived(shard, |bytes| bytes.byte_codes + bytes.bit_codes)
    }),
    ("pinyon_shard_graph_bytes", "Bytes of graphs in memory", |shard| derived(shard, |bytes| bytes.graphs)),
];

/// A part of the bytes that a shard's segments have in memory.
fn derived(shard: &EngineStats, part: fn(&DerivedBytes) -> u64) -> f64 {
    shard.stats.segments.iter().map(|segment| part(&segment.derived)).sum::<u64>() as f64
}

fn mapped(shard: &EngineStats, part: fn(&MappedBytes) -> u64) -> f64 {
    shard.stats.segments.iter().map(|segment| part(&segment.mapped)).sum::<u64>() as f64
}

/// A shard's bytes by what they are, and whether they are mapped or stay in memory.
fn memory(shard: &EngineStats) -> Vec<(&'static str, &'static str, f64)> {
    let mapped = [
        ("vectors", mapped(shard, |bytes| bytes.vectors)),
        ("sparse", mapped(shard, |bytes| bytes.sparse)),
        ("records", mapped(shard, |bytes| bytes.records)),
        ("rest", mapped(shard, |bytes| bytes.rest)),
    ];
    let mapped = mapped.map(|(part, bytes)| (part, "mapped", bytes));
    let resident = resident(shard.stats.resident()).map(|(part, bytes)| (part, "resident", bytes));
    mapped.into_iter().chain(resident).collect()
}

/// Bytes that stay in memory, by what they are.
fn resident(bytes: ResidentBytes) -> [(&'static str, f64); 5] {
    let ResidentBytes { derived, memtable } = bytes;
    [
        ("byte_codes", derived.byte_codes),
        ("bit_codes", derived.bit_codes),
        ("graphs", derived.graphs),
        ("filter_indexes", derived.filter_indexes),
        ("memtable", memtable),
    ]
    .map(|(part, bytes)| (part, bytes as f64))
}

fn register_memory(shards: &[EngineStats], registry: &mut Registry) {
    let family = Floats::default();
    for shard in shards {
        for (part, kind, bytes) in memory(shard) {
            let name = shard.index_name.clone();
            let labels = vec![("shard", name), ("part", part.to_owned()), ("kind", kind.to_owned())];
            family.get_or_create(&labels).set(bytes);
        }
    }
    let help = "Bytes of a shard by what they are; mapped ones are in memory as long as the system has room";
    registry.register("pinyon_shard_memory_bytes", help, family);
}

/// What stays in memory of all indexes: a shard of every one of them would be a series.
fn register_resident(bytes: ResidentBytes, registry: &mut Registry) {
    let family = Floats::default();
    for (part, bytes) in resident(bytes) {
        family.get_or_create(&vec![("part", part.to_owned())]).set(bytes);
    }
    let help = "Bytes that stay in memory, of all indexes, by what they are";
    registry.register("pinyon_resident_bytes", help, family);
}

/// Nothing where the system does not say.
fn register_machine(disk: Option<DiskState>, registry: &mut Registry) {
    register_memory_of_process(registry);
    if let Some(disk) = disk {
        register_disk(disk, registry);
    }
}

fn register_disk(disk: DiskState, registry: &mut Registry) {
    let numbers = [
        ("pinyon_disk_total_bytes", "Bytes of the disk below the data directory", disk.room.total),
        ("pinyon_disk_free_bytes", "Bytes that are free on it", disk.room.free),
        ("pinyon_disk_reserve_bytes", "Bytes that are kept for deletions and what makes room", disk.reserve),
        ("pinyon_disk_low_below_bytes", "Free bytes below which people are warned", disk.low_below),
        ("pinyon_disk_full_below_bytes", "Free bytes below which only deletions are let in", disk.full_below),
    ];
    for (name, help, value) in numbers {
        let family = Floats::default();
        family.get_or_create(&Vec::new()).set(value as f64);
        registry.register(name, help, family);
    }
    let level = Floats::default();
    for one in DiskLevel::ALL {
        level
            .get_or_create(&vec![("level", one.name().to_owned())])
            .set(f64::from(u8::from(one == disk.level)));
    }
    registry.register("pinyon_disk_level", "1 for the level that the disk is at", level);
}

fn register_memory_of_process(registry: &mut Registry) {
    let mapped = "Bytes of mapped files that the process has in memory, of all indexes and its program's own";
    let anonymous = "Bytes that the process has in memory and of no file: what a limit on memory is about";
    for (name, help, bytes) in [
        ("pinyon_mapped_resident_bytes", mapped, mapped_resident_bytes()),
        ("pinyon_anonymous_resident_bytes", anonymous, anonymous_resident_bytes()),
    ] {
        let Some(bytes) = bytes else { continue };
        let family = Floats::default();
        family.get_or_create(&Vec::new()).set(bytes as f64);
        registry.register(name, help, family);
    }
}

fn register_health(health: &HealthReport, quarantined: &[QuarantinedShard], registry: &mut Registry) {
    register_quarantined(quarantined, registry);
    let (status, share, needed) = (Floats::default(), Floats::default(), Floats::default());
    for shard in &health.shards {
        let name = ("shard", shard.index_name.clone());
        share.get_or_create(&vec![name.clone()]).set(shard.load_share);
        for one in ShardStatus::ALL {
            let labels = vec![name.clone(), ("status", one.name().to_owned())];
            status.get_or_create(&labels).set(f64::from(u8::from(one == shard.status)));
        }
    }
    needed.get_or_create(&Vec::new()).set(f64::from(u8::from(health.needs_rebalancing)));
    registry.register("pinyon_shard_status", "1 for the state that a shard is in, 0 for the others", status);
    let help = "Share of all shards' query load in the last minutes; searches are weighed by their cost";
    registry.register("pinyon_shard_load_share", help, share);
    registry.register("pinyon_needs_rebalancing", "1 while moving tenants would relieve a shard", needed);
}

/// The hottest tenants only, because every tenant would be a series.
fn register_tenant_loads(engine: &Engine, registry: &mut Registry) {
    let all = engine.query_load().cost.max(1) as f64;
    let family = Floats::default();
    for (shard, one) in engine.hottest_tenants(TENANTS_MAX) {
        let labels = vec![("tenant", one.tenant.to_string()), ("shard", engine.index_name(shard))];
        family.get_or_create(&labels).set((one.load.cost as f64 / all).min(1.0));
    }
    let help = "Share of all shards' query load in the last minutes, of the ten tenants with most of it";
    registry.register("pinyon_tenant_load_share", help, family);
}

fn register_latency(shards: &[EngineStats], registry: &mut Registry) {
    let latency = Floats::default();
    for shard in shards {
        let quantiles =
            [("0.5", shard.latency.p50_us), ("0.95", shard.latency.p95_us), ("0.99", shard.latency.p99_us)];
        for (quantile, latency_us) in quantiles {
            let labels = vec![("shard", shard.index_name.clone()), ("quantile", quantile.to_owned())];
            latency.get_or_create(&labels).set(latency_us as f64 / 1e6);
        }
    }
    registry.register("pinyon_shard_query_latency_seconds", "Query latency over the last minutes", latency);
}

/// One number of a part's recall: its name, what it says, and its value.
type RecallMetric = (&'static str, &'static str, fn(&PartRecall) -> Option<f64>);

const RECALLS: [RecallMetric; 7] = [
    ("pinyon_recall_estimate", "Recall@10 as measured; 1 where answers are exact", |part| {
        Some(part.recall.as_ref().map_or(1.0, |found| found.recall))
    }),
    ("pinyon_recall_lower", "It is less in one case of twenty", |part| Some(part.recall.as_ref()?.lower)),
    ("pinyon_recall_upper", "It is more in one case of twenty", |part| Some(part.recall.as_ref()?.upper)),
    ("pinyon_recall_queries", "How many queries tell", |part| Some(part.recall.as_ref()?.queries as f64)),
    ("pinyon_recall_target", "Recall@10 that is demanded", |part| Some(part.target)),
    ("pinyon_recall_cost_rows", "Cost of an answer, in rows scanned by their bits", |part| {
        Some(part.cost_rows as f64)
    }),
    ("pinyon_recall_tested_seconds", "When codes or a graph were tested, in seconds since 1970", |part| {
        Some(part.since? as f64)
    }),
];

/// The parts that miss their target, and the largest: every namespace would be a series.
fn register_recalls(parts: &[PartRecall], below: u64, registry: &mut Registry) {
    for (name, help, value) in RECALLS {
        let family = Floats::default();
        for part in parts {
            let Some(value) = value(part) else { continue };
            let asked = part.recall.as_ref().map_or("exact", |found| &found.asked);
            let labels = vec![
                ("index", part.index.clone()),
                ("namespace", part.namespace.clone().unwrap_or_default()),
                ("shard", part.shard_id.to_string()),
                ("segment", part.segment.to_string()),
                ("tier", part.tier.clone()),
                ("asked", asked.to_owned()),
            ];
            family.get_or_create(&labels).set(value);
        }
        registry.register(name, help, family);
    }
    let missing = Floats::default();
    missing.get_or_create(&Vec::new()).set(below as f64);
    registry.register("pinyon_recall_below_target", "Parts of namespaces that miss their target", missing);
}

fn register_strangers(strangers: &Strangers, registry: &mut Registry) {
    let family = Family::<Vec<(&'static str, String)>, Counter>::default();
    for (reason, count) in strangers.refused() {
        family.get_or_create(&vec![("reason", reason.to_owned())]).inc_by(count);
    }
    let help = "Requests refused for their host, their origin or their body's type, since the start";
    registry.register("pinyon_requests_refused", help, family);
    let family = Family::<Vec<(&'static str, String)>, Counter>::default();
    for (kind, count) in strangers.guesses().counts() {
        family.get_or_create(&vec![("kind", kind.to_owned())]).inc_by(count);
    }
    let help = "Requests whose key was refused since the start, because it was wrong or missing";
    registry.register("pinyon_keys_refused", help, family);
}

/// Connections by what they are, and those that were refused or ended, of every group of ports.
fn register_sockets(sockets: &Sockets, registry: &mut Registry) {
    let (connections, refused, ended) = (Floats::default(), Totals::default(), Totals::default());
    for (ports, places) in sockets.groups() {
        let PlacesReport { connections: now, waiting, probes, refused: refusals, ended: endings } =
            places.report();
        let of =
            |name: &'static str, value: &str| vec![("ports", ports.to_owned()), (name, value.to_owned())];
        for (class, count) in now {
            connections.get_or_create(&of("class", class.name())).set(count as f64);
        }
        connections.get_or_create(&of("class", "waiting")).set(waiting as f64);
        connections.get_or_create(&of("class", "probe")).set(probes as f64);
        for (reason, count) in refusals {
            refused.get_or_create(&of("reason", reason.name())).inc_by(count);
        }
        for (reason, count) in endings {
            ended.get_or_create(&of("reason", reason.name())).inc_by(count);
        }
    }
    let help = "Open connections: new ones, those of which only refused requests are known, admitted ones";
    registry.register("pinyon_connections", help, connections);
    registry.register("pinyon_connections_refused", "Connections that were answered 503, by reason", refused);
    registry.register("pinyon_connections_ended", "Connections that the server ended, by reason", ended);
}

fn register_quarantined(shards: &[QuarantinedShard], registry: &mut Registry) {
    let family = Floats::default();
    for one in shards {
        let labels =
            vec![("index", one.index.clone()), ("shard", one.shard.clone()), ("reason", one.reason.clone())];
        family.get_or_create(&labels).set(1.0);
    }
    registry.register("pinyon_shard_quarantined", "1 for a shard that is kept out because of damage", family);
}

fn register_scrubbed(found: Scrubbed, registry: &mut Registry) {
    let numbers = [
        (
            "pinyon_scrub_bytes",
            "Bytes of files of all indexes that were read again since the start",
            found.bytes,
        ),
        ("pinyon_scrub_mended", "Files that were damaged and were written again from memory", found.mended),
        (
            "pinyon_scrub_quarantined",
            "Shards that were found damaged while they were served",
            found.quarantined,
        ),
    ];
    for (name, help, value) in numbers {
        let family = Floats::default();
        family.get_or_create(&Vec::new()).set(value as f64);
        registry.register(name, help, family);
    }
}

fn register_cross_shard(engine: &Engine, registry: &mut Registry) {
    let counts = engine.cross_shard_counts();
    let across = Floats::default();
    for (outcome, count) in
        [("answered", counts.queries), ("refused", counts.refused), ("cached", counts.cached)]
    {
        across.get_or_create(&vec![("outcome", outcome.to_owned())]).set(count as f64);
    }
    registry.register(
        "pinyon_cross_shard_queries",
        "Cross-shard queries since the start; cached ones are among the answered",
        across,
    );
}

/// Numbers of all indexes together.
pub(crate) struct IndexesNumbers {
    pub(crate) quarantined: Vec<QuarantinedShard>,
    pub(crate) scrubbed: Scrubbed,
    pub(crate) resident: ResidentBytes,
    pub(crate) disk: Option<DiskState>,
    pub(crate) moves: MoveNumbers,
    pub(crate) recalls: Recalls,
}

/// Writes every shard's numbers, and the server's own.
pub(crate) fn render(
    engine: &Engine,
    numbers: &IndexesNumbers,
    door: &Door,
) -> Result<String, std::fmt::Error> {
    let (shards, health) = engine.shards_and_health();
    let mut registry = Registry::default();
    for (name, help, value) in METRICS {
        let family = Floats::default();
        for shard in &shards {
            let label: Label = [("shard", shard.index_name.clone())];
            family.get_or_create(&label.to_vec()).set(value(shard));
        }
        registry.register(name, help, family);
    }
    register_memory(&shards, &mut registry);
    register_latency(&shards, &mut registry);
    register_cross_shard(engine, &mut registry);
    register_health(&health, &numbers.quarantined, &mut registry);
    register_tenant_loads(engine, &mut registry);
    register_resident(numbers.resident, &mut registry);
    register_machine(numbers.disk, &mut registry);
    moves::register(&numbers.moves, &mut registry);
    register_scrubbed(numbers.scrubbed, &mut registry);
    let (recalls, below) = &numbers.recalls;
    register_recalls(recalls, *below, &mut registry);
    register_strangers(&door.strangers, &mut registry);
    register_sockets(&door.sockets, &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

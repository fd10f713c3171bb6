//! `/metrics` as Prometheus text.

use pinyon_core::{Engine, EngineStats};
use prometheus_client::{
    encoding::text::encode,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::atomic::AtomicU64;

type Label = [(&'static str, String); 1];
type Floats = Family<Vec<(&'static str, String)>, Gauge<f64, AtomicU64>>;

/// One metric: its name, what it says, and its value for a shard.
type Metric = (&'static str, &'static str, fn(&EngineStats) -> f64);

const METRICS: [Metric; 10] = [
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
    ("pinyon_shard_last_seq_no", "Position of the last visible write", |shard| {
        shard.stats.last_seq.get() as f64
    }),
    ("pinyon_shard_writable", "1 while a shard takes writes", |shard| {
        f64::from(u8::from(shard.failure.is_none()))
    }),
    ("pinyon_shard_codes_bytes", "Bytes of vectors' codes in memory", |shard| {
        shard.stats.segments.iter().map(|segment| segment.codes_bytes as f64).sum()
    }),
    ("pinyon_shard_graph_bytes", "Bytes of graphs in memory", |shard| {
        shard.stats.segments.iter().map(|segment| segment.graph_bytes as f64).sum()
    }),
];

/// Writes every shard's numbers.
pub(crate) fn render(engine: &Engine) -> Result<String, std::fmt::Error> {
    let shards = engine.shards();
    let mut registry = Registry::default();
    for (name, help, value) in METRICS {
        let family = Floats::default();
        for shard in &shards {
            let label: Label = [("shard", shard.index_name.clone())];
            family.get_or_create(&label.to_vec()).set(value(shard));
        }
        registry.register(name, help, family);
    }
    let latency = Floats::default();
    for shard in &shards {
        let quantiles =
            [("0.5", shard.latency.p50_us), ("0.95", shard.latency.p95_us), ("0.99", shard.latency.p99_us)];
        for (quantile, latency_us) in quantiles {
            let labels = vec![("shard", shard.index_name.clone()), ("quantile", quantile.to_owned())];
            latency.get_or_create(&labels).set(latency_us as f64 / 1e6);
        }
    }
    registry.register("pinyon_shard_query_latency_seconds", "Query latency over the last minutes", latency);
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
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

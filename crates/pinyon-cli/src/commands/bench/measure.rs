//! The measurements: the same documents and queries in a fresh engine per number of shards.

use crate::{arguments::Fanout, commands::demo::Scratch};
use anyhow::{Context, ensure};
use pinyon_core::{Document, Engine, EngineSettings, Reach, VectorQuery};
use pinyon_types::{Metadata, SeededRng};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

const TOP_K: u32 = 10;
/// Queries before those that count: they bring code and rows into the caches.
const WARM_UP: usize = 20;

/// Latency and cost of one kind of query.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Cost {
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    /// CPU time of the whole process per query.
    pub(super) cpu_ms: f64,
}

/// What one number of shards costs.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Measured {
    pub(super) shards: u32,
    pub(super) single: Cost,
    pub(super) cross: Cost,
    /// Median time of a cross-shard query beyond its slowest shard's.
    pub(super) overhead_p50_ms: f64,
    pub(super) ingest_seconds: f64,
}

/// Documents by tenant.
pub(super) struct Corpus(BTreeMap<String, Vec<(String, String)>>);

#[derive(Deserialize)]
struct Line {
    tenant_id: Option<String>,
    id: String,
    text: String,
}

impl Corpus {
    /// Reads a file as `ingest` does.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let mut corpus = BTreeMap::<_, Vec<_>>::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let line: Line =
                serde_json::from_str(line).with_context(|| format!("{} line {number}", file.display()))?;
            corpus
                .entry(line.tenant_id.unwrap_or_else(|| "tenant".into()))
                .or_default()
                .push((line.id, line.text));
        }
        ensure!(!corpus.is_empty(), "{} holds no documents", file.display());
        Ok(Self(corpus))
    }

    /// Texts of common word parts; tenants' sizes fall off as in real systems (Zipf), the first being the largest. Every
    /// tenant has a document; where there are fewer documents than tenants, the last tenants are left out.
    pub(super) fn generate(documents: u32, tenants: u32) -> Self {
        let mut rng = SeededRng::new(42);
        let tenants = tenants.min(documents);
        let weight = |rank: u32| 1.0 / f64::from(rank);
        let total: f64 = (1..=tenants).map(weight).sum();
        let spare = f64::from(documents - tenants);
        let (mut weight_before, mut given) = (0.0, 0);
        let mut corpus = BTreeMap::new();
        for tenant in 0..tenants {
            // Rounding the running sum, not each share, makes the counts add up.
            weight_before += weight(tenant + 1);
            let given_before = std::mem::replace(&mut given, (spare * weight_before / total).round() as u32);
            let count = 1 + given - given_before;
            let document = |number| (format!("doc-{number}"), sentence(&mut rng));
            corpus.insert(format!("tenant-{tenant:04}"), (0..count).map(document).collect());
        }
        Self(corpus)
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    pub(super) fn tenants(&self) -> usize {
        self.0.len()
    }
}

fn sentence(rng: &mut SeededRng) -> String {
    const STARTS: [&str; 16] = [
        "con", "pre", "sub", "inter", "re", "un", "over", "trans", "micro", "hydro", "auto", "photo", "bio",
        "geo", "tele", "thermo",
    ];
    const ENDS: [&str; 16] = [
        "tract", "form", "scribe", "port", "graph", "meter", "logy", "ject", "duct", "spect", "vert", "pose",
        "sist", "cede", "fer", "struct",
    ];
    let mut word = || format!("{}{}", STARTS[rng.below(16) as usize], ENDS[rng.below(16) as usize]);
    (0..40).map(|_| word()).collect::<Vec<_>>().join(" ")
}

/// Fills a fresh engine and measures it.
pub(super) fn measure(corpus: &Corpus, shards: u32, fanout: &Fanout) -> anyhow::Result<Measured> {
    let scratch = Scratch::new("bench")?;
    let engine = Engine::open(scratch.path(), EngineSettings::offline(shards, fanout.vector_dimension)?)?;
    let started = Instant::now();
    for (tenant, documents) in &corpus.0 {
        for batch in documents.chunks(1_000) {
            let batch = batch.iter().map(|(id, text)| Document {
                id: id.clone(),
                text: text.clone(),
                metadata: Metadata::empty(),
            });
            engine.ingest(tenant, batch.collect())?;
        }
    }
    let ingest_seconds = started.elapsed().as_secs_f64();
    let queries = queries(&engine, corpus, fanout)?;
    let (single, _) = run(&engine, &queries, |tenant| Reach::Tenant(tenant.into()))?;
    let (cross, overhead_p50_ms) = run(&engine, &queries, |_| Reach::All)?;
    engine.close()?;
    Ok(Measured { shards, single, cross, overhead_p50_ms, ingest_seconds })
}

/// Vectors to search with and the tenant each belongs to: every n-th document's own words, as a user would use them.
/// Tenants come up by size. Embedding is done before, because it costs the same with any number of shards.
fn queries(engine: &Engine, corpus: &Corpus, fanout: &Fanout) -> anyhow::Result<Vec<(String, Vec<f32>)>> {
    let all: Vec<(&str, &str)> = corpus
        .0
        .iter()
        .flat_map(|(tenant, documents)| {
            documents.iter().map(move |(_, text)| (tenant.as_str(), text.as_str()))
        })
        .collect();
    let mut rng = SeededRng::new(7);
    let draw = |_| {
        let (tenant, text) = all[rng.below(all.len() as u64) as usize];
        let words: Vec<&str> = text.split_whitespace().collect();
        let from = rng.below(words.len().max(1) as u64) as usize;
        let words = words.iter().cycle().skip(from).take(8).copied().collect::<Vec<_>>().join(" ");
        let vector = engine.embed_query(&words)?;
        Ok((tenant.to_owned(), vector))
    };
    (0..fanout.queries as usize + WARM_UP).map(draw).collect()
}

fn run(
    engine: &Engine,
    queries: &[(String, Vec<f32>)],
    reach: impl Fn(&str) -> Reach,
) -> anyhow::Result<(Cost, f64)> {
    let (mut latencies, mut overheads) = (Vec::new(), Vec::new());
    let mut cpu_from = Duration::ZERO;
    for (number, (tenant, vector)) in queries.iter().enumerate() {
        if number == WARM_UP {
            cpu_from = cpu_time()?;
        }
        let query = VectorQuery::dense(vector.clone(), reach(tenant), TOP_K);
        let started = Instant::now();
        let answer = engine.query_vector(query)?;
        let latency = started.elapsed();
        ensure!(!answer.is_partial, "a shard did not answer");
        if number >= WARM_UP {
            let slowest = answer.shards.iter().map(|shard| shard.latency).max().unwrap_or_default();
            latencies.push(latency.as_secs_f64() * 1e3);
            overheads.push(latency.saturating_sub(slowest).as_secs_f64() * 1e3);
        }
    }
    let cpu_ms = (cpu_time()? - cpu_from).as_secs_f64() * 1e3 / latencies.len() as f64;
    latencies.sort_unstable_by(f64::total_cmp);
    overheads.sort_unstable_by(f64::total_cmp);
    let at = |sorted: &[f64], quantile: f64| sorted[((sorted.len() - 1) as f64 * quantile).round() as usize];
    let cost = Cost {
        p50_ms: at(&latencies, 0.5),
        p95_ms: at(&latencies, 0.95),
        p99_ms: at(&latencies, 0.99),
        cpu_ms,
    };
    Ok((cost, at(&overheads, 0.5)))
}

/// CPU time of this process so far, all threads together.
fn cpu_time() -> anyhow::Result<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::new(u64::try_from(time.tv_sec)?, u32::try_from(time.tv_nsec)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_documents_are_generated_as_were_asked_for() {
        for (documents, tenants) in [(20_000, 64), (1, 1), (5, 64), (64, 64), (1_001, 7)] {
            let corpus = Corpus::generate(documents, tenants);
            assert_eq!(corpus.len(), documents as usize);
            assert_eq!(corpus.tenants(), tenants.min(documents) as usize);
            assert!(corpus.0.values().all(|documents| !documents.is_empty()));
            let sizes: Vec<usize> = corpus.0.values().map(Vec::len).collect();
            assert!(sizes.first() >= sizes.last(), "{sizes:?}");
        }
    }
}

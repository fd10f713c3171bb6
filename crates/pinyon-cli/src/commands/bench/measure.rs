//! The measurements: the same documents in a fresh engine per number of shards, all of them settled, and the same queries to
//! each of them in every round.

use super::{
    corpus::{Corpus, Question},
    spread::Spread,
};
use crate::{arguments::Fanout, commands::demo::Scratch};
use anyhow::ensure;
use pinyon_core::{Engine, EngineSettings, QueryAnswer, Reach, Settling, SettlingStage, VectorQuery};
use serde::Serialize;
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

const TOP_K: u32 = 10;
/// Queries before those that count in every round: they bring code and rows into the caches.
pub(super) const WARM_UP: usize = 20;
/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Latency and cost of one kind of query: medians over the rounds, and their ranges from the smallest to the largest.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(into = "CostFigures")]
pub(super) struct Cost {
    pub(super) p50_ms: Spread,
    pub(super) p95_ms: Spread,
    pub(super) p99_ms: Spread,
    /// CPU time of the whole process per query.
    pub(super) cpu_ms: Spread,
}

/// How costs are written as JSON.
#[derive(Serialize)]
struct CostFigures {
    p50_ms: f64,
    p50_ms_range: [f64; 2],
    p95_ms: f64,
    p95_ms_range: [f64; 2],
    p99_ms: f64,
    p99_ms_range: [f64; 2],
    cpu_ms: f64,
    cpu_ms_range: [f64; 2],
}

impl From<Cost> for CostFigures {
    fn from(Cost { p50_ms, p95_ms, p99_ms, cpu_ms }: Cost) -> Self {
        Self {
            p50_ms: p50_ms.median,
            p50_ms_range: p50_ms.range(),
            p95_ms: p95_ms.median,
            p95_ms_range: p95_ms.range(),
            p99_ms: p99_ms.median,
            p99_ms_range: p99_ms.range(),
            cpu_ms: cpu_ms.median,
            cpu_ms_range: cpu_ms.range(),
        }
    }
}

/// What one number of shards costs.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Measured {
    pub(super) shards: u32,
    /// Whether all codes and graphs were there before the first round.
    pub(super) settled: bool,
    pub(super) single: Cost,
    pub(super) cross: Cost,
    /// Median time of a cross-shard query beyond its slowest shard's.
    pub(super) overhead_p50_ms: f64,
    pub(super) overhead_p50_ms_range: [f64; 2],
    /// Share of the results across tenants that are those of the smallest number of shards.
    pub(super) same_results: f64,
    pub(super) ingest_seconds: f64,
    pub(super) settle_seconds: f64,
}

/// One kind of query in one round.
struct RoundCost {
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    cpu_ms: f64,
    overhead_p50_ms: f64,
}

/// The results of every query across tenants.
pub(super) type Results = Vec<HashSet<(String, String)>>;

/// A filled engine with one number of shards.
pub(super) struct Candidate {
    // Before the directory, which goes with its end.
    pub(super) engine: Engine,
    _scratch: Scratch,
    pub(super) shards: u32,
    is_settled: bool,
    ingest_seconds: f64,
    settle_seconds: f64,
    rounds: Vec<[RoundCost; 2]>,
}

impl Candidate {
    /// Fills an engine and waits until it is settled.
    pub(super) fn fill(corpus: &Corpus, settings: EngineSettings, fanout: &Fanout) -> anyhow::Result<Self> {
        let (scratch, shards) = (Scratch::new("bench")?, settings.shards);
        let say = |text: String| {
            if !fanout.json {
                eprintln!("{shards} shard(s): {text}");
            }
        };
        let engine = Engine::open(scratch.path(), settings)?;
        let started = Instant::now();
        corpus.ingest(&engine)?;
        let ingest_seconds = started.elapsed().as_secs_f64();
        say(format!("{} documents ingested in {ingest_seconds:.1} s", corpus.len()));
        let started = Instant::now();
        let longest = Duration::from_secs(fanout.settle_seconds);
        let is_settled = !longest.is_zero() && engine.settle(longest, &mut told(say))?;
        let settle_seconds = started.elapsed().as_secs_f64();
        let outcome = if is_settled { "settled" } else { "NOT settled" };
        say(format!("{outcome} after {settle_seconds:.1} s"));
        let rounds = Vec::new();
        Ok(Self { engine, _scratch: scratch, shards, is_settled, ingest_seconds, settle_seconds, rounds })
    }

    /// One more round: every question in its own tenant, then across all.
    pub(super) fn measure(&mut self, questions: &[Question]) -> anyhow::Result<()> {
        let single = round(&self.engine, questions, |tenant| Reach::Tenant(tenant.into()))?;
        let cross = round(&self.engine, questions, |_| Reach::All)?;
        self.rounds.push([single, cross]);
        Ok(())
    }

    /// What the questions find across all tenants.
    pub(super) fn results(&self, questions: &[Question]) -> anyhow::Result<Results> {
        let found = |(_, vector): &Question| {
            let answer = ask(&self.engine, vector, Reach::All)?;
            let name = |one: &pinyon_core::Match| (one.tenant.to_string(), one.id.to_string());
            Ok(answer.results.iter().map(name).collect())
        };
        questions.iter().map(found).collect()
    }

    /// The figures of all rounds.
    pub(super) fn measured(&self, same_results: f64) -> Measured {
        let spread = |kind: usize, figure: fn(&RoundCost) -> f64| {
            Spread::of(self.rounds.iter().map(|kinds| figure(&kinds[kind])))
        };
        let cost = |kind| Cost {
            p50_ms: spread(kind, |one| one.p50_ms),
            p95_ms: spread(kind, |one| one.p95_ms),
            p99_ms: spread(kind, |one| one.p99_ms),
            cpu_ms: spread(kind, |one| one.cpu_ms),
        };
        let overhead = spread(1, |one| one.overhead_p50_ms);
        Measured {
            shards: self.shards,
            settled: self.is_settled,
            single: cost(0),
            cross: cost(1),
            overhead_p50_ms: overhead.median,
            overhead_p50_ms_range: overhead.range(),
            same_results,
            ingest_seconds: self.ingest_seconds,
            settle_seconds: self.settle_seconds,
        }
    }
}

/// The share of results that are among the expected ones; all of them where nothing is expected.
pub(super) fn overlap(found: &Results, expected: &Results) -> f64 {
    let pairs = || found.iter().zip(expected);
    let common: usize = pairs().map(|(found, expected)| found.intersection(expected).count()).sum();
    let wanted: usize = pairs().map(|(_, expected)| expected.len()).sum();
    if wanted == 0 { 1.0 } else { common as f64 / wanted as f64 }
}

/// Tells of settling when something else is waited for, and now and then.
fn told(say: impl Fn(String)) -> impl FnMut(Settling) {
    let mut last: Option<Settling> = None;
    move |now| {
        let is_new =
            last.is_none_or(|last| last.stage != now.stage || now.waited >= last.waited + TOLD_EVERY);
        if is_new {
            let what = match now.stage {
                SettlingStage::Segments => "sealing and merging",
                SettlingStage::CodesAndGraphs => "making codes and graphs",
            };
            say(format!("settling: {what}, {:.0} s", now.waited.as_secs_f64()));
            last = Some(now);
        }
    }
}

fn ask(engine: &Engine, vector: &[f32], reach: Reach) -> anyhow::Result<QueryAnswer> {
    let answer = engine.query_vector(VectorQuery::dense(vector.to_vec(), reach, TOP_K))?;
    ensure!(!answer.is_partial, "a shard did not answer");
    Ok(answer)
}

fn round(
    engine: &Engine,
    questions: &[Question],
    reach: impl Fn(&str) -> Reach,
) -> anyhow::Result<RoundCost> {
    let (mut latencies, mut overheads) = (Vec::new(), Vec::new());
    for (tenant, vector) in &questions[..WARM_UP] {
        ask(engine, vector, reach(tenant))?;
    }
    let cpu_from = cpu_time()?;
    for (tenant, vector) in &questions[WARM_UP..] {
        let started = Instant::now();
        let answer = ask(engine, vector, reach(tenant))?;
        let latency = started.elapsed();
        let slowest = answer.shards.iter().map(|shard| shard.latency).max().unwrap_or_default();
        latencies.push(latency.as_secs_f64() * 1e3);
        overheads.push(latency.saturating_sub(slowest).as_secs_f64() * 1e3);
    }
    let cpu_ms = (cpu_time()? - cpu_from).as_secs_f64() * 1e3 / latencies.len() as f64;
    latencies.sort_unstable_by(f64::total_cmp);
    overheads.sort_unstable_by(f64::total_cmp);
    let at = |sorted: &[f64], quantile: f64| sorted[((sorted.len() - 1) as f64 * quantile).round() as usize];
    Ok(RoundCost {
        p50_ms: at(&latencies, 0.5),
        p95_ms: at(&latencies, 0.95),
        p99_ms: at(&latencies, 0.99),
        cpu_ms,
        overhead_p50_ms: at(&overheads, 0.5),
    })
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
    fn results_overlap_as_far_as_they_are_the_same() {
        let set = |ids: &[&str]| ids.iter().map(|id| ("t".to_owned(), (*id).to_owned())).collect();
        let expected: Results = vec![set(&["a", "b"]), set(&["c", "d"])];
        assert_eq!(overlap(&expected, &expected), 1.0);
        assert_eq!(overlap(&vec![set(&["b", "a"]), set(&["c", "x"])], &expected), 0.75);
        assert_eq!(overlap(&vec![set(&[])], &vec![set(&[])]), 1.0);
    }
}

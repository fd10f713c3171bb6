//! `pinyon demo`: the eight sections of the reference workflow on the example data, each with what it shows and how long
//! it took.

mod examples;
mod scratch;

pub use scratch::Scratch;

use crate::{access::Access, arguments::Demo, exit::Outcome, output};
use examples::{ExampleQuery, Examples};
use pinyon_core::{AdviceInput, Engine, EngineSettings, advise};
use pinyon_server::convert::reports;
use pinyon_wire::tenant::{IngestRequest, QueryRequest, QueryResponse};
use serde::Serialize;
use std::time::Instant;

const SHARDS: u32 = 4;
const DIMENSION: u32 = 1536;

/// One section, done.
#[derive(Debug, Serialize)]
struct Section {
    title: &'static str,
    seconds: f64,
    findings: Vec<String>,
}

/// Collects sections, and prints them as they are done.
struct Walk {
    sections: Vec<Section>,
    quiet: bool,
}

/// Walks through everything.
///
/// # Errors
/// Example data that cannot be read, or what the engine says.
pub fn run(command: &Demo) -> anyhow::Result<Outcome> {
    let scratch = command.data_dir.is_none().then(|| Scratch::new("demo")).transpose()?;
    let dir = command.data_dir.clone().or_else(|| scratch.as_ref().map(|scratch| scratch.path().to_owned()));
    let dir = dir.unwrap_or_default();
    let mut walk = Walk { sections: Vec::new(), quiet: command.json };
    let settings = EngineSettings::offline(SHARDS, DIMENSION)?;
    let examples = walk.section("1. Configuration", |say| {
        let examples = Examples::load(command.examples.as_deref())?;
        say(format!(
            "{SHARDS} shards named {}-0 to {}-{}",
            settings.shard_prefix,
            settings.shard_prefix,
            SHARDS - 1
        ));
        say(format!(
            "vectors of {DIMENSION} components by {} (lexical, local, no network)",
            settings.embedder.model_id()
        ));
        say(format!(
            "{} tenants, {} documents, {} queries",
            examples.tenants.len(),
            examples.documents.len(),
            examples.queries.len()
        ));
        Ok(examples)
    })?;
    let engine = walk.section("2. Opening the engine", |say| {
        let engine = Engine::open(&dir, settings)?;
        say(format!("data in {}: a routing table and one log per shard, all durable", dir.display()));
        Ok(engine)
    })?;
    let access = Access::Local(Box::new(engine.clone()));
    walk.section("3. Routing: tenant to shard by MurmurHash3", |say| route(&engine, &examples, say))?;
    walk.section("4. Ingest: embed and write, durable when answered", |say| ingest(&access, &examples, say))?;
    walk.section("5. Queries in one tenant", |say| query_tenants(&access, &examples, say))?;
    walk.section("6. Queries across shards", |say| query_everywhere(&access, &examples, say))?;
    walk.section("7. Health of the shards", |say| health(&engine, say))?;
    walk.section("8. Advice: to shard or not", |say| advice(&engine, say))?;
    engine.close()?;
    if command.json {
        output::json(&walk.sections)?;
    } else {
        let total: f64 = walk.sections.iter().map(|section| section.seconds).sum();
        println!(
            "\nall eight sections took {total:.2} s; next: `pinyon serve` and http://127.0.0.1:5080/docs"
        );
    }
    Ok(Outcome::Good)
}

impl Walk {
    fn section<T>(
        &mut self,
        title: &'static str,
        work: impl FnOnce(&mut dyn FnMut(String)) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if !self.quiet {
            println!("\n{title}");
        }
        let started = Instant::now();
        let mut findings = Vec::new();
        let quiet = self.quiet;
        let done = work(&mut |finding| {
            if !quiet {
                println!("   {finding}");
            }
            findings.push(finding);
        })?;
        let seconds = started.elapsed().as_secs_f64();
        if !self.quiet {
            println!("   ({:.1} ms)", seconds * 1e3);
        }
        self.sections.push(Section { title, seconds, findings });
        Ok(done)
    }
}

fn route(engine: &Engine, examples: &Examples, say: &mut dyn FnMut(String)) -> anyhow::Result<()> {
    let names: Vec<String> = examples.tenants.iter().map(|tenant| tenant.tenant_id.clone()).collect();
    for (tenant, assignment) in examples.tenants.iter().zip(engine.place_all(&names)?) {
        let home = engine.index_name(assignment.shard);
        say(format!("{} ({}, {}) lives on {home}", tenant.tenant_id, tenant.name, tenant.trade));
    }
    say("the placement is stored: adding shards or another policy later moves nobody by itself".into());
    Ok(())
}

fn ingest(access: &Access, examples: &Examples, say: &mut dyn FnMut(String)) -> anyhow::Result<()> {
    for tenant in &examples.tenants {
        let documents = examples.documents.iter().filter(|one| one.tenant_id == tenant.tenant_id);
        let documents: Vec<_> = documents.map(|one| one.document.clone()).collect();
        let started = Instant::now();
        let response = access.ingest(IngestRequest { tenant_id: tenant.tenant_id.clone(), documents })?;
        let took_ms = started.elapsed().as_secs_f64() * 1e3;
        say(format!(
            "{}: {} documents on {} in {took_ms:.1} ms",
            tenant.tenant_id, response.count, response.shard
        ));
    }
    Ok(())
}

fn query_tenants(access: &Access, examples: &Examples, say: &mut dyn FnMut(String)) -> anyhow::Result<()> {
    let queries: Vec<&ExampleQuery> = examples.queries.iter().filter(|one| one.tenant_id.is_some()).collect();
    let (mut found, mut first) = (0, 0);
    for (number, query) in queries.iter().enumerate() {
        let response = ask(access, query)?;
        found += usize::from(is_found(query, &response, 5));
        first += usize::from(is_found(query, &response, 1));
        if number < 3 {
            say(describe(query, &response));
        }
    }
    say(format!(
        "of {} queries {first} have an expected document first, {found} among the first five; no result is another tenant's",
        queries.len()
    ));
    Ok(())
}

fn query_everywhere(access: &Access, examples: &Examples, say: &mut dyn FnMut(String)) -> anyhow::Result<()> {
    let queries: Vec<&ExampleQuery> = examples.queries.iter().filter(|one| one.tenant_id.is_none()).collect();
    let mut found = 0;
    for (number, query) in queries.iter().enumerate() {
        let response = ask(access, query)?;
        found += usize::from(is_found(query, &response, 5));
        if number < 2 {
            say(describe(query, &response));
            let timings = response
                .shards
                .iter()
                .map(|shard| format!("{} {:.2} ms", shard.index_name, shard.latency_ms));
            say(format!("  asked at the same time: {}", timings.collect::<Vec<_>>().join(", ")));
        }
    }
    say(format!(
        "of {} queries across all tenants {found} have an expected document among the first five",
        queries.len()
    ));
    Ok(())
}

fn ask(access: &Access, query: &ExampleQuery) -> anyhow::Result<QueryResponse> {
    access.query(QueryRequest {
        tenant_id: query.tenant_id.clone(),
        top_k: query.top_k.max(5),
        cross_shard: query.tenant_id.is_none(),
        filter: query.filter.clone(),
        ..QueryRequest::across_tenants(query.query.clone())
    })
}

fn is_found(query: &ExampleQuery, response: &QueryResponse, among: usize) -> bool {
    response.results.iter().take(among).any(|one| query.expected.contains(&one.id))
}

fn describe(query: &ExampleQuery, response: &QueryResponse) -> String {
    let place = query.tenant_id.as_deref().unwrap_or("all tenants");
    match response.results.first() {
        None => format!("\"{}\" in {place}: nothing", query.query),
        Some(best) => {
            let owner = best.tenant_id.as_ref().map(|tenant| format!(" of {tenant}")).unwrap_or_default();
            let text: String = best.text.chars().take(70).collect();
            format!("\"{}\" in {place}: {}{owner} ({:.3}) \"{text}…\"", query.query, best.id, best.score)
        }
    }
}

fn health(engine: &Engine, say: &mut dyn FnMut(String)) -> anyhow::Result<()> {
    let report = reports::health_report(engine, Vec::new());
    for shard in &report.shards {
        say(format!(
            "{}: {}, {} tenants, {} vectors, p95 {:.2} ms",
            shard.index_name, shard.status, shard.namespace_count, shard.total_vectors, shard.p95_ms
        ));
    }
    report.alerts.iter().for_each(|alert| say(format!("alert: {alert}")));
    let diagnosis = engine.diagnose();
    say(format!("the doctor holds routing against the shards: {} findings", diagnosis.findings.len()));
    Ok(())
}

fn advice(engine: &Engine, say: &mut dyn FnMut(String)) -> anyhow::Result<()> {
    say(format!("this system: {}", engine.advise().summary));
    let large = AdviceInput {
        tenants: 500,
        vectors: 5_000_000,
        p95_ms: 600.0,
        namespaces: 500,
        ..Default::default()
    };
    say(format!("500 tenants with 5,000,000 vectors and p95 600 ms: {}", advise(&large).summary));
    let giants = AdviceInput { top_10_share: Some(0.85), ..large };
    say(format!("the same, but ten tenants hold 85 %: {}", advise(&giants).summary));
    Ok(())
}

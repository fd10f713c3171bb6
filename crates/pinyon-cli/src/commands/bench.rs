//! `pinyon bench fanout`: what a query costs in one tenant and across shards, for several numbers of shards, on given
//! or generated documents.

mod advice;
mod measure;

use crate::{
    arguments::{Bench, BenchSubject, Fanout},
    exit::Outcome,
    output,
    plot::{Plot, Series},
};
use anyhow::Context;
use measure::{Corpus, Measured};
use serde::Serialize;

/// Everything a run found.
#[derive(Debug, Serialize)]
struct Report {
    command: String,
    documents: usize,
    tenants: usize,
    vector_dimension: u32,
    queries: u32,
    cores: usize,
    rows: Vec<Measured>,
    advice: Vec<String>,
}

/// Measures.
///
/// # Errors
/// Data that cannot be read, or what the engine says.
pub fn run(command: &Bench) -> anyhow::Result<Outcome> {
    let BenchSubject::Fanout(fanout) = &command.subject;
    let corpus = match &fanout.data {
        Some(file) => Corpus::read(file)?,
        None => Corpus::generate(fanout.documents, fanout.tenants),
    };
    let mut rows = Vec::new();
    for shards in &fanout.shards {
        if !fanout.json {
            eprintln!("measuring {shards} shard(s)…");
        }
        rows.push(measure::measure(&corpus, *shards, fanout)?);
    }
    let report = Report {
        command: std::env::args().collect::<Vec<_>>().join(" "),
        documents: corpus.len(),
        tenants: corpus.tenants(),
        vector_dimension: fanout.vector_dimension,
        queries: fanout.queries,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        advice: advice::in_words(&rows),
        rows,
    };
    std::fs::write(&fanout.plot, plot(&report)).with_context(|| fanout.plot.display().to_string())?;
    show(fanout, &report)?;
    Ok(Outcome::Good)
}

fn show(fanout: &Fanout, report: &Report) -> anyhow::Result<()> {
    if fanout.json {
        return output::json(report);
    }
    println!(
        "{} documents of {} tenants, {} components, {} queries of each kind, {} cores\n",
        report.documents, report.tenants, report.vector_dimension, report.queries, report.cores
    );
    let cell = |value: f64| format!("{value:.3}");
    let row = |one: &Measured| {
        let mut cells = vec![one.shards.to_string()];
        cells.extend([one.single.p50_ms, one.single.p95_ms, one.single.p99_ms].map(cell));
        cells.extend([one.cross.p50_ms, one.cross.p95_ms, one.cross.p99_ms].map(cell));
        cells.extend([one.single.cpu_ms, one.cross.cpu_ms, one.overhead_p50_ms].map(cell));
        cells
    };
    let rows: Vec<Vec<String>> = report.rows.iter().map(row).collect();
    let headings =
        ["shards", "one p50", "p95", "p99", "all p50", "p95", "p99", "one CPU", "all CPU", "beyond slowest"];
    output::table(&headings, &rows)?;
    println!(
        "\nmilliseconds; one: a query in one tenant, all: across all shards; CPU: per query; beyond slowest: p50 of"
    );
    println!("a cross-shard query's time beyond its slowest shard's\n");
    report.advice.iter().for_each(|sentence| println!("{sentence}"));
    println!("plot: {}", fanout.plot.display());
    Ok(())
}

fn plot(report: &Report) -> String {
    let line = |name: &str, is_dashed: bool, value: fn(&Measured) -> f64| Series {
        name: name.into(),
        values: report.rows.iter().map(value).collect(),
        is_dashed,
    };
    let title = format!(
        "Query latency by number of shards ({} documents, {} tenants)",
        report.documents, report.tenants
    );
    Plot {
        title: &title,
        x_label: "shards",
        y_label: "milliseconds",
        ticks: report.rows.iter().map(|one| one.shards.to_string()).collect(),
        series: vec![
            line("one tenant, p50", false, |one| one.single.p50_ms),
            line("one tenant, p99", true, |one| one.single.p99_ms),
            line("all shards, p50", false, |one| one.cross.p50_ms),
            line("all shards, p99", true, |one| one.cross.p99_ms),
            line("all shards, CPU", false, |one| one.cross.cpu_ms),
        ],
    }
    .to_svg()
}

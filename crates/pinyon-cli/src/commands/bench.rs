//! `pinyon bench fanout`: what a query costs in one tenant and across shards, for several numbers of shards, on given
//! or generated documents. All engines are filled and settled first and then asked in turns, so that what disturbs the machine
//! disturbs all of them.

mod advice;
mod corpus;
mod measure;
mod spread;

use crate::{
    arguments::{Bench, BenchSubject, Fanout},
    exit::Outcome,
    output,
    plot::{Plot, Point, Series},
};
use anyhow::Context;
use corpus::Corpus;
use measure::{Candidate, Cost, Measured, WARM_UP};
use pinyon_core::EngineSettings;
use serde::Serialize;
use spread::Spread;

/// Everything a run found.
#[derive(Debug, Serialize)]
struct Report {
    command: String,
    documents: usize,
    tenants: usize,
    vector_dimension: u32,
    /// Queries of each kind in every round.
    queries: u32,
    rounds: u32,
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
    // What cannot be is refused before minutes are spent.
    let settings = |shards: &u32| EngineSettings::offline(*shards, fanout.vector_dimension);
    let settings = fanout.shards.iter().map(settings).collect::<Result<Vec<_>, _>>()?;
    let corpus = match &fanout.data {
        Some(file) => Corpus::read(file)?,
        None => Corpus::generate(fanout.documents, fanout.tenants),
    };
    let rows = measure(&corpus, settings, fanout)?;
    let report = Report {
        command: std::env::args().collect::<Vec<_>>().join(" "),
        documents: corpus.len(),
        tenants: corpus.tenants(),
        vector_dimension: fanout.vector_dimension,
        queries: fanout.queries,
        rounds: fanout.rounds,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        advice: advice::in_words(&rows),
        rows,
    };
    std::fs::write(&fanout.plot, plot(&report)).with_context(|| fanout.plot.display().to_string())?;
    show(fanout, &report)?;
    Ok(Outcome::Good)
}

fn measure(corpus: &Corpus, settings: Vec<EngineSettings>, fanout: &Fanout) -> anyhow::Result<Vec<Measured>> {
    let fill = |settings| Candidate::fill(corpus, settings, fanout);
    let mut candidates = settings.into_iter().map(fill).collect::<anyhow::Result<Vec<_>>>()?;
    let Some(fewest) = candidates.iter().min_by_key(|one| one.shards) else { return Ok(Vec::new()) };
    let questions = corpus.questions(&fewest.engine, fanout.queries as usize + WARM_UP)?;
    let expected = fewest.results(&questions)?;
    for round in 0..fanout.rounds {
        if !fanout.json {
            eprintln!("round {} of {}", round + 1, fanout.rounds);
        }
        // There and back again: what comes first is not always the same.
        let mut order: Vec<&mut Candidate> = candidates.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        order.into_iter().try_for_each(|one| one.measure(&questions))?;
    }
    let measured = |one: &Candidate| {
        let same_results = measure::overlap(&one.results(&questions)?, &expected);
        one.engine.close()?;
        Ok(one.measured(same_results))
    };
    let mut rows = candidates.iter().map(measured).collect::<anyhow::Result<Vec<Measured>>>()?;
    rows.sort_by_key(|row| row.shards);
    Ok(rows)
}

fn show(fanout: &Fanout, report: &Report) -> anyhow::Result<()> {
    if fanout.json {
        return output::json(report);
    }
    println!(
        "{} documents of {} tenants, {} components, {} cores",
        report.documents, report.tenants, report.vector_dimension, report.cores
    );
    println!(
        "{} rounds of {} queries of each kind: milliseconds, medians (smallest to largest round)",
        report.rounds, report.queries
    );
    println!("\nin one tenant");
    show_costs(report, |row| &row.single)?;
    println!("\nacross all tenants");
    show_costs(report, |row| &row.cross)?;
    println!(
        "\nCPU per query, time beyond the slowest shard (p50), and results that are those of the fewest shards"
    );
    show_rest(report)?;
    println!();
    report.advice.iter().for_each(|sentence| println!("{sentence}"));
    println!("plot: {}", fanout.plot.display());
    Ok(())
}

fn cell(median: f64, [min, max]: [f64; 2]) -> String {
    format!("{median:.3} ({min:.3}-{max:.3})")
}

fn spread_cell(spread: &Spread) -> String {
    cell(spread.median, spread.range())
}

fn show_costs(report: &Report, cost: fn(&Measured) -> &Cost) -> anyhow::Result<()> {
    let row = |row: &Measured| {
        let cost = cost(row);
        let spreads = [cost.p50_ms, cost.p95_ms, cost.p99_ms];
        [vec![row.shards.to_string()], spreads.iter().map(spread_cell).collect()].concat()
    };
    let rows: Vec<Vec<String>> = report.rows.iter().map(row).collect();
    output::table(&["shards", "p50", "p95", "p99"], &rows)
}

fn show_rest(report: &Report) -> anyhow::Result<()> {
    let row = |row: &Measured| {
        vec![
            row.shards.to_string(),
            spread_cell(&row.single.cpu_ms),
            spread_cell(&row.cross.cpu_ms),
            cell(row.overhead_p50_ms, row.overhead_p50_ms_range),
            format!("{:.1} %", row.same_results * 100.0),
        ]
    };
    let rows: Vec<Vec<String>> = report.rows.iter().map(row).collect();
    output::table(&["shards", "CPU, one", "CPU, all", "beyond slowest", "same"], &rows)
}

fn plot(report: &Report) -> String {
    let line = |name: &str, is_dashed: bool, spread: fn(&Measured) -> Spread| Series {
        name: name.into(),
        points: report.rows.iter().map(spread).map(point).collect(),
        is_dashed,
    };
    let is_settled = report.rows.iter().all(|row| row.settled);
    let title = format!(
        "Query latency by number of shards ({} documents, {} tenants{})",
        report.documents,
        report.tenants,
        if is_settled { "" } else { ", NOT settled" }
    );
    let note = format!("medians of {} rounds; bars from the smallest to the largest round", report.rounds);
    Plot {
        title: &title,
        note: &note,
        x_label: "shards",
        y_label: "milliseconds (logarithmic)",
        ticks: report.rows.iter().map(|row| row.shards.to_string()).collect(),
        series: vec![
            line("one tenant, p50", false, |row| row.single.p50_ms),
            line("one tenant, p99", true, |row| row.single.p99_ms),
            line("all tenants, p50", false, |row| row.cross.p50_ms),
            line("all tenants, p99", true, |row| row.cross.p99_ms),
            line("all tenants, CPU", false, |row| row.cross.cpu_ms),
        ],
    }
    .to_svg()
}

fn point(Spread { median, min, max }: Spread) -> Point {
    Point { value: median, min, max }
}

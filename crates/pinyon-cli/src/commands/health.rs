//! `pinyon health`.

use crate::{access::Access, arguments::Plain, exit::Outcome, output};
use pinyon_wire::{recall::PartRecall, tenant::HealthReport};

/// Judges the shards; exit code 3 when something is wrong.
///
/// # Errors
/// What the engine says.
pub fn run(command: &Plain) -> anyhow::Result<Outcome> {
    let access = Access::to(&command.target)?;
    let metrics = access.metrics()?;
    access.close()?;
    if command.target.json {
        output::json(&metrics)?;
    } else {
        print(&metrics.health)?;
    }
    Ok(if metrics.health.alerts.is_empty() { Outcome::Good } else { Outcome::Bad })
}

/// Prints a report for people.
///
/// # Errors
/// Standard output is closed.
pub fn print(health: &HealthReport) -> anyhow::Result<()> {
    let row = |one: &pinyon_wire::tenant::ShardHealth| {
        vec![
            one.index_name.clone(),
            one.status.clone(),
            one.namespace_count.to_string(),
            one.total_vectors.to_string(),
            format!("{:.2}", one.p95_ms),
            format!("{:.1}", one.queries_per_second),
            format!("{:.0} %", one.load_share * 100.0),
        ]
    };
    let rows: Vec<Vec<String>> = health.shards.iter().map(row).collect();
    output::table(&["shard", "status", "tenants", "vectors", "p95 ms", "queries/s", "load"], &rows)?;
    print_recall(&health.recall)?;
    for alert in &health.alerts {
        println!("alert: {alert}");
    }
    println!(
        "{}",
        if health.needs_rebalancing { "tenants should be moved" } else { "no tenant needs to be moved" }
    );
    Ok(())
}

/// Parts that are shown.
const SHOWN_MAX: usize = 10;

/// How good answers are, of the parts that miss their target and the largest.
fn print_recall(parts: &[PartRecall]) -> anyhow::Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let row = |part: &PartRecall| {
        let found = part.recall.as_ref();
        vec![
            part.namespace.clone().unwrap_or_else(|| "(all)".into()),
            part.rows.to_string(),
            part.tier.clone(),
            found.map_or_else(|| "exact".into(), |found| format!("{:.4}", found.recall)),
            found.map_or_else(|| "-".into(), |found| format!("{:.4} to {:.4}", found.lower, found.upper)),
            found.map_or_else(|| "-".into(), |found| format!("{} {}", found.queries, found.asked)),
        ]
    };
    println!();
    let rows: Vec<Vec<String>> = parts.iter().take(SHOWN_MAX).map(row).collect();
    output::table(&["namespace", "rows", "answered by", "recall@10", "between", "by"], &rows)?;
    println!();
    Ok(())
}

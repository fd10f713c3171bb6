//! `pinyon health`.

use crate::{access::Access, arguments::Plain, exit::Outcome, output};
use pinyon_wire::tenant::HealthReport;

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
    for alert in &health.alerts {
        println!("alert: {alert}");
    }
    println!(
        "{}",
        if health.needs_rebalancing { "tenants should be moved" } else { "no tenant needs to be moved" }
    );
    Ok(())
}

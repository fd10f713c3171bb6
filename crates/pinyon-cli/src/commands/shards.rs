//! `pinyon shards`.

use crate::{access::Access, arguments::Plain, exit::Outcome, output};

/// Lists shards.
///
/// # Errors
/// What the engine says.
pub fn run(command: &Plain) -> anyhow::Result<Outcome> {
    let access = Access::to(&command.target)?;
    let list = access.shards()?;
    access.close()?;
    if command.target.json {
        output::json(&list)?;
        return Ok(Outcome::Good);
    }
    let row = |one: &pinyon_wire::admin::ShardInfo| {
        vec![
            one.index_name.clone(),
            one.tenants.to_string(),
            one.vectors.to_string(),
            one.memtable_rows.to_string(),
            one.segments.len().to_string(),
            one.segments.iter().map(|segment| segment.graphs).sum::<usize>().to_string(),
            output::bytes(one.disk_bytes),
            output::bytes(one.resident_bytes),
            format!("{:.2}", one.p50_ms),
            format!("{:.2}", one.p95_ms),
            format!("{:.2}", one.p99_ms),
        ]
    };
    let rows: Vec<Vec<String>> = list.shards.iter().map(row).collect();
    let headings = [
        "shard", "tenants", "vectors", "unsealed", "segments", "graphs", "disk", "memory", "p50 ms",
        "p95 ms", "p99 ms",
    ];
    output::table(&headings, &rows)?;
    Ok(Outcome::Good)
}

//! `pinyon tenants`.

use crate::{access::Access, arguments::Tenants, exit::Outcome, output};

/// Lists tenants, or assigns one.
///
/// # Errors
/// What the engine says.
pub fn run(command: &Tenants) -> anyhow::Result<Outcome> {
    let access = Access::to(&command.target)?;
    if let (Some(tenant), Some(shard)) = (&command.assign, command.shard) {
        let assigned = access.assign(tenant, shard)?;
        access.close()?;
        if command.target.json {
            output::json(&assigned)?;
        } else {
            println!("{} lives on {}", assigned.tenant_id, assigned.index_name);
        }
        return Ok(Outcome::Good);
    }
    let list = access.tenants()?;
    access.close()?;
    if command.target.json {
        output::json(&list)?;
        return Ok(Outcome::Good);
    }
    let row = |one: &pinyon_wire::admin::TenantInfo| {
        vec![
            one.tenant_id.clone(),
            one.index_name.clone(),
            one.vectors.to_string(),
            output::bytes(one.vector_bytes),
            one.queries.to_string(),
            format!("{:.2}", one.p95_ms),
            format!("{:.0} %", one.load_share * 100.0),
        ]
    };
    let rows: Vec<Vec<String>> = list.tenants.iter().map(row).collect();
    output::table(&["tenant", "shard", "vectors", "bytes", "queries", "p95 ms", "load"], &rows)?;
    Ok(Outcome::Good)
}

//! `pinyon tenants`.

use super::moves;
use crate::{
    access::{Access, Assigned},
    arguments::{EraseTenant, TenantVerb, Tenants},
    exit::Outcome,
    output,
};
use pinyon_wire::admin::ErasedTenant;

/// Lists tenants, assigns one, or erases some.
///
/// # Errors
/// What the engine says.
pub fn run(command: &Tenants) -> anyhow::Result<Outcome> {
    if let Some(TenantVerb::Erase(command)) = &command.verb {
        return erase(command);
    }
    let access = Access::to(&command.target)?;
    if let (Some(tenant), Some(shard)) = (&command.assign, command.shard) {
        return assign(access, tenant, shard, command.target.json);
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

/// Places a tenant, or moves it and waits until it is there.
fn assign(access: Access, tenant: &str, shard: u32, as_json: bool) -> anyhow::Result<Outcome> {
    let (lives, moved) = match access.assign(tenant, shard)? {
        Assigned::Lives(lives) => (lives, None),
        Assigned::Moves(begun) => {
            let moved = moves::wait(&access, *begun, as_json)?;
            (access.shard_of(tenant)?, Some(moved))
        }
    };
    access.close()?;
    if as_json {
        output::json(&lives)?;
    } else {
        println!("{} lives on {}", lives.tenant_id, lives.index_name);
    }
    match moved.filter(|moved| moved.phase != "done") {
        Some(moved) => {
            eprintln!("{}", moves::sentence(&moved));
            Ok(Outcome::Bad)
        }
        None => Ok(Outcome::Good),
    }
}

fn erase(command: &EraseTenant) -> anyhow::Result<Outcome> {
    let access = Access::to(&command.target)?;
    let index = command.index.as_deref();
    let erased: Vec<ErasedTenant> =
        command.tenants.iter().map(|tenant| access.erase(tenant, index)).collect::<anyhow::Result<_>>()?;
    access.close()?;
    if command.target.json {
        output::json(&erased)?;
        return Ok(Outcome::Good);
    }
    erased.iter().for_each(say);
    Ok(Outcome::Good)
}

fn say(erased: &ErasedTenant) {
    let ErasedTenant { tenant_id, records, segments, not_touched, .. } = erased;
    if erased.was_known {
        println!("{tenant_id}: {records} records deleted, {segments} segments written again without it");
    } else {
        println!("{tenant_id} is not known here: what was left of the name is erased ({segments} segments)");
    }
    if erased.held_by_readers {
        println!("  a query still reads from a file of it; its room is given back when the query ends");
    }
    for path in not_touched {
        println!("  not touched, may hold some of it: {path}");
    }
    println!("  blocks of the disk that are free, swap and backups were not touched");
}

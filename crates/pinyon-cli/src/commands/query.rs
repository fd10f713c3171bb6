//! `pinyon query`.

use crate::{
    access::Access,
    arguments::Query,
    exit::{Outcome, Usage},
    output,
};
use pinyon_wire::{
    filter_json::FilterJson,
    tenant::{QueryRequest, QueryResponse},
};

/// Cells of a terminal that a tenant's name keeps beside a long id.
const TENANT_CELLS_MIN: usize = 16;

/// Prints what is near to a text; exit code 3 when the answer is partial or a tenant is not known.
///
/// # Errors
/// A filter that is no JSON, or what the engine says.
pub fn run(command: &Query) -> anyhow::Result<Outcome> {
    let request = request(command)?;
    let access = Access::to(&command.target)?;
    let response = access.query(request)?;
    access.close()?;
    if command.target.json {
        output::json(&response)?;
    } else {
        print(&response);
    }
    Ok(outcome(command, &response))
}

/// Judges an answer, and names the tenants that were asked for and are not there.
pub fn outcome(command: &Query, response: &QueryResponse) -> Outcome {
    let unknown = match (response.tenant_known, command.tenant.as_slice()) {
        (Some(false), [tenant]) => std::slice::from_ref(tenant),
        _ => &response.unknown_tenants,
    };
    unknown.iter().for_each(|tenant| eprintln!("{}", nobody_knows(tenant)));
    if response.partial || !unknown.is_empty() { Outcome::Bad } else { Outcome::Good }
}

/// What is said of a tenant that was never written to.
pub fn nobody_knows(tenant: &str) -> String {
    format!("tenant {tenant} is not known: nothing was ever written to it (`pinyon tenants` lists who is)")
}

/// Reads the filter of a command line.
///
/// # Errors
/// Text that is no JSON.
pub fn filter_json(filter: Option<&str>) -> anyhow::Result<Option<FilterJson>> {
    let filter = filter.map(serde_json::from_str).transpose();
    Ok(filter.map_err(|error| Usage(format!("--filter is not JSON: {error}")))?)
}

/// What the command asks.
///
/// # Errors
/// A filter that is no JSON.
pub fn request(command: &Query) -> anyhow::Result<QueryRequest> {
    let filter = filter_json(command.filter.as_deref())?;
    let (tenant_id, tenant_ids) = match command.tenant.as_slice() {
        [] => (None, None),
        [one] => (Some(one.clone()), None),
        several => (None, Some(several.to_vec())),
    };
    Ok(QueryRequest {
        cross_shard: tenant_id.is_none(),
        tenant_id,
        tenant_ids,
        top_k: command.top_k,
        filter,
        timeout_ms: command.timeout_ms,
        scan_factor: command.scan_factor,
        max_candidates: command.max_candidates,
        ..QueryRequest::across_tenants(command.text.clone())
    })
}

/// Prints results for people.
pub fn print(response: &QueryResponse) {
    for (rank, one) in (1..).zip(&response.results) {
        let found = format!("{rank:>3}. {:.4}  {}", one.score, one.id);
        // The id is what people go on with, so a tenant's long name is cut first.
        let room = output::width().saturating_sub(found.chars().count() + 4).max(TENANT_CELLS_MIN);
        let tenant = one.tenant_id.as_ref().map(|tenant| format!("  [{}]", output::cut(tenant, room)));
        println!("{found}{}", tenant.unwrap_or_default());
        if !one.text.is_empty() {
            println!("       {}", output::cut(&one.text, output::width().saturating_sub(7)));
        }
    }
    if response.results.is_empty() {
        println!("nothing found");
    }
    for shard in &response.shards {
        println!("  {} {:.2} ms {}", shard.index_name, shard.latency_ms, shard.status);
    }
    let place = response.shard.as_deref().unwrap_or("all shards");
    println!("{} results from {place} in {:.2} ms", response.results.len(), response.latency_ms);
    if let Some(reason) = &response.reason {
        println!("partial answer: {reason}");
    }
}

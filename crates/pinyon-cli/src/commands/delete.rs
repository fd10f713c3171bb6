//! `pinyon delete`.

use super::query::{filter_json, nobody_knows};
use crate::{
    access::Access,
    arguments::Delete,
    exit::{Outcome, Usage},
    output,
};
use pinyon_wire::documents::DeleteRequest;

/// Removes documents, durably; exit code 3 when the tenant is not there.
///
/// # Errors
/// None or several of ids, `--filter` and `--all`, a filter that is no JSON, or what the engine says.
pub fn run(command: &Delete) -> anyhow::Result<Outcome> {
    let ways =
        [!command.ids.is_empty(), command.filter.is_some(), command.all].iter().filter(|way| **way).count();
    if ways != 1 {
        return Err(Usage("give ids, or --filter, or --all: exactly one of them".into()).into());
    }
    let request = DeleteRequest {
        tenant_id: command.tenant.clone(),
        ids: (!command.ids.is_empty()).then(|| command.ids.clone()),
        filter: filter_json(command.filter.as_deref())?,
        delete_all: command.all,
    };
    let access = Access::to(&command.target)?;
    let response = access.delete(&request)?;
    access.close()?;
    if command.target.json {
        output::json(&response)?;
    } else if response.tenant_known {
        output::line(&format!("{} documents removed from {}", response.count, response.shard))?;
    } else {
        eprintln!("{}", nobody_knows(&command.tenant));
    }
    Ok(if response.tenant_known { Outcome::Good } else { Outcome::Bad })
}

//! `pinyon doctor`.

use crate::{
    access::{Access, local_settings, refuse_without_data},
    arguments::Doctor,
    exit::Outcome,
    output,
};
use pinyon_core::Engine;
use pinyon_server::convert::reports;
use pinyon_wire::admin::DoctorResponse;
use std::path::Path;

/// Compares routing with the shards, and mends it when asked; exit code 3 when they differ in the end.
///
/// # Errors
/// What the engine says.
pub fn run(command: &Doctor) -> anyhow::Result<Outcome> {
    let response = match &command.target.data_dir {
        Some(dir) => {
            refuse_without_data(dir)?;
            let settings = local_settings(dir, &command.target.settings)?;
            let engine = Engine::open_for_repair(dir, settings.engine)?;
            let diagnosis =
                if command.repair { repair(&engine, command.target.json)? } else { engine.diagnose() };
            engine.close()?;
            reports::diagnosis(diagnosis)
        }
        None => Access::to(&command.target)?.doctor()?,
    };
    if command.target.json {
        output::json(&response)?;
    } else {
        print(&response, &repair_command(command.target.data_dir.as_deref()));
    }
    Ok(if response.healthy { Outcome::Good } else { Outcome::Bad })
}

fn repair(engine: &Engine, json: bool) -> anyhow::Result<pinyon_core::Diagnosis> {
    let (before, after) = engine.repair()?;
    if !json {
        for finding in before.findings.iter().filter(|finding| !after.findings.contains(finding)) {
            println!("repaired {}: {}", finding.kind.name(), finding.message);
        }
    }
    Ok(after)
}

/// The command that mends: on the directory itself, which no server may have open.
fn repair_command(data_dir: Option<&Path>) -> String {
    let dir = data_dir.map_or_else(|| "DIR".into(), |dir| dir.display().to_string());
    let first = if data_dir.is_none() { "stop the server, then " } else { "" };
    format!("{first}pinyon doctor --data-dir {dir} --repair")
}

fn print(response: &DoctorResponse, repair: &str) {
    for finding in &response.findings {
        let remedy =
            if finding.repairable { format!("`{repair}` mends it") } else { "needs a decision".into() };
        println!("{}: {} ({remedy})", finding.kind, finding.message);
    }
    let verdict = if response.healthy { "routing and shards agree" } else { "routing and shards differ" };
    println!("{verdict}: {} tenants in the table, {} with records", response.tenants, response.namespaces);
}

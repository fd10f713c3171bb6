//! `pinyon doctor`.

use crate::{
    access::{Access, local_settings, refuse_without_data},
    arguments::Doctor,
    exit::Outcome,
    output,
};
use pinyon_core::{Diagnosis, Engine, EngineSettings};
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
            let diagnosis = on_directory(command, dir, settings.engine)?;
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

fn on_directory(command: &Doctor, dir: &Path, settings: EngineSettings) -> anyhow::Result<Diagnosis> {
    let json = command.target.json;
    if command.repair {
        let engine = Engine::open_for_repair(dir, settings)?;
        let diagnosis = repair(&engine, json)?;
        engine.close()?;
        return Ok(diagnosis);
    }
    if let Some(shard) = &command.drop {
        let engine = Engine::open_to_diagnose(dir, settings.clone())?;
        drop_shard(&engine, dir, shard, json)?;
        engine.close()?;
    }
    if let Some(shard) = &command.accept_older {
        let engine = Engine::open_to_diagnose(dir, settings.clone())?;
        let accepted = engine.accept_older(shard)?;
        engine.close()?;
        if !json {
            println!("{} goes on with what it has", accepted.index_name);
        }
    }
    let engine = Engine::open_to_diagnose(dir, settings)?;
    let diagnosis = engine.diagnose();
    engine.close()?;
    Ok(diagnosis)
}

fn drop_shard(engine: &Engine, dir: &Path, shard: &str, json: bool) -> anyhow::Result<()> {
    let dropped = engine.drop_shard(dir, shard)?;
    if !json {
        let files = dropped.aside.map_or_else(
            || "there were no files of it".into(),
            |aside| format!("its files lie in {}", aside.display()),
        );
        let tenants = dropped.assigned_tenants;
        println!("dropped {}: {tenants} tenants on it have no records now; {files}", dropped.index_name);
    }
    Ok(())
}

fn repair(engine: &Engine, json: bool) -> anyhow::Result<Diagnosis> {
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

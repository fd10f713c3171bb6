//! What `pinyon doctor` does when it is told to: on the data, or on a copy of them.

use super::{only_to_look, places};
use crate::{arguments::Doctor, exit::Usage};
use pinyon_core::{Engine, IndexPlace, SalvagedShard};
use pinyon_server::config::Settings;
use std::path::Path;

/// Where it is said what was done.
type Say<'a> = &'a dyn Fn(&str);

/// Does what the command asks for, if it asks for anything.
///
/// # Errors
/// What the engine says.
pub(super) fn carry_out(
    command: &Doctor,
    dir: &Path,
    settings: &Settings,
    say: Say<'_>,
) -> anyhow::Result<()> {
    if command.repair {
        return repair(&chosen(command, dir, settings)?, say);
    }
    let one = |shard: &str| -> anyhow::Result<Engine> {
        let all = places(dir, settings)?;
        let place = IndexPlace::of_shard(&all, shard)?;
        Ok(Engine::open_to_diagnose(&place.dir, only_to_look(&place.settings))?)
    };
    if let Some(shard) = &command.salvage {
        let engine = one(shard)?;
        let salvaged = engine.salvage_shard(shard)?;
        engine.close()?;
        say(&salvage(&salvaged));
    }
    if let Some(shard) = &command.drop {
        let engine = one(shard)?;
        let dropped = engine.drop_shard(shard)?;
        engine.close()?;
        let files = dropped.aside.map_or_else(
            || "there were no files of it".into(),
            |aside| format!("its files lie in {}", aside.display()),
        );
        let tenants = dropped.assigned_tenants;
        say(&format!("dropped {}: {tenants} tenants on it have no records now; {files}", dropped.index_name));
    }
    if let Some(shard) = &command.accept_older {
        let engine = one(shard)?;
        let accepted = engine.accept_older(shard)?;
        engine.close()?;
        say(&format!("{} goes on with what it has", accepted.index_name));
    }
    Ok(())
}

fn salvage(salvaged: &SalvagedShard) -> String {
    let SalvagedShard { index_name, report, aside } = salvaged;
    let files = aside.as_ref().map_or_else(String::new, |aside| {
        format!("; its old files lie in {}, with a list of what was lost", aside.display())
    });
    match report {
        Some(report) => format!(
            "salvaged {index_name}: {} records saved, {} lost, {} rows and {} writes of which nothing can be told{files}",
            report.kept(),
            report.lost(),
            report.unknown,
            report.lost_entries
        ),
        None => format!("salvaged {index_name}: what an earlier salvage had saved was put in its place"),
    }
}

/// The indexes that a repair is asked for.
fn chosen(command: &Doctor, dir: &Path, settings: &Settings) -> anyhow::Result<Vec<IndexPlace>> {
    let mut all = places(dir, settings)?;
    if let Some(name) = &command.index {
        all.retain(|place| place.name == *name);
        if all.is_empty() {
            return Err(Usage(format!("--index {name}: there is no such index; nothing was changed")).into());
        }
    }
    Ok(all)
}

/// Repairs each by itself: what keeps one from it is no reason to leave the others.
fn repair(places: &[IndexPlace], say: Say<'_>) -> anyhow::Result<()> {
    let mut failed = None;
    for place in places {
        match repair_one(place, say) {
            Err(error) if places.len() > 1 => {
                failed = failed.or(Some(error.context(format!("index {}", place.name))));
            }
            done => done?,
        }
    }
    failed.map_or(Ok(()), Err)
}

fn repair_one(place: &IndexPlace, say: Say<'_>) -> anyhow::Result<()> {
    let engine = Engine::open_for_repair(&place.dir, only_to_look(&place.settings))?;
    let (before, after) = engine.repair()?;
    engine.close()?;
    for finding in before.findings.iter().filter(|finding| !after.findings.contains(finding)) {
        say(&format!("repaired {}: {}", finding.kind.name(), finding.message));
    }
    Ok(())
}

//! `pinyon doctor`: looks at every file of a data directory, says what is wrong and what can be done, and does what it is told to. What it
//! looks at is a copy, so that looking changes nothing; the same copy shows what a repair would do.

mod mirror;
mod offers;
mod verbs;

use crate::{
    access::{Access, local_settings, refuse_without_data},
    arguments::Doctor,
    exit::Outcome,
    output,
};
use mirror::Mirror;
use pinyon_core::{Diagnosis, Engine, EngineSettings, Finding, FindingKind, IndexPlace};
use pinyon_server::{config::Settings, convert::reports};
use pinyon_wire::admin::DoctorResponse;
use std::path::Path;

/// Compares routing with the shards and reads every file, and mends what it is asked to; exit code 3 when something is wrong in the end.
///
/// # Errors
/// What the engine says.
pub fn run(command: &Doctor) -> anyhow::Result<Outcome> {
    let response = match &command.target.data_dir {
        Some(dir) => {
            refuse_without_data(dir)?;
            on_directory(command, dir)?
        }
        None => Access::to(&command.target)?.doctor()?,
    };
    if command.target.json {
        output::json(&response)?;
    } else {
        offers::print(&response, command.target.data_dir.as_deref());
    }
    Ok(if response.healthy { Outcome::Good } else { Outcome::Bad })
}

fn on_directory(command: &Doctor, dir: &Path) -> anyhow::Result<DoctorResponse> {
    let flags = &command.target.settings;
    if command.dry_run || !command.changes_anything() {
        let mirror = Mirror::of(dir)?;
        let tried = local_settings(mirror.dir(), flags).and_then(|settings| {
            let say = |text: &str| say(command, &mirror.of_original(text));
            verbs::carry_out(command, mirror.dir(), &settings, &say)?;
            Ok(check(mirror.dir(), &settings))
        });
        if command.dry_run {
            say(command, "a dry run, on a copy: nothing was changed");
        }
        return match tried {
            Ok(response) => Ok(of_original(&mirror, response)),
            Err(error) => Err(anyhow::anyhow!(mirror.of_original(&format!("{error:#}")))),
        };
    }
    let settings = local_settings(dir, flags)?;
    verbs::carry_out(command, dir, &settings, &|text| say(command, text))?;
    let mirror = Mirror::of(dir)?;
    let settings = local_settings(mirror.dir(), flags)?;
    Ok(of_original(&mirror, check(mirror.dir(), &settings)))
}

fn say(command: &Doctor, text: &str) {
    if !command.target.json {
        println!("{text}");
    }
}

/// Every index of a directory; a directory of one index is that one.
fn places(dir: &Path, settings: &Settings) -> anyhow::Result<Vec<IndexPlace>> {
    let name = settings.tenants_index().to_owned();
    if dir.join("indexes").is_dir() {
        return Ok(IndexPlace::all(dir, &settings.engine, &name)?);
    }
    Ok(vec![IndexPlace { name, dir: dir.to_owned(), settings: settings.engine.clone() }])
}

/// Opens every index as it is, which reads every byte of it, and says what is wrong.
fn check(dir: &Path, settings: &Settings) -> DoctorResponse {
    let (places, registry) = match places(dir, settings) {
        Ok(places) => (places, None),
        Err(error) => {
            let alone = IndexPlace {
                name: settings.tenants_index().to_owned(),
                dir: dir.to_owned(),
                settings: settings.engine.clone(),
            };
            (vec![alone], Some(("registry".to_owned(), unreadable(error.to_string()))))
        }
    };
    let is_without_registry = registry.is_some();
    let mut diagnoses: Vec<(String, Diagnosis)> = registry.into_iter().collect();
    let mut left = Vec::new();
    for place in places {
        let opened = Engine::open_to_diagnose(&place.dir, only_to_look(&place.settings));
        let diagnosis = match &opened {
            Ok(engine) => engine.diagnose(),
            Err(error) => unreadable(error.to_string()),
        };
        for shard in diagnosis.findings.iter().filter_map(|finding| finding.shard.clone()) {
            let report = opened.as_ref().ok().and_then(|engine| engine.examine_shard(&shard).ok());
            left.extend(report.map(|report| (shard, reports::left(report))));
        }
        diagnoses.push((place.name, diagnosis));
    }
    let mut response = reports::diagnosis(diagnoses);
    if let Some(of_registry) = response.findings.first_mut().filter(|_| is_without_registry) {
        // Which index is whose is nowhere else.
        of_registry.repairable = false;
    }
    for finding in &mut response.findings {
        let of_shard = left.iter().find(|(shard, _)| finding.shard.as_ref() == Some(shard));
        finding.left = of_shard.map(|(_, left)| left.clone());
    }
    response
}

fn unreadable(message: String) -> Diagnosis {
    let finding = Finding { kind: FindingKind::Unreadable, tenant: None, shard: None, message };
    Diagnosis { tenants: 0, namespaces: 0, findings: vec![finding] }
}

/// Without what background threads would do meanwhile.
fn only_to_look(settings: &EngineSettings) -> EngineSettings {
    let mut settings = settings.clone();
    settings.scrub_period = None;
    let options = &mut settings.shard_options;
    (options.seal_bytes, options.quiet_seal_bytes, options.merge_fan_in) =
        (usize::MAX, usize::MAX, usize::MAX);
    (options.graph_rows_min, options.coded_whole_rows_min) = (u32::MAX, u32::MAX);
    (options.dead_share_max, options.erasure) = (f64::INFINITY, None);
    settings
}

fn of_original(mirror: &Mirror, mut response: DoctorResponse) -> DoctorResponse {
    for finding in &mut response.findings {
        finding.message = mirror.of_original(&finding.message);
        let problems = finding.left.iter_mut().flat_map(|left| &mut left.problems);
        problems.for_each(|problem| *problem = mirror.of_original(problem));
    }
    response
}

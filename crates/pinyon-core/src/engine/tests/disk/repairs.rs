//! Repairs on the fault disk: a power cut at any moment of one leaves what can be repaired again, and nothing of what was well is lost.

use super::{
    oracle::State,
    workload::{DIR, Life, SHARDS, environment, open, record, settings},
};
use crate::{Assignment, Change, Engine, EngineError};
use pinyon_storage::io::{FaultDisk, Io, Keep};
use pinyon_types::{SeededRng, ShardId, TenantId};
use std::{collections::BTreeMap, path::Path};

const DAMAGED: &str = "tenant-shard-1";
const PLACE: &str = "/data/shards/shard-0001";

type Contents = BTreeMap<String, State>;

/// What every tenant has, and where it lives.
fn contents(engine: &Engine) -> Contents {
    let of = |(tenant, home): (TenantId, Assignment)| {
        (tenant.to_string(), State::of(engine, tenant.as_str(), Some(home.shard)))
    };
    engine.tenants().into_iter().map(of).collect()
}

/// Whether a tenant lives on the shard that is damaged.
fn is_hit(state: &State) -> bool {
    state.assigned == Some(ShardId::new(1))
}

/// A disk with an engine on it that has records on every shard, and what these are.
fn made() -> (FaultDisk, Contents) {
    let disk = FaultDisk::new();
    Life::of(&disk, 11, 80);
    let (engine, mut rng) = (open(&disk).unwrap(), SeededRng::new(2));
    for shard in 0..SHARDS {
        let (tenant, records) = (format!("of-{shard}"), (0..9).map(|_| record(&mut rng)).collect());
        engine.assign(&tenant, shard).unwrap();
        engine.write(&tenant, Change::Upsert(records)).unwrap();
    }
    let had = contents(&engine);
    engine.close().unwrap();
    (disk, had)
}

fn diagnose(disk: &FaultDisk) -> Result<Engine, EngineError> {
    Engine::open_to_diagnose(Path::new(DIR), settings(&environment(disk)))
}

/// The disk with a file that is not what was written.
fn damaged(disk: &FaultDisk, file: &str) -> FaultDisk {
    let image = disk.crash_image(disk.op_count(), Keep::Everything);
    image.remove(Path::new(file)).unwrap();
    image.put(Path::new(file), vec![7; 300]);
    image.crash_image(0, Keep::Everything)
}

/// Repairs a disk, and again what a cut at every moment of that leaves. Says how many there were.
fn repair_and_cut(
    disk: &FaultDisk,
    repair: impl Fn(&FaultDisk) -> Result<(), EngineError>,
    check: impl Fn(&Engine, &str),
) -> usize {
    repair(disk).unwrap();
    check(&open(disk).unwrap(), "whole");
    let repaired = disk.op_count();
    for at in 0..=repaired {
        for keep in [Keep::Nothing, Keep::Everything, Keep::Random { seed: at as u64 }] {
            let (image, context) = (disk.crash_image(at, keep), format!("cut at {at}, {keep:?}"));
            let is_well = |engine: &Engine| engine.quarantined().is_empty();
            if !open(&image).is_ok_and(|engine| is_well(&engine)) {
                repair(&image).unwrap_or_else(|error| panic!("{context}: {error}"));
            }
            let engine = open(&image).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert!(is_well(&engine), "{context}: {:?}", engine.quarantined());
            check(&engine, &context);
        }
    }
    repaired
}

#[test]
fn a_shard_that_is_dropped_is_dropped_or_kept_out_after_any_cut() {
    let (disk, had) = made();
    let disk = damaged(&disk, "/data/shards/shard-0001/MANIFEST");
    let drop_it = |disk: &FaultDisk| diagnose(disk)?.drop_shard(DAMAGED).map(drop);
    let check = |engine: &Engine, context: &str| {
        for (tenant, state) in &had {
            let lost = State { records: BTreeMap::new(), ..state.clone() };
            let expected = if is_hit(state) { &lost } else { state };
            assert_eq!(State::of(engine, tenant, state.assigned), *expected, "{context}: {tenant}");
        }
        let io = engine.inner.settings.environment.io();
        let aside = io.list_dirs(Path::new("/data/dropped")).unwrap();
        let has_log = |dir: &String| {
            let files = io.list(&Path::new("/data/dropped").join(dir)).unwrap();
            files.iter().any(|file| file.contains(".seg") || file.contains("wal"))
        };
        assert!(aside.iter().any(has_log), "{context}: the files that were set aside are there: {aside:?}");
    };
    assert!(repair_and_cut(&disk, drop_it, check) > 10);
}

#[test]
fn a_shard_that_is_salvaged_is_salvaged_or_kept_out_after_any_cut() {
    let (disk, had) = made();
    let disk = damaged(&disk, "/data/shards/shard-0001/MANIFEST");
    let salvage = |disk: &FaultDisk| diagnose(disk)?.salvage_shard(DAMAGED).map(drop);
    let whole = disk.crash_image(0, Keep::Everything);
    salvage(&whole).unwrap();
    let saved = contents(&open(&whole).unwrap());
    let kept = |state: &State| is_hit(state) && !state.records.is_empty();
    assert!(saved.values().any(kept), "a salvage that saves nothing proves nothing");
    let check = |engine: &Engine, context: &str| {
        let found = contents(engine);
        assert_eq!(found, saved, "{context}");
        let others = had.iter().filter(|(_, state)| !is_hit(state));
        others.for_each(|(tenant, state)| assert_eq!(found.get(tenant), Some(state), "{context}: {tenant}"));
    };
    assert!(repair_and_cut(&disk, salvage, check) > 10);
    assert!(disk.is_dir(Path::new(PLACE)).unwrap());
}

#[test]
fn a_routing_table_that_is_rebuilt_is_rebuilt_or_refused_after_any_cut() {
    let (disk, had) = made();
    let disk = damaged(&disk, "/data/catalog/file/entries");
    let refused = open(&disk).unwrap_err();
    assert!(refused.message.contains("--repair"), "{refused}");
    let repair = |disk: &FaultDisk| {
        let engine = Engine::open_for_repair(Path::new(DIR), settings(&environment(disk)))?;
        engine.repair()?;
        engine.close()
    };
    let check = |engine: &Engine, context: &str| {
        for (tenant, state) in had.iter().filter(|(_, state)| !state.records.is_empty()) {
            let found = State::of(engine, tenant, state.assigned);
            assert_eq!(
                (&found.records, found.assigned),
                (&state.records, state.assigned),
                "{context}: {tenant}"
            );
        }
        assert!(engine.diagnose().findings.is_empty(), "{context}");
    };
    assert!(repair_and_cut(&disk, repair, check) > 10);
}

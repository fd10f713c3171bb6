//! Saving what is left of a shard that is kept out: it is served again, under the same name, and a salvage that was cut off goes on.

use super::*;
use pinyon_types::ShardId;
use std::path::Path;

const SHARD: &str = "tenant-shard-1";

/// An engine whose records are in segments, ended.
fn filled(name: &str) -> PathBuf {
    filled_with(name, 12)
}

fn filled_with(name: &str, tenants: u32) -> PathBuf {
    let dir = scratch(name);
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, tenants, 30);
    assert!(engine.settle(Duration::from_secs(60), &mut |_| ()).unwrap());
    engine.close().unwrap();
    dir
}

fn records(engine: &Engine, shard: u32) -> u64 {
    let here = engine.tenants().into_iter().filter(|(_, one)| one.shard == ShardId::new(shard));
    here.map(|(tenant, _)| super::records(engine, tenant.as_str())).sum()
}

fn served(dir: &Path) -> [u64; 4] {
    let engine = Engine::open(dir, settings()).unwrap();
    assert!(engine.quarantined().is_empty() && engine.diagnose().findings.is_empty());
    let served = [0, 1, 2, 3].map(|shard| records(&engine, shard));
    engine.close().unwrap();
    served
}

#[test]
fn without_a_manifest_everything_that_is_in_the_files_is_saved() {
    let dir = filled("salvage-manifest");
    let before = served(&dir);
    let manifest = dir.join("shards/shard-0001/MANIFEST");
    std::fs::write(&manifest, [0; 100]).unwrap();
    let engine = Engine::open_to_diagnose(&dir, settings()).unwrap();
    let report = engine.examine_shard(SHARD).unwrap();
    assert_eq!((report.kept(), report.lost(), report.unknown), (before[1], 0, 0), "{report:?}");
    let salvaged = engine.salvage_shard(SHARD).unwrap();
    assert_eq!(salvaged.report.as_ref(), Some(&report));
    assert!(salvaged.aside.unwrap().join("SALVAGE.txt").exists());
    engine.close().unwrap();
    drop(engine);
    // Twice: what is known from outside grew with the new shard.
    assert_eq!(served(&dir), before);
    assert_eq!(served(&dir), before);
    let engine = Engine::open(&dir, settings()).unwrap();
    engine.write("tenant-000", Change::DeleteAll).unwrap();
    assert!(engine.examine_shard(SHARD).unwrap_err().message.contains("is not a shard that is quarantined"));
}

/// Cut off where the old files are set aside and the new ones are not in their place.
#[test]
fn a_salvage_that_was_cut_off_goes_on() {
    let dir = filled("salvage-cut");
    let before = served(&dir);
    let (place, ready) = (dir.join("shards/shard-0001"), dir.join("repair/shard-0001"));
    std::fs::write(place.join("MANIFEST"), [0; 100]).unwrap();
    let salvage = || {
        let engine = Engine::open_to_diagnose(&dir, settings()).unwrap();
        let salvaged = engine.salvage_shard(SHARD);
        engine.close().unwrap();
        salvaged
    };
    salvage().unwrap();
    std::fs::rename(&place, &ready).unwrap();
    let salvaged = salvage().unwrap();
    assert!(salvaged.report.is_none() && salvaged.aside.is_none());
    assert_eq!(served(&dir), before);
    // What was being written is begun anew.
    std::fs::write(place.join("MANIFEST"), [0; 100]).unwrap();
    std::fs::create_dir_all(dir.join("repair/shard-0001.making")).unwrap();
    std::fs::write(dir.join("repair/shard-0001.making/MANIFEST"), b"half").unwrap();
    salvage().unwrap();
    assert_eq!(served(&dir), before);
}

#[test]
fn files_of_another_shard_and_nothing_at_all_are_not_saved() {
    let dir = filled("salvage-foreign");
    let (one, two) = (dir.join("shards/shard-0001"), dir.join("shards/shard-0002"));
    let away = dir.join("away");
    std::fs::rename(&one, &away).unwrap();
    let salvage = || {
        let engine = Engine::open_to_diagnose(&dir, settings()).unwrap();
        engine.salvage_shard(SHARD).unwrap_err()
    };
    assert!(salvage().message.contains("nothing was changed"));
    std::fs::create_dir(&one).unwrap();
    for entry in std::fs::read_dir(&two).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, one.join(path.file_name().unwrap())).unwrap();
    }
    let refused = salvage();
    assert!(refused.message.contains("shard"), "{refused}");
    assert!(!dir.join("dropped").exists() && one.join("MANIFEST").exists());
    std::fs::remove_dir_all(&one).unwrap();
    std::fs::rename(&away, &one).unwrap();
    assert!(served(&dir)[1] > 0);
}

/// Whoever only looks at data lets nothing be sealed or merged: a salvage does both, or it would hold all that it saves in memory and be
/// refused by its own memtable.
#[test]
fn a_salvage_seals_though_whoever_asks_for_it_only_looks() {
    let dir = filled_with("salvage-large", 40);
    let before = served(&dir);
    std::fs::write(dir.join("shards/shard-0001/MANIFEST"), [0; 100]).unwrap();
    let mut looking = settings();
    (looking.shard_options.seal_bytes, looking.shard_options.backlog_bytes_max) = (usize::MAX, 1_000);
    let engine = Engine::open_to_diagnose(&dir, looking).unwrap();
    assert_eq!(engine.salvage_shard(SHARD).unwrap().report.unwrap().kept(), before[1]);
    engine.close().unwrap();
    drop(engine);
    assert_eq!(served(&dir), before);
}

//! Files that are changed while the engine is open: the shard is kept out soon, everything else is served, and when its files are back it
//! is served again without a restart.

use super::*;
use crate::QuarantineReason;
use pinyon_types::{Record, ShardId, Vector};
use std::{fs, os::unix::fs::FileExt, path::Path, time::Duration};

/// An engine whose records are in segments.
fn sealed(name: &str) -> (PathBuf, Engine) {
    let dir = scratch(name);
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, 12, 3);
    assert!(engine.settle(Duration::from_secs(60), &mut |_| ()).unwrap());
    (dir, engine)
}

fn segment_of(dir: &Path, shard: u32) -> PathBuf {
    let dir = dir.join(format!("shards/shard-{shard:04}"));
    let mut names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    names.find(|path| path.extension().is_some_and(|ending| ending == "seg")).unwrap()
}

/// Waits for what a look finds that comes each second.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1_500 {
        if is_so() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("{what}: not within half a minute");
}

#[test]
fn a_shard_whose_file_is_changed_is_kept_out_while_others_are_served_and_comes_back() {
    let (dir, engine) = sealed("scrub-changed");
    let path = segment_of(&dir, 1);
    let whole = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[whole[500] ^ 0x40], 500).unwrap();
    wait_until("a shard is kept out", || !engine.quarantined().is_empty());
    let found = engine.quarantined().pop().unwrap();
    assert_eq!((found.shard, found.quarantine.reason), (ShardId::new(1), QuarantineReason::Damaged));
    let problem = &found.quarantine.problem;
    assert!(problem.contains("shards/shard-0001/segment-") && !problem.starts_with('/'), "{problem}");
    assert_eq!(engine.scrubbed().quarantined, 1);
    let id = [RecordId::new("d0").unwrap()];
    for (tenant, assignment) in engine.tenants() {
        let fetched = engine.tenant(tenant.as_str()).unwrap().fetch(&id);
        let deleted = engine.write(tenant.as_str(), Change::DeleteIds(id.to_vec()));
        if assignment.shard == ShardId::new(1) {
            assert_eq!(fetched.unwrap_err().code, ErrorCode::Quarantined);
            assert_eq!(deleted.unwrap_err().code, ErrorCode::Quarantined);
        } else {
            assert_eq!(fetched.unwrap().len(), 1);
            deleted.unwrap();
        }
    }
    // Damaged still.
    assert_eq!(engine.reopen("tenant-shard-1").unwrap_err().code, ErrorCode::Quarantined);
    file.write_all_at(&whole, 0).unwrap();
    assert!(engine.reopen("tenant-shard-1").unwrap().was_opened);
    assert!(engine.quarantined().is_empty());
    for (tenant, assignment) in engine.tenants() {
        let left = engine.tenant(tenant.as_str()).unwrap().fetch(&id).unwrap().len();
        assert_eq!(left, usize::from(assignment.shard == ShardId::new(1)));
        engine.write(tenant.as_str(), Change::DeleteAll).unwrap();
    }
    engine.close().unwrap();
    drop(engine);
    let engine = Engine::open(&dir, settings()).unwrap();
    assert!(
        engine.tenants().iter().all(|(tenant, _)| engine
            .tenant(tenant.as_str())
            .unwrap()
            .count(None)
            .unwrap()
            == 0)
    );
}

#[test]
fn a_file_that_is_removed_is_written_again_and_nobody_notices() {
    let (dir, engine) = sealed("scrub-removed");
    let path = segment_of(&dir, 2);
    fs::remove_file(&path).unwrap();
    wait_until("the file is written again", || engine.scrubbed().mended > 0);
    assert!(engine.quarantined().is_empty());
    let count = |engine: &Engine| {
        engine.tenants().iter().map(|(tenant, _)| records(engine, tenant.as_str())).sum::<u64>()
    };
    assert_eq!(count(&engine), 36);
    engine.close().unwrap();
    drop(engine);
    let engine = Engine::open(&dir, settings()).unwrap();
    assert!(engine.quarantined().is_empty());
    assert_eq!(count(&engine), 36);
}

/// Also where the file system says that nothing was changed.
#[test]
fn a_pass_reads_every_byte_of_the_segments() {
    let dir = scratch("scrub-pass");
    let settings = EngineSettings { scrub_period: Some(Duration::from_hours(1)), ..settings() };
    let engine = Engine::open(&dir, settings.clone()).unwrap();
    fill(&engine, 12, 3);
    engine.close().unwrap();
    drop(engine);
    let engine = Engine::open(&dir, settings).unwrap();
    assert!(engine.settle(Duration::from_secs(60), &mut |_| ()).unwrap());
    wait_until("a pass has begun", || engine.scrubbed().bytes > 0);
    assert!(engine.quarantined().is_empty() && engine.scrubbed().mended == 0);
}

/// Engines that are opened and dropped while the thread looks let go of their directories.
#[test]
fn an_engine_that_is_dropped_lets_go_of_its_directory_at_once() {
    let dir = scratch("scrub-dropped");
    for _ in 0..30 {
        drop(Engine::open(&dir, settings()).unwrap());
    }
}

/// Where nobody reads the damage, and the start did not.
#[test]
fn what_nobody_reads_is_verified_soon_after_the_start() {
    let (dir, engine) = sealed("scrub-first-read");
    let (tenant, assignment) = engine.tenants().into_iter().next().unwrap();
    let text = MetadataValue::String("x".repeat(30_000));
    let long = |at: u32| Record {
        id: RecordId::new(&format!("long-{at:03}")).unwrap(),
        vector: Vector::new(vec![1.0; settings().dim.as_usize()], settings().dim).unwrap(),
        sparse: None,
        metadata: Metadata::new([("text".to_owned(), text.clone())].into_iter().collect()).unwrap(),
    };
    engine.write(tenant.as_str(), Change::Upsert((0..20).map(long).collect())).unwrap();
    assert!(engine.settle(Duration::from_secs(60), &mut |_| ()).unwrap());
    engine.close().unwrap();
    drop(engine);
    let shard = assignment.shard;
    let path = segment_of(&dir, shard.get());
    let whole = fs::read(&path).unwrap();
    let at = whole.len() / 2;
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[whole[at] ^ 1], at as u64).unwrap();
    let settings = EngineSettings { verified_at_start: 0, ..settings() };
    let engine = Engine::open_to_diagnose(&dir, settings.clone()).unwrap();
    assert_eq!(engine.quarantined().len(), 1, "who looks for damage reads everything at once");
    drop(engine);
    let engine = Engine::open(&dir, settings).unwrap();
    assert!(engine.quarantined().is_empty(), "the start reads none of it");
    wait_until("a shard is kept out", || !engine.quarantined().is_empty());
    let found = engine.quarantined().pop().unwrap();
    assert_eq!((found.shard, found.quarantine.reason), (shard, QuarantineReason::Damaged));
    assert!(found.quarantine.problem.contains("segment-"), "{}", found.quarantine.problem);
    let name = found.index_name;
    assert_eq!(engine.reopen(&name).unwrap_err().code, ErrorCode::Quarantined, "it is damaged still");
    file.write_all_at(&[whole[at]], at as u64).unwrap();
    assert!(engine.reopen(&name).unwrap().was_opened);
    assert_eq!(
        engine.tenant(tenant.as_str()).unwrap().fetch(&[RecordId::new("long-010").unwrap()]).unwrap().len(),
        1
    );
}

//! Erasure of a tenant as a whole: records, name, place; beside others, twice, under writers, with files that are kept out.

use super::*;
use crate::catalog::files_with;
use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

fn put(engine: &Engine, tenant: &str, id: &str, text: &str) {
    engine.ingest(tenant, vec![document(id, text, 1.0)]).unwrap();
}

#[test]
fn an_erased_tenant_is_in_no_file_and_the_others_are_as_they_were() {
    let dir = scratch("erase");
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, 12, 10);
    engine.declare_namespace("canary-tenant", vec!["canary-field".into()]).unwrap();
    for round in 0..3 {
        put(&engine, "canary-tenant", &format!("canary-id-{round}"), "canary-text beer");
        put(&engine, "canary-tenant", "again", &format!("canary-text {round}"));
        engine.settle(Duration::from_secs(60), &mut |_| ()).unwrap();
    }
    put(&engine, "canary-tenant", "last", "canary-text in the log");
    let placed = engine.lookup("canary-tenant").unwrap().unwrap();
    let places: Vec<_> =
        engine.tenants().into_iter().filter(|(name, _)| name.as_str() != "canary-tenant").collect();
    assert!(files_with(&dir, "canary-").len() > 2);

    let report = engine.erase("canary-tenant").unwrap();
    assert_eq!((report.was_known, report.records, report.is_held_by_readers), (true, 5, false));
    assert!(report.segments > 0 && report.not_touched.is_empty(), "{report:?}");
    assert_eq!(files_with(&dir, "canary-"), Vec::<PathBuf>::new());
    assert_eq!(engine.lookup("canary-tenant").unwrap(), None);
    assert_eq!(records(&engine, "canary-tenant"), 0);
    assert_eq!(engine.tenants(), places);
    assert_eq!(records(&engine, "tenant-003"), 10);
    // Twice, and of a name that nobody ever had.
    for name in ["canary-tenant", "canary-nobody"] {
        let again = engine.erase(name).unwrap();
        assert_eq!((again.was_known, again.records, again.segments), (false, 0, 0));
    }
    assert!(engine.erase("").is_err());
    assert_eq!(files_with(&dir, "canary-"), Vec::<PathBuf>::new());
    // Who writes to the name again is another tenant.
    put(&engine, "canary-tenant", "new", "beer");
    assert!(engine.lookup("canary-tenant").unwrap().unwrap().namespace > placed.namespace);
    drop(engine);
    let engine = Engine::open(&dir, settings()).unwrap();
    assert_eq!((records(&engine, "canary-tenant"), records(&engine, "tenant-003")), (1, 10));
    drop(engine);
    remove(&dir);
}

#[test]
fn a_write_beside_an_erasure_is_there_or_was_erased_and_never_lost_from_sight() {
    let dir = scratch("erase-beside");
    let engine = Engine::open(&dir, settings()).unwrap();
    let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if is_over.load(Ordering::Acquire) {
                    return;
                }
                let documents = vec![document(&format!("d{number}"), "beer", 1.0)];
                match engine.ingest("busy", documents) {
                    Ok(_) => written.store(number, Ordering::Release),
                    Err(error) => assert_eq!(error.code, ErrorCode::Overloaded, "{error}"),
                }
            }
        });
        for _ in 0..20 {
            let before = written.load(Ordering::Acquire);
            while written.load(Ordering::Acquire) < before + 3 {
                std::thread::yield_now();
            }
            match engine.erase("busy") {
                Ok(_) => {}
                Err(error) => assert!(error.message.contains("being written to"), "{error}"),
            }
        }
        is_over.store(true, Ordering::Release);
    });
    // The last one that was answered after the last erasure is there, and nothing is that no route leads to.
    engine.ingest("busy", vec![document("end", "beer", 1.0)]).unwrap();
    let seen = records(&engine, "busy");
    let stored: u64 = engine.shards().iter().map(|shard| shard.stats.records).sum();
    assert_eq!(seen, stored, "every record that a shard holds is its tenant's");
    assert!(engine.diagnose().findings.is_empty(), "{:?}", engine.diagnose());
    drop(engine);
    remove(&dir);
}

#[test]
fn what_is_kept_out_is_named_and_not_touched() {
    let dir = scratch("erase-kept-out");
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, 12, 3);
    let victim = engine.lookup("tenant-001").unwrap().unwrap().shard;
    let elsewhere = engine.tenants().into_iter().find(|(_, one)| one.shard != victim).unwrap().0;
    drop(engine);
    let manifest = dir.join("shards").join(format!("shard-{:04}", victim.get())).join("MANIFEST");
    let mut bytes = fs::read(&manifest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&manifest, bytes).unwrap();
    let engine = Engine::open(&dir, settings()).unwrap();
    let refused = engine.erase("tenant-001").unwrap_err();
    assert_eq!(refused.code, ErrorCode::Quarantined, "{refused}");
    assert!(engine.lookup("tenant-001").unwrap().is_some(), "nothing was changed");
    let report = engine.erase(elsewhere.as_str()).unwrap();
    assert_eq!(report.records, 3);
    assert_eq!(report.not_touched, vec![manifest.parent().unwrap().to_owned()]);
    drop(engine);
    remove(&dir);
}

#[test]
fn a_write_beside_an_assignment_of_an_empty_tenant_is_never_lost_from_sight() {
    let dir = scratch("assign-beside");
    let engine = Engine::open(&dir, settings()).unwrap();
    engine.assign("busy", 0).unwrap();
    let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut moved = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if is_over.load(Ordering::Acquire) {
                    return;
                }
                put(&engine, "busy", &format!("d{number}"), "beer");
                assert_eq!(records(&engine, "busy"), 1, "an answered write is there");
                engine.write("busy", Change::DeleteAll).unwrap();
                written.store(number, Ordering::Release);
            }
        });
        for round in 0..400 {
            std::thread::park_timeout(Duration::from_millis(2));
            match engine.assign("busy", round % 4) {
                Ok(_) => moved += 1,
                Err(error) => assert!(error.message.contains("would lose sight"), "{error}"),
            }
        }
        is_over.store(true, Ordering::Release);
    });
    assert!(moved > 100 && written.load(Ordering::Acquire) > 20, "{moved} {written:?}");
    let stored: u64 = engine.shards().iter().map(|shard| shard.stats.records).sum();
    assert_eq!(stored, records(&engine, "busy"));
    drop(engine);
    remove(&dir);
}

//! Files that are whole and not those that belong in their place: of another index, of another shard, of an earlier day.

use super::*;
use crate::{
    QuarantineReason::{self, Damaged, Foreign, Stale},
    catalog::{AssignRequest, Pin},
};
use pinyon_types::{ShardId, TenantId};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A copy of a file or a directory, in the place of what is there.
fn put(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        put(&path, &to.join(path.file_name().unwrap()));
    }
}

/// An engine with records of tenants, some sealed; closed, or as a killed process leaves it.
fn made(name: &str, is_closed: bool) -> PathBuf {
    let dir = scratch(name);
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, 12, 3);
    engine.settle(std::time::Duration::from_secs(60), &mut |_| ()).unwrap();
    fill(&engine, 12, 5);
    if is_closed {
        engine.close().unwrap();
    }
    dir
}

/// Why each shard is kept out that is.
fn kept_out(dir: &Path) -> Vec<(u32, QuarantineReason)> {
    let engine = Engine::open(dir, settings()).unwrap();
    let kept_out = engine.quarantined();
    for tenant in (0..12).map(|tenant| format!("tenant-{tenant:03}")) {
        match engine.tenant(&tenant).and_then(|tenant| tenant.count(None)) {
            Ok(count) => assert_eq!(count, 5, "{tenant}"),
            Err(error) => assert_eq!(error.code, ErrorCode::Quarantined, "{error}"),
        }
    }
    kept_out.iter().map(|one| (one.shard.get(), one.quarantine.reason)).collect()
}

fn logs(dir: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut logs: Vec<PathBuf> =
        names.filter(|path| path.extension().is_some_and(|ext| ext == "log")).collect();
    logs.sort();
    logs
}

const SHARD: &str = "shards/shard-0001";

#[test]
fn what_another_index_of_the_same_shape_wrote_is_kept_out() {
    for is_closed in [true, false] {
        let (dir, other) = (made("names-own", is_closed), made("names-other", is_closed));
        let whole = scratch("names-whole");
        put(&dir, &whole);
        let manifest = format!("{SHARD}/MANIFEST");
        for (swapped, expected) in [(SHARD, vec![1]), (&manifest, vec![1]), ("catalog", vec![0, 1, 2, 3])] {
            put(&other.join(swapped), &dir.join(swapped));
            for _ in 0..2 {
                let expected: Vec<_> = expected.iter().map(|shard| (*shard, Foreign)).collect();
                assert_eq!(kept_out(&dir), expected, "{swapped}, closed: {is_closed}");
            }
            put(&whole, &dir);
        }
        for own in logs(&dir.join(SHARD)) {
            let foreign = logs(&other.join(SHARD)).pop().unwrap();
            fs::copy(foreign, &own).unwrap();
            let [(1, reason)] = kept_out(&dir)[..] else { panic!("{}", own.display()) };
            assert!(matches!(reason, Foreign | Damaged), "{reason:?}");
            put(&whole, &dir);
        }
        // A catalog of another index is made anew by a repair.
        put(&other.join("catalog"), &dir.join("catalog"));
        let engine = Engine::open_for_repair(&dir, settings()).unwrap();
        assert!(engine.repair().unwrap().1.findings.is_empty());
        engine.close().unwrap();
        drop(engine);
        assert_eq!(kept_out(&dir), []);
        put(&whole, &dir);
        put(&dir.join("shards/shard-0002"), &dir.join(SHARD));
        assert_eq!(kept_out(&dir), [(1, Foreign)]);
        put(&whole, &dir);
        assert_eq!(kept_out(&dir), []);
        [dir, other, whole].iter().for_each(|dir| remove(dir));
    }
}

#[test]
fn what_went_back_to_an_earlier_day_is_kept_out_until_somebody_takes_it() {
    for is_closed in [true, false] {
        let dir = made("names-stale", is_closed);
        let old = scratch("names-old");
        put(&dir, &old);
        let engine = Engine::open(&dir, settings()).unwrap();
        fill(&engine, 12, 5);
        if is_closed {
            engine.close().unwrap();
        }
        drop(engine);
        let whole = scratch("names-new");
        put(&dir, &whole);
        for (file, expected) in [(SHARD.to_owned(), Stale), (format!("{SHARD}/MANIFEST"), Stale)] {
            put(&old.join(&file), &dir.join(&file));
            for _ in 0..2 {
                assert_eq!(kept_out(&dir), [(1, expected)], "{file}");
            }
            put(&whole, &dir);
        }
        // A witness of an earlier day, or none, raises no alarm.
        put(&old.join("WITNESS"), &dir.join("WITNESS"));
        assert_eq!(kept_out(&dir), []);
        fs::remove_file(dir.join("WITNESS")).unwrap();
        assert_eq!(kept_out(&dir), []);
        put(&whole, &dir);
        put(&old.join(SHARD), &dir.join(SHARD));
        let engine = Engine::open_to_diagnose(&dir, settings()).unwrap();
        assert!(engine.accept_older("tenant-shard-2").is_err());
        assert_eq!(engine.accept_older("tenant-shard-1").unwrap().index_name, "tenant-shard-1");
        engine.close().unwrap();
        drop(engine);
        assert_eq!(kept_out(&dir), []);
        [dir, old, whole].iter().for_each(|dir| remove(dir));
    }
}

#[test]
fn a_catalog_of_an_earlier_day_is_refused_and_a_repair_takes_it() {
    let dir = scratch("names-catalog");
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, 5, 5);
    engine.close().unwrap();
    drop(engine);
    let old = scratch("names-catalog-old");
    put(&dir, &old);
    let engine = Engine::open(&dir, settings()).unwrap();
    // Placed, and never written to: no shard knows of it.
    let (tenant, shard) = (TenantId::new("quiet").unwrap(), ShardId::new(0));
    engine.inner.routing.assign(vec![AssignRequest { tenant, shard, pin: Pin::Explicit }]).unwrap();
    engine.close().unwrap();
    drop(engine);
    put(&old.join("catalog"), &dir.join("catalog"));
    let refused = Engine::open(&dir, settings()).map(drop).unwrap_err();
    assert!(refused.code == ErrorCode::DataDamaged && refused.message.contains("rolled back"), "{refused}");
    for _ in 0..2 {
        let engine = Engine::open_for_repair(&dir, settings()).unwrap();
        engine.repair().unwrap();
        engine.close().unwrap();
    }
    let engine = Engine::open(&dir, settings()).unwrap();
    assert_eq!(records(&engine, "tenant-003"), 5);
    drop(engine);
    [dir, old].iter().for_each(|dir| remove(dir));
}

#[test]
fn the_end_of_a_log_that_somebody_was_told_of_is_never_cut() {
    for is_closed in [true, false] {
        let dir = made("names-tail", is_closed);
        let whole = scratch("names-tail-whole");
        put(&dir, &whole);
        let last = logs(&dir.join(SHARD)).pop().unwrap();
        let bytes = fs::read(&last).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        // The closing frame says nothing that anybody was told.
        let end = if is_closed { used - 32 } else { used };
        for cut in [end - 1, end - 40, end / 2, 64] {
            for filled in [0, bytes.len() - cut] {
                fs::write(&last, [&bytes[..cut], &vec![0; filled]].concat()).unwrap();
                assert_eq!(kept_out(&dir), [(1, Damaged)], "cut at {cut} of {end}, {filled} zeros");
                put(&whole, &dir);
            }
        }
        [dir, whole].iter().for_each(|dir| remove(dir));
    }
}

#[test]
fn a_shard_that_was_given_up_does_not_come_back_in_the_place_of_the_new_one() {
    let dir = made("names-dropped", true);
    let manifest = dir.join(SHARD).join("MANIFEST");
    let bytes = fs::read(&manifest).unwrap();
    fs::write(&manifest, &bytes[1..]).unwrap();
    let engine = Engine::open_to_diagnose(&dir, settings()).unwrap();
    let aside = engine.drop_shard("tenant-shard-1").unwrap().aside.unwrap();
    engine.close().unwrap();
    drop(engine);
    fs::write(aside.join("MANIFEST"), &bytes).unwrap();
    put(&aside, &dir.join(SHARD));
    let engine = Engine::open(&dir, settings()).unwrap();
    let [one] = engine.quarantined().try_into().unwrap();
    assert_eq!(one.quarantine.reason, Foreign);
    drop(engine);
    remove(&dir);
}

#[test]
fn a_later_format_is_refused_and_no_byte_changed() {
    let dir = made("names-format", true);
    crate::engine::write_format(&crate::system_io(), &dir).unwrap();
    let format = dir.join("FORMAT");
    let now = fs::read_to_string(&format).unwrap();
    assert!(now.contains("format 2"), "{now}");
    let later = now.replace("format 2", "format 4").replace(env!("CARGO_PKG_VERSION"), "7.1.0");
    fs::write(&format, later).unwrap();
    let before = newest(&dir);
    let refused = Engine::open(&dir, settings()).map(drop).unwrap_err();
    assert!(refused.message.contains("format 4, which needs pinyon 7.1.0"), "{refused}");
    fs::write(&format, now.replace("format", "formal")).unwrap();
    let refused = Engine::open(&dir, settings()).map(drop).unwrap_err();
    assert!(refused.message.contains("FORMAT does not say"), "{refused}");
    fs::remove_file(&format).unwrap();
    assert_eq!(newest(&dir), before);
    assert_eq!(kept_out(&dir), []);
    remove(&dir);
}

/// When a file in a directory was changed last, but for its format.
fn newest(dir: &Path) -> std::time::SystemTime {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let others = entries.filter(|path| !path.ends_with("FORMAT"));
    let changed = |path: PathBuf| {
        if path.is_dir() { newest(&path) } else { path.metadata().unwrap().modified().unwrap() }
    };
    others.map(changed).max().unwrap_or(std::time::UNIX_EPOCH)
}

/// A table that went back to an earlier state has an earlier epoch than the shards have seen, and giving it names does not change that.
#[test]
fn names_do_not_carry_a_table_that_went_back_over_what_the_shards_have_seen() {
    let dir = scratch("names-epoch");
    let engine = Engine::open(&dir, settings()).unwrap();
    let before = engine.inner.routing.epoch();
    let identity = engine.inner.routing.identity().unwrap();
    for _ in 0..5 {
        engine.inner.routing.store_identity(&identity).unwrap();
    }
    assert_eq!(engine.inner.routing.epoch(), before);
    engine.close().unwrap();
    drop(engine);
    let engine = Engine::open(&dir, settings()).unwrap();
    assert_eq!(engine.inner.routing.epoch(), before);
    drop(engine);
    remove(&dir);
}

/// A catalog of the version before names, put back beside shards that have some.
#[test]
fn a_catalog_without_names_beside_shards_that_have_some_went_back() {
    let dir = made("names-unnamed", true);
    let old = scratch("names-unnamed-old");
    drop(crate::catalog::RoutingTable::open(&empty(&old.join("catalog")), crate::CatalogKind::Sled).map(
        |table| {
            table.store_settings(&settings().stored()).unwrap();
        },
    ));
    put(&old.join("catalog"), &dir.join("catalog"));
    fs::remove_file(dir.join("WITNESS")).unwrap();
    for _ in 0..2 {
        let refused = Engine::open(&dir, settings()).map(drop).unwrap_err();
        assert!(refused.code == ErrorCode::DataDamaged && refused.message.contains("no names"), "{refused}");
    }
    [dir, old].iter().for_each(|dir| remove(dir));
}

fn empty(dir: &Path) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    dir.to_owned()
}

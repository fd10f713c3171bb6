//! One suite for all stores: what they keep, what a killed process leaves, and what damage does.

use super::*;
use pinyon_types::{Epoch, NamespaceId, SeededRng, ShardId, TenantId};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const KINDS: [CatalogKind; 3] = [CatalogKind::Sled, CatalogKind::Redb, CatalogKind::File];

fn scratch(name: &str, kind: CatalogKind) -> PathBuf {
    let dir =
        std::env::temp_dir().join(format!("pinyon-catalog-{}-{name}-{}", std::process::id(), kind.name()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn request(number: u64, shard: u32, pin: Pin) -> AssignRequest {
    let tenant = TenantId::new(&format!("tenant \"{number}\"")).unwrap();
    AssignRequest { tenant, shard: ShardId::new(shard), pin }
}

fn requests(numbers: std::ops::Range<u64>) -> Vec<AssignRequest> {
    numbers.map(|number| request(number, number as u32 % 4, Pin::Placed)).collect()
}

fn settings() -> StoredSettings {
    StoredSettings {
        shards: 4,
        dimension: 384,
        metric: "cosine".into(),
        placement: "mmh3".into(),
        embedder: "hash-v1/384".into(),
    }
}

fn name(number: u64) -> String {
    format!("tenant \"{number}\"")
}

#[test]
fn assignments_and_settings_are_there_after_a_reopen() {
    for kind in KINDS {
        let dir = scratch("reopen", kind);
        let table = RoutingTable::open(&dir, kind).unwrap();
        assert!(table.len() == 0 && table.settings().is_none() && table.epoch() == Epoch::ZERO);
        table.store_settings(&settings()).unwrap();
        let first = table.assign(requests(0..10)).unwrap();
        assert_eq!(first[3].shard, ShardId::new(3));
        // What is placed stays placed; what is explicit moves and keeps its namespace.
        let again = table.assign(vec![request(3, 0, Pin::Placed)]).unwrap();
        assert_eq!(again[0], first[3]);
        let moved = table.assign(vec![request(3, 0, Pin::Explicit)]).unwrap();
        assert_eq!((moved[0].shard, moved[0].namespace), (ShardId::new(0), first[3].namespace));
        let epoch = table.epoch();
        drop(table);
        let table = RoutingTable::open(&dir, kind).unwrap();
        assert_eq!((table.epoch(), table.len()), (epoch, 10));
        assert_eq!(table.settings(), Some(settings()));
        assert_eq!(table.lookup(&name(3)), Some(moved[0]));
        let numbers: std::collections::BTreeSet<_> =
            table.all().iter().map(|(_, one)| one.namespace).collect();
        assert_eq!(numbers.len(), 10, "every tenant has a namespace of its own");
        let fresh = table.assign(requests(10..11)).unwrap();
        assert!(!numbers.contains(&fresh[0].namespace), "namespace numbers are never given twice");
        table.close().unwrap();
        let exported = fs::read_to_string(dir.join("catalog.json")).unwrap();
        assert!(exported.contains(r#"{"tenant": "tenant \"3\"","#), "{exported}");
        drop(table);
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn an_export_is_written_again_only_after_a_change() {
    for kind in KINDS {
        let dir = scratch("export", kind);
        let (path, open) = (dir.join("catalog.json"), || RoutingTable::open(&dir, kind).unwrap());
        let table = open();
        table.assign(requests(0..3)).unwrap();
        table.close().unwrap();
        let marked = fs::read_to_string(&path).unwrap().replace("\"shard\"", "\"marked\"");
        fs::write(&path, &marked).unwrap();
        table.close().unwrap();
        drop(table);
        open().close().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), marked);
        // A run that was killed wrote none after its last change.
        drop(open().assign(requests(3..4)).unwrap());
        open().close().unwrap();
        let exported = fs::read_to_string(&path).unwrap();
        assert!(!exported.contains("marked") && exported.contains("tenant \\\"3"), "{exported}");
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn large_tables_fold_and_come_back_whole() {
    for kind in KINDS {
        let dir = scratch("fold", kind);
        let table = RoutingTable::open(&dir, kind).unwrap();
        for batch in 0..12 {
            table.assign(requests(batch * 5_000..(batch + 1) * 5_000)).unwrap();
        }
        table.assign((0..100).map(|number| request(number, 9, Pin::Explicit)).collect()).unwrap();
        let all = table.all();
        drop(table);
        let table = RoutingTable::open(&dir, kind).unwrap();
        assert_eq!(table.len(), 60_000);
        assert!(table.all() == all);
        assert_eq!(table.lookup(&name(7)).unwrap().shard, ShardId::new(9));
        drop(table);
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn a_rebuild_replaces_everything_and_outruns_the_epoch_that_was_seen() {
    for kind in KINDS {
        let dir = scratch("rebuild", kind);
        let table = RoutingTable::open(&dir, kind).unwrap();
        table.assign(requests(0..5)).unwrap();
        assert!(matches!(
            table.check_epoch(Epoch::new(70)),
            Err(CatalogError::RolledBack { seen, .. }) if seen == Epoch::new(70)
        ));
        let tenant = TenantId::new("found").unwrap();
        table.replace_all(vec![(tenant, NamespaceId::new(44), ShardId::new(1))], Epoch::new(70)).unwrap();
        drop(table);
        let table = RoutingTable::open(&dir, kind).unwrap();
        assert_eq!((table.len(), table.epoch()), (1, Epoch::new(71)));
        assert!(table.check_epoch(Epoch::new(70)).is_ok());
        assert_eq!(table.assign(requests(0..1)).unwrap()[0].namespace, NamespaceId::new(45));
        drop(table);
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn concurrent_callers_are_all_answered() {
    for kind in KINDS {
        let dir = scratch("concurrent", kind);
        let table = RoutingTable::open(&dir, kind).unwrap();
        std::thread::scope(|scope| {
            for caller in 0..8 {
                let table = &table;
                scope.spawn(move || {
                    for number in 0..20 {
                        let placed =
                            table.assign(vec![request(caller % 2 * 1000 + number, 1, Pin::Placed)]).unwrap();
                        assert_eq!(table.lookup(&name(caller % 2 * 1000 + number)), Some(placed[0]));
                    }
                });
            }
        });
        assert_eq!(table.len(), 40);
        drop(table);
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn a_second_open_and_the_other_store_are_refused() {
    for kind in KINDS {
        let dir = scratch("second", kind);
        let table = RoutingTable::open(&dir, kind).unwrap();
        assert!(matches!(RoutingTable::open(&dir, kind), Err(CatalogError::Store { .. })));
        drop(table);
        let other = if kind == CatalogKind::Sled { CatalogKind::Redb } else { CatalogKind::Sled };
        let refused = RoutingTable::open(&dir, other).unwrap_err().to_string();
        assert!(refused.contains(&format!("start with catalog={}", kind.name())), "{refused}");
        fs::remove_dir_all(&dir).unwrap();
    }
}

/// Runs only as a child of the test below: assigns tenants and says so, until it is killed.
#[test]
fn child_that_assigns_until_it_is_killed() {
    let Ok(dir) = std::env::var("PINYON_TEST_CATALOG_DIR") else { return };
    let kind = CatalogKind::from_name(&std::env::var("PINYON_TEST_CATALOG_KIND").unwrap()).unwrap();
    let table = RoutingTable::open(Path::new(&dir), kind).unwrap();
    let from = table.len() as u64;
    for number in from..from + 100_000 {
        table.assign(requests(number..number + 1)).unwrap();
        println!("assigned {number} epoch {}", table.epoch());
    }
}

#[test]
fn a_killed_process_loses_no_acknowledged_assignment() {
    for kind in KINDS {
        let dir = scratch("kill", kind);
        let mut rng = SeededRng::new(3);
        let mut acknowledged = 0;
        for cycle in 0..10 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "catalog::conformance::child_that_assigns_until_it_is_killed",
                    "--exact",
                    "--nocapture",
                ])
                .env("PINYON_TEST_CATALOG_DIR", &dir)
                .env("PINYON_TEST_CATALOG_KIND", kind.name())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            let quota = 1 + rng.below(20);
            let heard = lines.by_ref().filter(|line| line.contains("assigned ")).take(quota as usize);
            let last = heard.last().expect("the child assigns");
            child.kill().unwrap();
            let rest = lines.filter(|line| line.contains("assigned ")).last();
            child.wait().unwrap();
            let words: Vec<String> = rest.unwrap_or(last).split(' ').map(str::to_owned).collect();
            let number =
                words.iter().position(|word| word.ends_with("assigned")).map(|at| words[at + 1].clone());
            acknowledged = number.unwrap().parse::<u64>().unwrap() + 1;
            let table = RoutingTable::open(&dir, kind).unwrap();
            assert!(table.len() as u64 >= acknowledged, "{} cycle {cycle}", kind.name());
            let epoch: u64 = words.last().unwrap().parse().unwrap();
            assert!(table.epoch() >= Epoch::new(epoch));
            (0..acknowledged).for_each(|number| assert!(table.lookup(&name(number)).is_some()));
        }
        assert!(acknowledged >= 10);
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn a_snapshot_that_was_being_written_does_not_stop_the_next_open() {
    let dir = scratch("generating", CatalogKind::Sled);
    drop(RoutingTable::open(&dir, CatalogKind::Sled).unwrap().assign(requests(0..5)).unwrap());
    fs::write(dir.join("sled/snap.00000000000FFFFF.generating"), b"").unwrap();
    assert_eq!(RoutingTable::open(&dir, CatalogKind::Sled).unwrap().len(), 5);
    fs::remove_dir_all(&dir).unwrap();
}

/// Damage may be refused, or lead back to an earlier state; but then the epoch must say so, and what is served must be
/// what was true at that epoch.
#[test]
fn damage_is_refused_or_told_by_the_epoch() {
    for kind in KINDS {
        let dir = scratch("damage", kind);
        let table = RoutingTable::open(&dir, kind).unwrap();
        let mut history = std::collections::BTreeMap::from([(Epoch::ZERO, Vec::new())]);
        for number in 0..40 {
            table.assign(requests(number..number + 1)).unwrap();
            history.insert(table.epoch(), table.all());
        }
        let latest = table.epoch();
        drop(table);
        let files = files_below(&dir);
        let mut rng = SeededRng::new(8);
        let (mut refused, mut rolled_back) = (0, 0);
        for trial in 0..60 {
            let copy = scratch(&format!("damage-{trial}"), kind);
            copy_all(&files, &copy);
            let (victim, bytes) = &files[rng.below(files.len() as u64) as usize];
            let mut bytes = bytes.clone();
            if bytes.is_empty() {
                continue;
            }
            // Most of a preallocated file is empty; the damage goes to where something is.
            let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
            let Some(at) = used.get(rng.below(used.len().max(1) as u64) as usize) else { continue };
            bytes[*at] ^= 1 << rng.below(8);
            fs::write(copy.join(victim), bytes).unwrap();
            match RoutingTable::open(&copy, kind) {
                Err(_) => refused += 1,
                Ok(table) => {
                    let expected = history.get(&table.epoch());
                    assert!(expected.is_some_and(|all| *all == table.all()), "{} trial {trial}", kind.name());
                    if table.epoch() < latest {
                        rolled_back += 1;
                        assert!(table.check_epoch(latest).is_err());
                    }
                }
            }
            fs::remove_dir_all(&copy).unwrap();
        }
        assert!(refused + rolled_back > 0, "the damage never hit anything");
        fs::remove_dir_all(&dir).unwrap();
    }
}

type Files = Vec<(PathBuf, Vec<u8>)>;

fn files_below(dir: &Path) -> Files {
    let mut files = Files::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                files.push((
                    entry.path().strip_prefix(dir).unwrap().to_owned(),
                    fs::read(entry.path()).unwrap(),
                ));
            }
        }
    }
    files
}

fn copy_all(files: &Files, to: &Path) {
    for (name, bytes) in files {
        fs::create_dir_all(to.join(name).parent().unwrap()).unwrap();
        fs::write(to.join(name), bytes).unwrap();
    }
}

/// The files below a directory that hold a text.
pub(crate) fn files_with(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path);
        }
    }
    found
}

#[test]
fn what_was_forgotten_is_in_no_file_after_a_rewrite_and_the_rest_is_there() {
    for kind in KINDS {
        let dir = scratch("rewrite", kind);
        let table = RoutingTable::open(&dir, kind).unwrap();
        table.assign(requests(0..300)).unwrap();
        let gone = [request(77, 1, Pin::Placed).tenant, request(200, 1, Pin::Placed).tenant];
        table.declare(&gone[0], Some(vec!["secret-field".into()]), 5).unwrap();
        table.declare(&gone[0], None, 7).unwrap();
        let kept = table.lookup(&name(78)).unwrap();
        for tenant in &gone {
            let seen = table.lookup(tenant.as_str()).unwrap();
            assert!(
                !table.forget(tenant, Assignment { shard: ShardId::new(9), ..seen }).unwrap(),
                "it moved"
            );
            assert!(table.forget(tenant, seen).unwrap());
            assert!(!table.forget(tenant, seen).unwrap(), "it is gone");
        }
        // As people see the name, and as values hold it.
        let shown = [r#"\"77\""#, r#""77""#, "secret-field"];
        table.close().unwrap();
        table.rewrite_removed(6).unwrap();
        // redb may have used the page again already, and a file has no pages.
        assert!(
            kind != CatalogKind::Sled || !files_with(&dir, "secret-field").is_empty(),
            "not before its time"
        );
        table.rewrite().unwrap();
        assert!(shown.iter().all(|text| files_with(&dir, text).is_empty()), "{kind:?}");
        assert!(!files_with(&dir, r#"\"78\""#).is_empty(), "{kind:?}: the search finds what is there");
        // It goes on, here and after a reopen.
        let again = table.assign(requests(0..301)).unwrap();
        assert_eq!((table.len(), again[78]), (301, kept));
        assert!(again[77].namespace > again[299].namespace, "a name that comes back is another namespace");
        drop(table);
        let table = RoutingTable::open(&dir, kind).unwrap();
        assert_eq!((table.len(), table.lookup(&name(77))), (301, Some(again[77])));
        drop(table);
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn fields_that_were_removed_are_in_no_file_some_time_later_also_after_a_reopen() {
    for (kind, reopens) in KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let dir = scratch("removed", kind);
        let mut table = RoutingTable::open(&dir, kind).unwrap();
        table.assign(requests(0..3)).unwrap();
        let tenant = request(1, 0, Pin::Placed).tenant;
        table.declare(&tenant, Some(vec!["secret-field".into()]), 5).unwrap();
        table.declare(&tenant, None, 1_000).unwrap();
        if reopens {
            drop(table);
            table = RoutingTable::open(&dir, kind).unwrap();
        }
        table.rewrite_removed(999).unwrap();
        assert!(
            kind != CatalogKind::Sled || !files_with(&dir, "secret-field").is_empty(),
            "not before its time"
        );
        table.rewrite_removed(1_000).unwrap();
        assert!(files_with(&dir, "secret-field").is_empty(), "{kind:?}");
        assert_eq!((table.len(), table.routes().all_declared().count()), (3, 0));
        drop(table);
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn a_rewrite_that_a_crash_cut_off_is_begun_again_or_was_done() {
    for kind in KINDS {
        let dir = scratch("cut", kind);
        let table = RoutingTable::open(&dir, kind).unwrap();
        table.assign(requests(0..5)).unwrap();
        drop(table);
        let path = dir.join(kind.file_name());
        let beside = |ending: &str| dir.join(format!("{}.{ending}", kind.file_name()));
        // While the copy is made; between the two renames; before the old one is removed.
        for (moves, leaves) in [(None, Some("copy")), (Some("old"), Some("copy")), (None, Some("old"))] {
            if let Some(ending) = moves {
                fs::rename(&path, beside(ending)).unwrap();
            }
            if let Some(ending) = leaves {
                fs::create_dir_all(beside(ending)).unwrap();
                fs::write(beside(ending).join("db"), b"half").unwrap();
            }
            let table = RoutingTable::open(&dir, kind).unwrap();
            assert_eq!(table.len(), 5, "{kind:?} {moves:?} {leaves:?}");
            drop(table);
            assert!(!beside("copy").exists() && !beside("old").exists());
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}

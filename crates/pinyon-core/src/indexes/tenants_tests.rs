//! Tests of the tenants' index as customers meet it: listed once it is used, protected, deleted whole or not at all.

use super::{
    tests::{lowest_free, open, put, request, scratch},
    *,
};
use std::fs;

const MARK: &str = "GENERATION";

fn tenants(indexes: &Indexes) -> Arc<Index> {
    indexes.get("tenants").unwrap()
}

/// Fills the tenants' index, labels it and takes its protection away.
fn fill(indexes: &Indexes) {
    put(&tenants(indexes), "a");
    let change = |description: &mut IndexDescription| {
        description.is_protected = false;
        description.tags.insert("k".into(), "v".into());
        description.attributes = "mine".into();
        description.scan_factor = Some(2.0);
        Ok(())
    };
    indexes.change("tenants", change).unwrap();
}

fn assert_full(indexes: &Indexes) {
    let index = tenants(indexes);
    assert!(index.is_listed() && !index.description.is_protected && index.description.tags["k"] == "v");
    assert_eq!(indexes.tenants().tenant("ns").unwrap().count(None).unwrap(), 1);
}

fn assert_empty(indexes: &Indexes) {
    let index = tenants(indexes);
    let IndexDescription { port, is_protected, tags, attributes, scan_factor, .. } = &index.description;
    assert_eq!(
        (*port, *is_protected, tags.len(), attributes.as_str(), *scan_factor),
        (7000, true, 0, "", None)
    );
    assert!(!index.is_listed() && !indexes.tenants().has_tenants());
    assert_eq!(
        (
            index.engine.tenant("ns").unwrap().count(None).unwrap(),
            indexes.tenants().tenant("ns").unwrap().count(None).unwrap()
        ),
        (0, 0)
    );
}

/// Files of generations that do not count.
fn leftovers(dir: &Path) -> Vec<String> {
    let names = |dir: &Path| {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
    };
    let shards = names(&dir.join("shards"));
    let mut found: Vec<String> = names(dir)
        .filter(|name| name == "catalog" || name.starts_with("generation-"))
        .chain(shards)
        .collect();
    found.sort();
    found
}

#[test]
fn the_tenants_index_is_listed_once_a_write_placed_a_tenant() {
    let dir = scratch("tenants-listed");
    let indexes = open(&dir);
    assert!(!tenants(&indexes).is_listed());
    indexes.tenants().tenant("somebody").unwrap().shard().unwrap();
    assert!(!tenants(&indexes).is_listed(), "a look makes nothing");
    let refused = indexes.create(request("tenants", 3), lowest_free).unwrap_err();
    assert!(
        refused.code == ErrorCode::AlreadyExists && refused.message.contains("TENANTS_INDEX"),
        "{refused}"
    );
    put(&tenants(&indexes), "a");
    assert!(tenants(&indexes).is_listed());
    let refused = indexes.create(request("tenants", 3), lowest_free).unwrap_err();
    assert_eq!(refused.message, "Resource already exists.");
    drop(indexes);
    assert!(tenants(&open(&dir)).is_listed());
    crate::catalog::remove_tree(&dir).unwrap();
}

#[test]
fn a_deleted_tenants_index_is_empty_at_once_and_for_good() {
    let dir = scratch("tenants-deleted");
    let indexes = open(&dir);
    put(&tenants(&indexes), "a");
    let refused = indexes.delete("tenants").unwrap_err();
    assert_eq!(refused.code, ErrorCode::PermissionDenied);
    assert!(refused.message.starts_with("Deletion protection is enabled"), "{refused}");
    fill(&indexes);
    indexes.create(request("movies", 3), lowest_free).unwrap();
    drop(indexes);
    let indexes = open(&dir);
    assert_full(&indexes);
    let old = tenants(&indexes);
    indexes.delete("tenants").unwrap();
    assert_empty(&indexes);
    assert_eq!(indexes.delete("tenants").unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(leftovers(&dir), ["generation-00000001"]);
    drop(old);
    put(&tenants(&indexes), "b");
    put(&indexes.get("movies").unwrap(), "c");
    drop(indexes);
    let indexes = open(&dir);
    assert_eq!(indexes.tenants().tenant("ns").unwrap().count(None).unwrap(), 1);
    assert!(tenants(&indexes).description.is_protected);
    fill(&indexes);
    indexes.delete("tenants").unwrap();
    assert_eq!(leftovers(&dir), ["generation-00000002"]);
    drop(indexes);
    assert_empty(&open(&dir));
    assert_eq!(open(&dir).get("movies").unwrap().engine.tenant("ns").unwrap().count(None).unwrap(), 1);
    crate::catalog::remove_tree(&dir).unwrap();
}

/// A directory as it is after a crash in a deletion, before or after the moment that counts.
fn crashed(name: &str, mark: Option<&str>) -> PathBuf {
    let dir = scratch(name);
    let indexes = open(&dir);
    fill(&indexes);
    drop(indexes);
    drop(Engine::open(&dir.join("generation-00000001"), EngineSettings::offline(2, 16).unwrap()).unwrap());
    if let Some(text) = mark {
        fs::write(dir.join(MARK), text).unwrap();
    }
    dir
}

#[test]
fn a_crash_in_a_deletion_leaves_everything_or_nothing() {
    let before = crashed("tenants-crash-before", None);
    assert_full(&open(&before));
    assert_eq!(leftovers(&before), ["catalog", "shard-0000", "shard-0001"]);
    let after = crashed("tenants-crash-after", Some("generation 1 removing older ones\n"));
    let offline = Engine::open(&after, EngineSettings::offline(2, 16).unwrap()).unwrap();
    assert!(!offline.has_tenants());
    drop(offline);
    for _ in 0..2 {
        assert_empty(&open(&after));
        assert_eq!(leftovers(&after), ["generation-00000001"]);
    }
    crate::catalog::remove_tree(&before).unwrap();
    crate::catalog::remove_tree(&after).unwrap();
}

#[test]
fn a_lost_or_damaged_mark_is_a_reason_to_stop() {
    let dir = scratch("tenants-mark");
    let try_open =
        || Indexes::open(&dir, EngineSettings::offline(2, 16).unwrap(), "tenants", lowest_free).map(drop);
    let indexes = open(&dir);
    fill(&indexes);
    indexes.delete("tenants").unwrap();
    put(&tenants(&indexes), "b");
    drop(indexes);
    let mark = fs::read(dir.join(MARK)).unwrap();
    assert_eq!(mark, b"generation 1\n");
    for bad in ["", "generation 2\n", "generation 1", "generation x\n", "generation 1 \n"] {
        fs::write(dir.join(MARK), bad).unwrap();
        assert_eq!(try_open().unwrap_err().code, ErrorCode::DataDamaged, "{bad:?}");
    }
    fs::remove_file(dir.join(MARK)).unwrap();
    assert_eq!(try_open().unwrap_err().code, ErrorCode::DataDamaged, "lost");
    fs::write(dir.join(MARK), mark).unwrap();
    assert_eq!(open(&dir).tenants().tenant("ns").unwrap().count(None).unwrap(), 1);
    crate::catalog::remove_tree(&dir).unwrap();
}

//! Tests of the set of indexes: made, changed, deleted, found again after a restart; leftovers of crashes go.

use super::*;
use pinyon_shard::Change;
use pinyon_types::{Metadata, Record, RecordId, Vector};

pub(super) fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("pinyon-indexes-{}-{name}", std::process::id()));
    catalog::remove_tree(&dir).unwrap();
    dir
}

pub(super) fn open(dir: &Path) -> Indexes {
    let settings = EngineSettings::offline(2, 16).unwrap();
    Indexes::open(dir, settings, "tenants", |taken| 7000 + u16::try_from(taken.len()).unwrap()).unwrap()
}

pub(super) fn request(name: &str, dimension: u32) -> IndexRequest {
    IndexRequest {
        name: name.into(),
        dim: Dim::new(dimension).unwrap(),
        metric: Metric::DotProduct,
        is_protected: false,
        tags: BTreeMap::from([("team".to_owned(), "search".to_owned())]),
        attributes: "{\"cloud\": \"aws\"}".into(),
    }
}

pub(super) fn lowest_free(taken: &[u16]) -> u16 {
    (7001..).find(|port| !taken.contains(port)).unwrap()
}

pub(super) fn put(index: &Index, id: &str) {
    let dim = index.description.dim;
    let vector = Vector::new(vec![0.5; dim.as_usize()], dim).unwrap();
    let record = Record { id: RecordId::new(id).unwrap(), vector, sparse: None, metadata: Metadata::empty() };
    index.engine.write("ns", Change::Upsert(vec![record])).unwrap();
}

#[test]
fn indexes_come_back_with_records_tags_and_ports() {
    let dir = scratch("restart");
    let indexes = open(&dir);
    let made = indexes.create(request("movies", 3), lowest_free).unwrap();
    put(&made, "a");
    put(&indexes.create(request("songs", 5), lowest_free).unwrap(), "b");
    let refused = indexes.create(request("movies", 9), lowest_free).unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (ErrorCode::AlreadyExists, "Resource already exists.")
    );
    let tagged = |description: &mut IndexDescription| {
        description.tags.insert("k".into(), "v".into());
        Ok(())
    };
    indexes.change("songs", tagged).unwrap();
    let before: Vec<IndexDescription> = indexes.all().iter().map(|index| index.description.clone()).collect();
    assert_eq!(before.iter().map(|one| one.port).collect::<Vec<_>>(), [7001, 7002, 7000]);
    drop((made, indexes));
    let indexes = open(&dir);
    let after: Vec<IndexDescription> = indexes.all().iter().map(|index| index.description.clone()).collect();
    assert_eq!(after, before);
    assert_eq!(indexes.get("movies").unwrap().engine.count("ns", None).unwrap(), 1);
    assert_eq!(indexes.get("songs").unwrap().engine.settings().dim.get(), 5);
    assert!(indexes.get("tenants").unwrap().is_of_tenants());
    drop(indexes);
    catalog::remove_tree(&dir).unwrap();
}

fn protect(indexes: &Indexes, name: &str, is_protected: bool) {
    let change = |description: &mut IndexDescription| {
        description.is_protected = is_protected;
        Ok(())
    };
    indexes.change(name, change).unwrap();
}

#[test]
fn a_deleted_index_is_gone_and_its_name_is_free() {
    let dir = scratch("delete");
    let indexes = open(&dir);
    put(&indexes.create(request("movies", 3), lowest_free).unwrap(), "a");
    protect(&indexes, "movies", true);
    assert_eq!(indexes.delete("movies").unwrap_err().code, ErrorCode::PermissionDenied);
    assert_eq!(indexes.delete("tenants").unwrap_err().code, ErrorCode::PermissionDenied);
    assert_eq!(indexes.delete("nothing").unwrap_err().code, ErrorCode::NotFound);
    protect(&indexes, "movies", false);
    indexes.delete("movies").unwrap();
    assert!(indexes.get("movies").is_none() && !dir.join("indexes/index-00000001").exists());
    let again = indexes.create(request("movies", 4), lowest_free).unwrap();
    assert_eq!((again.description.id, again.engine.count("ns", None).unwrap()), (2, 0));
    drop((again, indexes));
    assert_eq!(open(&dir).get("movies").unwrap().description.dim.get(), 4);
    catalog::remove_tree(&dir).unwrap();
}

#[test]
fn what_a_crash_left_of_an_index_that_never_was_goes_at_the_next_start() {
    let dir = scratch("leftover");
    drop(open(&dir));
    let settings = EngineSettings::offline(2, 16).unwrap();
    let leftover = dir.join("indexes/index-00000001");
    drop(Engine::open(&leftover, settings.clone()).unwrap());
    let indexes = open(&dir);
    assert!(!leftover.exists());
    indexes.create(request("movies", 3), lowest_free).unwrap();
    drop(indexes);
    let taken = Indexes::open(&dir, settings, "movies", lowest_free).unwrap_err();
    assert!(
        taken.code == ErrorCode::FailedPrecondition && taken.message.contains("tenants_index"),
        "{taken}"
    );
    catalog::remove_tree(&dir).unwrap();
}

#[test]
fn names_follow_pinecones_rule() {
    let longest = "a".repeat(INDEX_NAME_BYTES_MAX);
    for good in ["a", "a-b", "0-9", longest.as_str()] {
        assert_eq!(check_index_name(good), Ok(()), "{good}");
    }
    let too_long = "a".repeat(INDEX_NAME_BYTES_MAX + 1);
    for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ä", too_long.as_str()] {
        assert!(check_index_name(bad).is_err(), "{bad}");
    }
}

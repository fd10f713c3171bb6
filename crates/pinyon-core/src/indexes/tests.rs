//! Tests of the set of indexes: made, changed, deleted, found again after a restart; leftovers of crashes go.

use super::*;
use crate::{Reach, VectorQuery, system_io};
use pinyon_shard::Change;
use pinyon_storage::io::write_file_atomically;
use pinyon_types::{Metadata, Record, RecordId, Vector};

pub(super) fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("pinyon-indexes-{}-{name}", std::process::id()));
    crate::catalog::remove_tree(&dir).unwrap();
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
fn an_index_whose_routing_table_is_damaged_is_kept_out_and_the_others_served() {
    let dir = scratch("lost-catalog");
    let indexes = open(&dir);
    put(&indexes.create(request("movies", 3), lowest_free).unwrap(), "a");
    put(&indexes.create(request("songs", 5), lowest_free).unwrap(), "b");
    put(&indexes.get("tenants").unwrap(), "c");
    drop(indexes);
    for damaged in ["indexes/index-00000001/catalog/sled/db", "catalog/sled/db"] {
        let (file, whole) = (dir.join(damaged), system_io().read(&dir.join(damaged)).unwrap());
        write_file_atomically(&*system_io(), &file, &[7; 300]).unwrap();
        let indexes = open(&dir);
        for index in indexes.all() {
            let found = index.engine.tenant("ns").and_then(|tenant| tenant.count(None));
            let is_damaged = (index.description.name == "movies") == damaged.contains("index-")
                && index.description.name != "songs";
            match found {
                Ok(count) => assert!(count == 1 && !is_damaged, "{}", index.description.name),
                Err(error) => assert!(is_damaged && error.code == ErrorCode::Quarantined, "{error}"),
            }
            assert!(index.is_listed());
        }
        assert!(indexes.answers_reads());
        indexes.close().unwrap();
        drop(indexes);
        write_file_atomically(&*system_io(), &file, &whole).unwrap();
    }
    let indexes = open(&dir);
    assert!(indexes.all().iter().all(|index| index.engine.tenant("ns").unwrap().count(None).unwrap() == 1));
    drop(indexes);
    crate::catalog::remove_tree(&dir).unwrap();
}

#[test]
fn an_index_whose_files_are_those_of_another_is_kept_out_and_the_others_served() {
    let dir = scratch("foreign-files");
    let indexes = open(&dir);
    put(&indexes.create(request("movies", 3), lowest_free).unwrap(), "a");
    put(&indexes.create(request("songs", 5), lowest_free).unwrap(), "b");
    indexes.close().unwrap();
    drop(indexes);
    for moved in ["", "catalog"] {
        let [movies, songs] = [1, 2].map(|id| index_dir(&dir.join("indexes"), id).join(moved));
        let swap = || {
            system_io().rename(&movies, &dir.join("between")).unwrap();
            system_io().rename(&songs, &movies).unwrap();
            system_io().rename(&dir.join("between"), &songs).unwrap();
        };
        swap();
        let indexes = open(&dir);
        put(&indexes.get("tenants").unwrap(), "c");
        for name in ["movies", "songs"] {
            let refused = indexes.get(name).unwrap().engine.tenant("ns").unwrap_err();
            assert_eq!(refused.code, ErrorCode::Quarantined, "{refused}");
            assert!(refused.message.contains("VECTOR_DIMENSION="), "{refused}");
        }
        indexes.close().unwrap();
        drop(indexes);
        swap();
        let indexes = open(&dir);
        assert!(
            ["movies", "songs"].map(|name| indexes
                .get(name)
                .unwrap()
                .engine
                .tenant("ns")
                .unwrap()
                .count(None)
                .unwrap())
                == [1, 1]
        );
    }
    crate::catalog::remove_tree(&dir).unwrap();
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
    assert_eq!(indexes.get("movies").unwrap().engine.tenant("ns").unwrap().count(None).unwrap(), 1);
    assert_eq!(indexes.get("songs").unwrap().engine.settings().dim.get(), 5);
    assert!(indexes.get("tenants").unwrap().is_of_tenants());
    drop(indexes);
    crate::catalog::remove_tree(&dir).unwrap();
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
    assert_eq!(indexes.delete("tenants").unwrap_err().code, ErrorCode::NotFound, "nobody used it");
    assert_eq!(indexes.delete("nothing").unwrap_err().code, ErrorCode::NotFound);
    protect(&indexes, "movies", false);
    indexes.delete("movies").unwrap();
    assert!(indexes.get("movies").is_none() && !dir.join("indexes/index-00000001").exists());
    let again = indexes.create(request("movies", 4), lowest_free).unwrap();
    assert_eq!((again.description.id, again.engine.tenant("ns").unwrap().count(None).unwrap()), (2, 0));
    drop((again, indexes));
    assert_eq!(open(&dir).get("movies").unwrap().description.dim.get(), 4);
    crate::catalog::remove_tree(&dir).unwrap();
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
    crate::catalog::remove_tree(&dir).unwrap();
}

/// The effort that a query is asked with.
fn effort_in(index: &Index, asked: Option<f64>) -> f64 {
    let dim = index.description.dim;
    let query = VectorQuery {
        effort: Effort::new(asked, None, 1).unwrap(),
        explain: true,
        ..VectorQuery::dense(vec![0.5; dim.as_usize()], Reach::Tenant("ns".into()), 1)
    };
    index.engine.query_vector(query).unwrap().explained.unwrap().factor()
}

/// The efforts of queries in three indexes.
fn efforts(indexes: &Indexes, asked: Option<f64>) -> [f64; 3] {
    ["tenants", "movies", "songs"].map(|name| effort_in(&indexes.get(name).unwrap(), asked))
}

fn set_scan_factor(indexes: &Indexes, name: &str, factor: Option<f64>) -> Result<Arc<Index>, EngineError> {
    let change = |description: &mut IndexDescription| {
        description.scan_factor = factor;
        Ok(())
    };
    indexes.change(name, change)
}

fn open_with_scan_factor(dir: &Path) -> Indexes {
    let settings = EngineSettings { scan_factor: 1.5, ..EngineSettings::offline(2, 16).unwrap() };
    Indexes::open(dir, settings, "tenants", lowest_free).unwrap()
}

#[test]
fn a_requests_scan_factor_wins_over_the_indexs_and_that_over_the_settings() {
    let dir = scratch("scan-factor");
    let indexes = open_with_scan_factor(&dir);
    for name in ["movies", "songs"] {
        indexes.create(request(name, 3), lowest_free).unwrap();
    }
    indexes.all().iter().for_each(|index| put(index, "a"));
    assert_eq!(efforts(&indexes, None), [1.5; 3]);
    // Who looked the index up before is asked with the new one too.
    let looked_up = indexes.get("movies").unwrap();
    set_scan_factor(&indexes, "movies", Some(3.0)).unwrap();
    set_scan_factor(&indexes, "tenants", Some(0.5)).unwrap();
    assert_eq!((efforts(&indexes, None), effort_in(&looked_up, None)), ([0.5, 3.0, 1.5], 3.0));
    assert_eq!(efforts(&indexes, Some(2.0)), [2.0; 3]);
    for (factor, shown) in [(0.4, "0.4"), (5.0, "5"), (f64::NAN, "NaN")] {
        let refused = set_scan_factor(&indexes, "movies", Some(factor)).unwrap_err();
        assert_eq!(refused.message, format!("scan_factor: must be 0.5 to 4, is {shown}"));
    }
    protect(&indexes, "movies", true);
    assert_eq!(efforts(&indexes, None), [0.5, 3.0, 1.5], "other changes leave it");
    drop((looked_up, indexes));
    crate::catalog::remove_tree(&dir).unwrap();
}

#[test]
fn an_indexs_scan_factor_outlives_a_restart_and_can_be_taken_back() {
    let dir = scratch("scan-factor-restart");
    let indexes = open_with_scan_factor(&dir);
    for name in ["movies", "songs"] {
        indexes.create(request(name, 3), lowest_free).unwrap();
    }
    indexes.all().iter().for_each(|index| put(index, "a"));
    set_scan_factor(&indexes, "movies", Some(3.0)).unwrap();
    set_scan_factor(&indexes, "tenants", Some(0.5)).unwrap();
    drop(indexes);
    let indexes = open_with_scan_factor(&dir);
    assert_eq!(efforts(&indexes, None), [0.5, 3.0, 1.5]);
    set_scan_factor(&indexes, "movies", None).unwrap();
    assert_eq!(efforts(&indexes, None), [0.5, 1.5, 1.5]);
    drop(indexes);
    assert_eq!(efforts(&open_with_scan_factor(&dir), None), [0.5, 1.5, 1.5], "it is gone for good");
    crate::catalog::remove_tree(&dir).unwrap();
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

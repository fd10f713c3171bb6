//! The registry of indexes lost or gone back to an earlier state, as sled and redb may lead it there after damage to their
//! own files: nobody's records are taken for leftovers of a crash.

use super::{
    tests::{lowest_free, open, put, request, scratch},
    *,
};
use crate::CatalogKind;
use std::fs;

type Files = Vec<(PathBuf, Vec<u8>)>;

/// Every file below a directory, by its path within.
fn files_below(dir: &Path) -> Files {
    let mut files = Files::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(dir).unwrap().to_owned();
                files.push((name, fs::read(entry.path()).unwrap()));
            }
        }
    }
    files
}

fn put_back(files: &Files, dir: &Path) {
    crate::catalog::remove_tree(dir).unwrap();
    for (name, bytes) in files {
        fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        fs::write(dir.join(name), bytes).unwrap();
    }
}

fn try_open(dir: &Path) -> Result<Indexes, EngineError> {
    Indexes::open(dir, EngineSettings::offline(2, 16).unwrap(), "tenants", lowest_free)
}

fn assert_refused_for_good(dir: &Path, what: &str) {
    for _ in 0..2 {
        let refused = try_open(dir).map(drop).unwrap_err();
        assert_eq!(refused.code, ErrorCode::DataDamaged, "{what}: {refused}");
        assert!(refused.message.contains("registry"), "{what}: {refused}");
    }
}

#[test]
fn a_registry_that_went_back_takes_no_records_with_it() {
    let dir = scratch("went-back");
    let registry = dir.join("indexes/registry");
    drop(open(&dir));
    let before_movies = files_below(&registry);
    let indexes = open(&dir);
    put(&indexes.create(request("movies", 3), lowest_free).unwrap(), "a");
    drop(indexes);
    let before_songs = files_below(&registry);
    let indexes = open(&dir);
    let songs = indexes.create(request("songs", 5), lowest_free).unwrap();
    indexes.create(request("empty", 5), lowest_free).unwrap();
    put(&songs, "b");
    drop((songs, indexes));
    let latest = files_below(&registry);
    for (what, files) in [("lost", &Files::new()), ("movies", &before_movies), ("songs", &before_songs)] {
        put_back(files, &registry);
        assert_refused_for_good(&dir, what);
    }
    put_back(&latest, &registry);
    let indexes = open(&dir);
    let count = |name: &str| indexes.get(name).unwrap().engine.tenant("ns").unwrap().count(None).unwrap();
    assert_eq!((count("movies"), count("songs"), count("empty")), (1, 1, 0));
    drop(indexes);
    crate::catalog::remove_tree(&dir).unwrap();
}

#[test]
fn a_registry_that_went_back_brings_no_deleted_index_back() {
    let dir = scratch("deleted-back");
    let registry = dir.join("indexes/registry");
    let indexes = open(&dir);
    put(&indexes.create(request("movies", 3), lowest_free).unwrap(), "a");
    drop(indexes);
    let before = files_below(&registry);
    let indexes = open(&dir);
    indexes.delete("movies").unwrap();
    drop(indexes);
    put_back(&before, &registry);
    assert_refused_for_good(&dir, "movies");
    crate::catalog::remove_tree(&dir).unwrap();
}

/// What sled and redb make of a flipped bit is theirs; what comes of it is a refusal, or every index with its files.
#[test]
fn no_flip_in_the_registrys_files_costs_an_index() {
    let every = std::env::var_os("PINYON_TEST_FLIPS").is_some();
    for kind in [CatalogKind::Sled, CatalogKind::Redb] {
        let home = scratch(&format!("flips-{}", kind.name()));
        let known = make_indexes(&home, kind);
        let golden = files_below(&home);
        let (mut refused, mut same) = (0, 0);
        for (name, bytes) in golden.iter().filter(|(name, _)| name.starts_with("registry")) {
            let used = (0..bytes.len()).filter(|at| bytes[*at] != 0);
            for offset in used.step_by(if every { 1 } else { 1 + bytes.len() / 100 }) {
                put_back(&golden, &home);
                let mut damaged = bytes.clone();
                damaged[offset] ^= 1 << (offset % 8);
                fs::write(home.join(name), damaged).unwrap();
                let found = Registry::open(&crate::system_io(), &home, kind).and_then(|(registry, found)| {
                    registry.remove_leftovers(&found)?;
                    Ok(found)
                });
                let context = format!("{}, byte {offset}: {found:?}", name.display());
                assert!(
                    found.as_ref().is_err() || found.as_ref().is_ok_and(|found| *found == known),
                    "{context}"
                );
                let is_whole = known.iter().all(|one| files_below(&index_dir(&home, one.id)).len() >= 2);
                assert!(is_whole, "{context}");
                *(if found.is_ok() { &mut same } else { &mut refused }) += 1;
            }
        }
        println!("{}: {refused} refused, {same} the same", kind.name());
        assert!(refused > 0, "the damage never hit anything");
        crate::catalog::remove_tree(&home).unwrap();
    }
}

/// Indexes with a record each: their shards, which is all of their files that matters here.
fn make_indexes(home: &Path, kind: CatalogKind) -> Vec<IndexDescription> {
    let (mut registry, _) = Registry::open(&crate::system_io(), home, kind).unwrap();
    let mut known = Vec::new();
    for id in 1..=4 {
        let IndexRequest { name, dim, metric, is_protected, tags, attributes } =
            request(&format!("index-{id}"), 3);
        let (port, scan_factor, unique_id) = (7000, Some(id as f64), UniqueId::NONE);
        let description = IndexDescription {
            id,
            unique_id,
            name,
            dim,
            metric,
            port,
            is_protected,
            tags,
            attributes,
            scan_factor,
        };
        let made = scratch("flips-made");
        let engine = Engine::open(&made, EngineSettings::offline(1, 3).unwrap()).unwrap();
        let index = Index { description: description.clone(), engine };
        put(&index, "a");
        // A closed log reserves no space, so that little is copied for each flip.
        index.engine.close().unwrap();
        drop(index);
        let shards = files_below(&made.join("shards"));
        put_back(&shards, &index_dir(home, id).join("shards"));
        crate::catalog::remove_tree(&made).unwrap();
        registry.enter(&description).unwrap();
        known.push(description);
    }
    known
}

//! Files that somebody changes while the shard is served: what is whole in memory is written again, what is not is refused by name, and
//! nothing in between is answered.

use super::{DIR, id, namespace, options, random_record, shape};
use crate::{Change, Query, Scope, Shard, ShardError, Step, Verified};
use pinyon_storage::io::{Io, MemoryIo, RealIo, SharedIo};
use pinyon_types::{FieldTest, Filter, Metric, Record, Scalar, SeededRng, SegmentId, TopK, Vector, limits};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A shard with rows in two segments and a log, and what it holds.
fn filled(io: &SharedIo, dir: &Path) -> (Shard, Vec<Record>) {
    let shard = Shard::open(io, dir, shape(Metric::Cosine), options()).unwrap();
    let mut rng = SeededRng::new(3);
    for part in 0..3 {
        let records: Vec<Record> = (0..60)
            .map(|at| Record { id: id(&format!("r-{part}-{at:03}")), ..random_record(&mut rng) })
            .collect();
        shard.write(&namespace(1), Change::Upsert(records.clone())).unwrap();
        shard.write(&namespace(2), Change::Upsert(records[..5].to_vec())).unwrap();
        shard.write(&namespace(1), Change::DeleteIds(vec![records[7].id.clone()])).unwrap();
        if part < 2 {
            shard.seal().unwrap();
        }
    }
    let all = all_of(&shard).unwrap();
    assert_eq!((all.len(), shard.segments().len()), (177, 2));
    (shard, all)
}

fn all_of(shard: &Shard) -> Result<Vec<Record>, ShardError> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = shard.list(&namespace(1), "", after.as_ref(), limits::LIST_PAGE_MAX)?;
        for ids in page.ids.chunks(limits::BATCH_RECORDS_MAX) {
            found.extend(shard.fetch(&namespace(1), ids)?.into_iter().map(|stored| stored.record));
        }
        after = page.ids.last().cloned();
        if !page.has_more {
            return Ok(found);
        }
    }
}

fn verify_segment(shard: &Shard, id: SegmentId) -> Result<Verified, ShardError> {
    shard.verify_segment(id, &mut |_| true).or_else(|problem| shard.mend_segment(id, problem))
}

fn verify(shard: &Shard) -> Result<Vec<Verified>, ShardError> {
    let segments = shard.segments().into_iter().map(|id| verify_segment(shard, id));
    let mut found = segments.collect::<Result<Vec<Verified>, ShardError>>()?;
    found.extend(shard.verify_others(&mut |_| true)?);
    Ok(found)
}

fn is_mended(found: &[Verified], file: &str) -> bool {
    found.iter().any(|one| matches!(one, Verified::Mended(problem) if problem.contains(file)))
}

/// A file of the shard other than the lock, by how its name begins or ends.
fn names(io: &SharedIo, dir: &Path, part: &str) -> Vec<String> {
    io.list(dir).unwrap().into_iter().filter(|name| name.contains(part)).collect()
}

fn flip(io: &SharedIo, path: &Path, at: usize) {
    let mut bytes = io.read(path).unwrap();
    bytes[at] ^= 0x10;
    io.remove(path).unwrap();
    io.create(path).unwrap().write_at(&bytes, 0).unwrap();
}

#[test]
fn a_file_that_is_whole_in_memory_is_written_again() {
    let mut rng = SeededRng::new(11);
    for part in [".seg", "MANIFEST", ".log"] {
        // What is behind the new end of a segment may not be looked at: another test.
        for what in ["flip", "cut", "gone"].into_iter().filter(|what| (part, *what) != (".seg", "cut")) {
            let io: SharedIo = Arc::new(MemoryIo::new());
            let dir = Path::new(DIR);
            let (shard, before) = filled(&io, dir);
            let name = names(&io, dir, part).pop().unwrap();
            let path = dir.join(&name);
            let used = io.read(&path).unwrap().iter().rposition(|&byte| byte != 0).unwrap();
            match what {
                "flip" => flip(&io, &path, rng.below(used as u64 + 1) as usize),
                "cut" => io.open(&path).unwrap().set_len(rng.below(used as u64)).unwrap(),
                _ => io.remove(&path).unwrap(),
            }
            let found = verify(&shard).unwrap_or_else(|error| panic!("{name} {what}: {error}"));
            assert!(
                is_mended(&found, if part == "MANIFEST" { part } else { &name }),
                "{name} {what}: {found:?}"
            );
            assert!(verify(&shard).unwrap().iter().all(|one| *one == Verified::Whole), "{name} {what}");
            assert_eq!(all_of(&shard).unwrap(), before);
            shard.write(&namespace(3), Change::Upsert(vec![before[0].clone()])).unwrap();
            drop(shard);
            let again = Shard::open(&io, dir, shape(Metric::Cosine), options()).unwrap();
            assert_eq!(all_of(&again).unwrap(), before, "{name} {what}");
            assert_eq!(again.count(&namespace(3), None).unwrap(), 1);
        }
    }
}

/// The log without an entry that follows a start or a seal, too.
#[test]
fn an_empty_log_that_is_damaged_is_made_anew() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let dir = Path::new(DIR);
    let (shard, before) = filled(&io, dir);
    while shard.seal().unwrap() != Step::Idle {}
    shard.close().unwrap();
    drop(shard);
    let shard = Shard::open(&io, dir, shape(Metric::Cosine), options()).unwrap();
    let name = names(&io, dir, ".log").pop().unwrap();
    flip(&io, &dir.join(&name), 20);
    assert!(is_mended(&verify(&shard).unwrap(), &name));
    shard.write(&namespace(1), Change::DeleteIds(vec![before[0].id.clone()])).unwrap();
    drop(shard);
    let again = Shard::open(&io, dir, shape(Metric::Cosine), options()).unwrap();
    assert_eq!(all_of(&again).unwrap(), before[1..]);
}

/// A directory of the real file system, where what is served is what is in the file.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("pinyon-scrub-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        RealIo.create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes over what is served.
fn scribble(path: &Path, at: u64, bytes: &[u8]) {
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

#[test]
fn what_is_damaged_in_memory_too_is_refused_by_name() {
    let scratch = Scratch::new("both");
    let io: SharedIo = Arc::new(RealIo);
    let (shard, _) = filled(&io, &scratch.0);
    assert!(shard.changed_segments().is_empty());
    assert!(verify(&shard).unwrap().iter().all(|one| *one == Verified::Whole));
    let name = names(&io, &scratch.0, ".seg").remove(0);
    scribble(&scratch.0.join(&name), 700, &[0xAA]);
    let [changed] = shard.changed_segments()[..] else { panic!("one segment") };
    let error = verify_segment(&shard, changed).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains(&name), "{error}");
    assert_eq!(names(&io, &scratch.0, ".seg").len(), 2, "nothing is written over it");
    // A merge must not give the damage a checksum that fits.
    let error = shard.compact().unwrap_err();
    assert!(error.is_damage() && error.to_string().contains(&name), "{error}");
    assert!(shard.take_suspicion());
    assert!(!shard.take_suspicion());
    let before = names(&io, &scratch.0, "");
    shard.give_up("its files are damaged");
    assert!(shard.poisoned().is_some() && shard.compact().unwrap() == Step::Idle);
    shard.write(&namespace(1), Change::DeleteAll).unwrap_err();
    shard.close().unwrap();
    drop(shard);
    assert_eq!(names(&io, &scratch.0, ""), before, "its files are left as they are");
    assert!(Shard::open(&io, &scratch.0, shape(Metric::Cosine), options()).is_err());
}

#[test]
fn a_file_that_was_shortened_is_refused_without_looking_behind_its_end() {
    let scratch = Scratch::new("short");
    let io: SharedIo = Arc::new(RealIo);
    let (shard, _) = filled(&io, &scratch.0);
    let name = names(&io, &scratch.0, ".seg").remove(0);
    fs::OpenOptions::new().write(true).open(scratch.0.join(&name)).unwrap().set_len(100).unwrap();
    let [changed] = shard.changed_segments()[..] else { panic!("one segment") };
    let error = verify_segment(&shard, changed).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains(&name), "{error}");
}

#[test]
fn a_file_that_was_removed_or_replaced_is_written_again_from_what_is_served() {
    for what in ["gone", "replaced"] {
        let scratch = Scratch::new(what);
        let io: SharedIo = Arc::new(RealIo);
        let (shard, before) = filled(&io, &scratch.0);
        let path = scratch.0.join(names(&io, &scratch.0, ".seg").remove(0));
        match what {
            "gone" => fs::remove_file(&path).unwrap(),
            _ => {
                fs::write(scratch.0.join("other"), b"another file").unwrap();
                fs::rename(scratch.0.join("other"), &path).unwrap();
            }
        }
        let [changed] = shard.changed_segments()[..] else { panic!("one segment") };
        let mended = verify_segment(&shard, changed).unwrap();
        assert!(matches!(mended, Verified::Mended(_)), "{mended:?}");
        assert!(shard.changed_segments().is_empty());
        assert_eq!(all_of(&shard).unwrap(), before);
        drop(shard);
        let again = Shard::open(&io, &scratch.0, shape(Metric::Cosine), options()).unwrap();
        assert_eq!(all_of(&again).unwrap(), before);
    }
}

/// Whatever is scribbled over a file that is served: reads answer or refuse, none panics, none ends the process.
#[test]
fn reads_of_bytes_that_cannot_be_are_refused() {
    let seed = std::env::var("PINYON_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(29);
    let mut rng = SeededRng::new(seed);
    let mut refused = 0;
    for round in 0..60 {
        let scratch = Scratch::new("scribbled");
        let io: SharedIo = Arc::new(RealIo);
        let (shard, _) = filled(&io, &scratch.0);
        let path = scratch.0.join(names(&io, &scratch.0, ".seg").remove(0));
        let length = fs::metadata(&path).unwrap().len();
        let noise: Vec<u8> = (0..1 + rng.below(2_000)).map(|_| rng.next_u64() as u8).collect();
        let at = rng.below(length.saturating_sub(noise.len() as u64).max(1));
        scribble(&path, at, &noise);
        refused += reads(&shard, &mut rng).into_iter().filter(|is_refused| *is_refused).count();
        let ids: BTreeSet<SegmentId> = shard.changed_segments().into_iter().collect();
        assert_eq!(ids.len(), 1, "seed {seed} round {round}");
        let error = verify_segment(&shard, *ids.first().unwrap()).unwrap_err();
        assert!(error.is_damage(), "seed {seed} round {round}: {error}");
    }
    assert!(refused > 0, "some of it is met by reads");
}

/// Every kind of read; which were refused.
fn reads(shard: &Shard, rng: &mut SeededRng) -> Vec<bool> {
    let filter = Filter::field("colour", FieldTest::Eq(Scalar::String("red".into())));
    let vector: Vector = super::random_vector(rng);
    let query = Query { filter: Some(&filter), ..Query::dense(&vector, TopK::new(20).unwrap()) };
    let refused = |result: Result<(), ShardError>| match result {
        Ok(()) => false,
        Err(ShardError::Suspect { .. }) => true,
        Err(error) => panic!("{error}"),
    };
    let tenant = namespace(1);
    let searched = |query| {
        let found = shard.search(Scope::Namespaces(std::slice::from_ref(&tenant)), query, &|| false);
        found.map(|found| drop(found.hits))
    };
    vec![
        refused(all_of(shard).map(drop)),
        refused(shard.find(&tenant, &[id("r-0-003"), id("r-1-003")]).map(drop)),
        refused(shard.find_matching(&tenant, &filter, None, 100).map(drop)),
        refused(shard.count(&tenant, Some(&filter)).map(drop)),
        refused(searched(query)),
        refused(searched(Query { filter: None, ..query })),
    ]
}

//! Bits in files and bits alone: a restart searches by what was kept without having read the vectors, where memory is short bits answer
//! without bytes, and whatever is wrong with a file, searches find what they would find without it.

mod damage;

use super::{id, metadata, namespace};
use crate::{
    Change, DiskBudget, DiskMarks, Hit, KeptCodes, MemoryBudget, Query, Scope, Shard, ShardError,
    ShardOptions, ShardShape, Step, Verify, suspicion::unwinding,
};
use pinyon_index::Work;
use pinyon_storage::{
    io::{MemoryIo, SharedIo, unfinished_path},
    segment::SegmentFile,
};
use pinyon_types::{Clock, Dim, ManualClock, Metric, Record, SeededRng, ShardId, TopK, Vector};
use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

const DIM: usize = 64;
/// From so many rows on bits lie apart, and are kept.
const ROWS: usize = 20_000;
const DIR: &str = "/kept-codes";
const BITS_FILE: &str = "segment-0000000000000001.namespace-0000000000000001.bits";
const QUERIES: usize = 20;

/// A point around one of fifty centres.
fn vector(rng: &mut SeededRng, centre: u64) -> Vector {
    let mut of_centre = SeededRng::new(centre);
    let mut component = || (of_centre.unit() - 0.5) as f32 + 0.6 * (rng.unit() - 0.5) as f32;
    let components: Vec<f32> = (0..DIM).map(|_| component()).collect();
    Vector::new(components, Dim::new(DIM as u32).unwrap()).unwrap()
}

/// Writes so many records of a namespace.
fn write(shard: &Shard, tenant: u64, count: usize) {
    let mut rng = SeededRng::new(tenant);
    let mut record = |row: usize| Record {
        id: id(&format!("r{row:05}")),
        // Near rows lie beside each other in the file.
        vector: vector(&mut rng, (row * 50 / count) as u64),
        sparse: None,
        metadata: metadata(&[]),
    };
    let records: Vec<Record> = (0..count).map(&mut record).collect();
    for some in records.chunks(10_000) {
        shard.write(&namespace(tenant), Change::Upsert(some.to_vec())).unwrap();
    }
}

fn options() -> ShardOptions {
    ShardOptions {
        verify: Verify::OnFirstRead,
        graph_rows_min: u32::MAX,
        seal_bytes: 64 << 20,
        backlog_bytes_max: 256 << 20,
        log_preallocate_bytes: 4_096,
        ..ShardOptions::server()
    }
}

fn try_open(io: &SharedIo, metric: Metric, options: ShardOptions) -> Result<Shard, ShardError> {
    let shape = ShardShape { shard: ShardId::new(0), dim: Dim::new(DIM as u32).unwrap(), metric };
    Shard::open(io, Path::new(DIR), shape, options)
}

fn open(io: &SharedIo, metric: Metric) -> Shard {
    try_open(io, metric, options()).unwrap()
}

/// Derives until nothing is left to derive; what was done.
fn derive(shard: &Shard) -> Vec<Step> {
    std::iter::repeat_with(|| next(shard)).take_while(|step| *step != Step::Idle).take(20).collect()
}

fn next(shard: &Shard) -> Step {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    shard.derive(&pool, &|| false)
}

/// A closed shard with one segment whose codes are kept.
fn kept(metric: Metric) -> SharedIo {
    kept_on(Arc::new(MemoryIo::new()), metric)
}

fn kept_on(io: SharedIo, metric: Metric) -> SharedIo {
    let shard = open(&io, metric);
    write(&shard, 1, ROWS);
    shard.seal().unwrap();
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::KeptCodes]);
    shard.close().unwrap();
    io
}

/// What scans of the vectors say.
fn by_vectors(io: &SharedIo, metric: Metric) -> Vec<(String, Work)> {
    let answers =
        answers(&try_open(io, metric, ShardOptions { coded_rows_min: u32::MAX, ..options() }).unwrap());
    assert!(answers.iter().all(|(_, work)| work.sign_distances == 0));
    answers
}

fn ask(shard: &Shard, seed: u64) -> Result<(String, Work), ShardError> {
    let vector = vector(&mut SeededRng::new(1_000 + seed), seed * 7 % 50);
    let query = Query::dense(&vector, TopK::new(10).unwrap());
    let found = shard.search(Scope::Namespaces(&[namespace(1)]), query, &|| false)?;
    // What is told of a record is read when somebody asks.
    let told = |hit: &Hit| (hit.id(), hit.distance());
    let hits = unwinding(|| Ok(format!("{:?}", found.hits.iter().map(told).collect::<Vec<_>>())))?;
    Ok((hits, found.work))
}

fn answers(shard: &Shard) -> Vec<(String, Work)> {
    (0..QUERIES as u64).map(|seed| ask(shard, seed).unwrap()).collect()
}

fn found(answers: &[(String, Work)]) -> Vec<&str> {
    answers.iter().map(|(found, _)| found.as_str()).collect()
}

fn files(io: &SharedIo) -> Vec<String> {
    let names = io.list(Path::new(DIR)).unwrap();
    names.into_iter().filter(|name| name.ends_with(".bits")).collect()
}

fn read(io: &SharedIo, name: &str) -> Vec<u8> {
    io.read(&Path::new(DIR).join(name)).unwrap()
}

fn put(io: &SharedIo, name: &str, bytes: &[u8]) {
    let path = Path::new(DIR).join(name);
    io.remove(&path).unwrap();
    io.create(&path).unwrap().write_at(bytes, 0).unwrap();
}

fn put_new(io: &SharedIo, bytes: &[u8]) {
    io.create(&Path::new(DIR).join(BITS_FILE)).unwrap().write_at(bytes, 0).unwrap();
}

/// Whether answers came from bits, and from few vectors; and whether bytes were read between.
fn are_by_bits(answers: &[(String, Work)]) -> (bool, bool) {
    let is_by_bits = |work: &Work| work.sign_distances == ROWS as u64 && work.distances < ROWS as u64 / 10;
    let works = || answers.iter().map(|(_, work)| work);
    (works().all(is_by_bits), works().all(|work| work.code_distances > 0))
}

#[test]
fn a_restart_answers_by_kept_bits_before_the_vectors_were_read() {
    for metric in [Metric::Cosine, Metric::DotProduct, Metric::Euclidean] {
        let io = kept(metric);
        assert_eq!(files(&io), [BITS_FILE]);
        let bytes = read(&io, BITS_FILE);
        let by_vectors = by_vectors(&io, metric);
        let shard = open(&io, metric);
        assert_eq!(shard.stats().derived_file_bytes, bytes.len() as u64);
        let by_bits = answers(&shard);
        assert_eq!(are_by_bits(&by_bits), (true, false), "{metric}");
        assert_eq!(found(&by_bits), found(&by_vectors), "{metric}");
        assert_eq!(shard.unverified_segments().len(), 1, "{metric}: most was not read");
        assert_eq!(derive(&shard), [Step::BuiltCodes], "{metric}: bytes");
        let by_both = answers(&shard);
        assert_eq!(are_by_bits(&by_both), (true, true), "{metric}");
        assert_eq!(found(&by_both), found(&by_vectors), "{metric}");
        assert!(read(&io, BITS_FILE) == bytes, "{metric}");
    }
}

#[test]
fn whoever_asks_at_once_waits_for_one_reading_and_finds_the_same() {
    let io = kept(Metric::Cosine);
    let (expected, shard) = (by_vectors(&io, Metric::Cosine), open(&io, Metric::Cosine));
    std::thread::scope(|scope| {
        let asked = (0..QUERIES as u64).map(|seed| {
            scope.spawn({
                let shard = &shard;
                move || ask(shard, seed).unwrap()
            })
        });
        let answers: Vec<(String, Work)> =
            asked.collect::<Vec<_>>().into_iter().map(|one| one.join().unwrap()).collect();
        assert_eq!(are_by_bits(&answers), (true, false));
        assert_eq!(found(&answers), found(&expected));
    });
}

#[test]
fn a_file_says_whose_codes_it_holds_and_what_they_find() {
    let io = kept(Metric::Cosine);
    let (file, _) = SegmentFile::open_any(&io, &Path::new(DIR).join(BITS_FILE)).unwrap();
    let KeptCodes { namespace: of, rows, recall, .. } = KeptCodes::of(&file).unwrap();
    assert_eq!((of, rows), (Some(namespace(1).id().get()), ROWS as u64));
    assert!(recall.mean > 0.99 && recall.queries >= 64, "{recall:?}");
    let segment = Path::new(DIR).join("segment-0000000000000001.seg");
    assert!(KeptCodes::of(&SegmentFile::open_any(&io, &segment).unwrap().0).is_err());
}

#[test]
fn a_deleted_row_is_no_result_of_kept_bits() {
    let io = kept(Metric::Cosine);
    let shard = open(&io, Metric::Cosine);
    let (before, _) = ask(&shard, 1).unwrap();
    let nearest = before[before.find("r").unwrap()..][..6].to_owned();
    shard.write(&namespace(1), Change::DeleteIds(vec![id(&nearest)])).unwrap();
    let (after, work) = ask(&shard, 1).unwrap();
    assert!(work.sign_distances > 0 && work.code_distances == 0);
    assert!(!after.contains(&nearest), "{nearest}: {after}");
}

#[test]
fn bits_alone_answer_where_there_is_no_room_for_bytes() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let clock = Arc::new(ManualClock::default());
    let limited = |bytes_max| {
        let budget = Arc::new(MemoryBudget::new(bytes_max, Arc::clone(&clock) as Arc<dyn Clock>));
        let options = ShardOptions { memory: Some(Arc::clone(&budget)), ..options() };
        (try_open(&io, Metric::Cosine, options).unwrap(), budget)
    };
    // A line and eight bytes a row in bytes, and three words a row in bits, and a line.
    let (of_bytes, of_bits) = (72 * ROWS as u64, 24 * ROWS as u64 + 64);
    let look = |shard: &Shard| {
        clock.advance(Duration::from_secs(1));
        shard.keep_memory();
    };
    let shard = limited(100 << 20).0;
    write(&shard, 1, ROWS);
    shard.seal().unwrap();
    let by_vectors = answers(&shard);
    drop(shard);
    for (is_first, room) in [(true, of_bits), (false, of_bits), (false, of_bits + of_bytes - 1)] {
        let (shard, budget) = limited(room);
        look(&shard);
        let made: &[Step] =
            if is_first { &[Step::BuiltCodes, Step::KeptCodes] } else { &[Step::LoadedCodes] };
        assert_eq!(derive(&shard), made, "{room}");
        assert_eq!(derive(&shard), [], "{room}: what has no room is not tried again and again");
        let by_bits = answers(&shard);
        assert_eq!((are_by_bits(&by_bits), found(&by_bits)), ((true, false), found(&by_vectors)));
        look(&shard);
        assert_eq!((budget.used(), shard.stats().resident_bytes()), (of_bits, of_bits));
    }
    let (shard, budget) = limited(of_bits + of_bytes);
    assert_eq!(derive(&shard), [Step::LoadedCodes, Step::BuiltCodes], "there is room for both");
    look(&shard);
    assert_eq!((are_by_bits(&answers(&shard)), budget.used()), ((true, true), of_bits + of_bytes));
    let (shard, _) = limited(of_bits - 1);
    assert_eq!(derive(&shard), [], "there is none for either");
    assert_eq!(found(&answers(&shard)), found(&by_vectors));
}

#[test]
fn what_was_dropped_for_its_memory_comes_back_from_its_file() {
    let (io, clock) = (kept(Metric::Cosine), Arc::new(ManualClock::default()));
    let room = 100 * ROWS as u64;
    let budget = Arc::new(MemoryBudget::new(room, Arc::clone(&clock) as Arc<dyn Clock>));
    let options = ShardOptions { memory: Some(budget), coded_rows_min: 2_000, ..options() };
    let shard = try_open(&io, Metric::Cosine, options).unwrap();
    let look = || {
        clock.advance(Duration::from_secs(1));
        shard.keep_memory();
    };
    assert_eq!(derive(&shard), [Step::LoadedCodes, Step::BuiltCodes]);
    write(&shard, 2, 2_000);
    look();
    assert_eq!(shard.stats().segments.iter().map(|one| one.derived.total()).sum::<u64>(), 0, "it went");
    assert_eq!(derive(&shard), [], "what was dropped waits for a query");
    let by_vectors = by_vectors(&io, Metric::Cosine);
    let (first, second) = (ask(&shard, 0).unwrap(), answers(&shard));
    assert_eq!((first.1.sign_distances, first.0), (0, by_vectors[0].0.clone()), "the first who asks");
    assert_eq!(are_by_bits(&second), (true, false), "whoever comes then has it read");
    assert_eq!(found(&second), found(&by_vectors));
    look();
    assert_eq!(derive(&shard), [], "there is no room for more");
}

#[test]
fn a_merge_takes_the_codes_of_its_inputs_with_it_and_a_start_those_of_none() {
    let io = kept(Metric::Cosine);
    let shard = open(&io, Metric::Cosine);
    derive(&shard);
    write(&shard, 2, 10);
    shard.compact().unwrap();
    assert_eq!(files(&io), Vec::<String>::new());
    // The merge carried the codes over.
    assert_eq!(derive(&shard).last(), Some(&Step::KeptCodes));
    let names = files(&io);
    assert!(names.contains(&"segment-0000000000000003.namespace-0000000000000001.bits".into()), "{names:?}");
    let bytes = read(&io, &names[0]);
    drop(shard);
    put_new(&io, &bytes);
    let shard = open(&io, Metric::Cosine);
    assert_eq!(files(&io), names, "what belongs to no segment is removed");
    assert_eq!(next(&shard), Step::LoadedCodes);
}

#[test]
fn a_disk_without_room_has_the_files_back_and_they_are_made_again_once_there_is_some() {
    let io = kept_on(Arc::new(MemoryIo::holding(1 << 30)), Metric::Cosine);
    let clock = Arc::new(ManualClock::default());
    let with_mark = |full| {
        let marks = DiskMarks { low: Some(full), full: Some(full) };
        let disk = Arc::new(DiskBudget::new(Arc::clone(&io), Path::new(DIR), marks, Arc::clone(&clock) as _));
        try_open(&io, Metric::Cosine, ShardOptions { disk: Some(disk), ..options() }).unwrap()
    };
    let shard = with_mark(1 << 62);
    let before = answers(&shard);
    let given_up = &shard.inner.is_given_up;
    given_up.store(true, Ordering::Release);
    assert_eq!(
        (shard.step().unwrap(), files(&io)),
        (Step::Idle, vec![BITS_FILE.to_owned()]),
        "left as it is"
    );
    given_up.store(false, Ordering::Release);
    assert_eq!((shard.step().unwrap(), files(&io)), (Step::Idle, Vec::new()));
    assert_eq!(derive(&shard), [Step::BuiltCodes], "bytes, and nothing is kept");
    assert_eq!(found(&answers(&shard)), found(&before));
    drop(shard);
    let shard = with_mark(0);
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::KeptCodes]);
    assert_eq!(files(&io), [BITS_FILE]);
}

#[test]
fn a_file_that_cannot_be_written_is_done_without() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io, Metric::Cosine);
    write(&shard, 1, ROWS);
    shard.seal().unwrap();
    // Nothing can be created under this name, and it cannot be removed.
    io.create_dir_all(&unfinished_path(&Path::new(DIR).join(BITS_FILE))).unwrap();
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::KeptCodes], "it is tried once");
    assert_eq!((files(&io), shard.poisoned()), (Vec::new(), None));
    assert_eq!(are_by_bits(&answers(&shard)), (true, true));
}

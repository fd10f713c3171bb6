//! Tenants that move while they are read and written, in a whole engine with its threads; and everything that may be asked of a move.
//! Power cuts and failing calls in the middle of moves are in `disk`.

use super::*;
use crate::{Environment, MovePhase, MoveReport, MoveSettings, VectorQuery};
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{Dim, Record, Vector};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

const DIM: u32 = 8;
const LONG: Duration = Duration::from_secs(120);

fn settings_of_moves() -> EngineSettings {
    EngineSettings::offline(4, DIM).unwrap()
}

/// An engine whose moves go on only where a test takes a step.
pub(crate) fn stepped(io: &SharedIo) -> Engine {
    Engine::open(Path::new("/data"), stepped_settings(io)).unwrap()
}

fn stepped_settings(io: &SharedIo) -> EngineSettings {
    let environment = Environment::stepped(Arc::clone(io));
    EngineSettings { catalog: crate::CatalogKind::File, environment, ..settings_of_moves() }
}

fn id(number: u64) -> RecordId {
    RecordId::new(&format!("r{number:05}")).unwrap()
}

/// A record that tells its version.
fn record(number: u64, version: u64) -> Record {
    let mut rng = SeededRng::new(number * 1_000_003 + version);
    let components: Vec<f32> = (0..DIM).map(|_| rng.unit() as f32 + 0.01).collect();
    let fields = [("version".to_owned(), MetadataValue::Number(version as f64))];
    let vector = Vector::new(components, Dim::new(DIM).unwrap()).unwrap();
    let metadata = Metadata::new(fields.into_iter().collect()).unwrap();
    Record { id: id(number), vector, sparse: None, metadata }
}

pub(crate) fn upsert(engine: &Engine, tenant: &str, numbers: std::ops::Range<u64>, version: u64) {
    let records = numbers.map(|number| record(number, version)).collect();
    engine.write(tenant, Change::Upsert(records)).unwrap();
}

pub(crate) fn version_of(engine: &Engine, tenant: &str, number: u64) -> Option<u64> {
    let found = engine.tenant(tenant).unwrap().fetch(&[id(number)]).unwrap();
    found.first().map(|one| match one.record.metadata.get("version") {
        Some(MetadataValue::Number(version)) => *version as u64,
        other => panic!("{other:?}"),
    })
}

pub(crate) fn elsewhere(engine: &Engine, tenant: &str) -> u32 {
    (engine.lookup(tenant).unwrap().unwrap().shard.get() + 1) % 4
}

fn end(engine: &Engine, report: &MoveReport) -> MoveReport {
    let ended = engine.await_move(report.id, LONG).unwrap();
    assert!(ended.phase.is_ended(), "{ended:?}");
    ended
}

/// One copy of every tenant, and nothing that is to be dropped.
pub(crate) fn assert_tidy(engine: &Engine) {
    let mut copies = BTreeMap::new();
    for (shard, copy) in engine.inner.copies() {
        let before = copies.insert(copy.namespace.name().clone(), shard);
        assert!(before.is_none(), "{} is on {shard} and on {before:?}", copy.namespace.name());
    }
    assert_eq!(engine.inner.routing.routes().copies_to_drop().iter().count(), 0);
    assert_eq!(engine.diagnose().findings, []);
}

/// Clients of a tenant that moves. Writers each own some ids, so that each knows what it must read; a reader looks at positions, lists and
/// searches.
struct Clients<'a> {
    engine: &'a Engine,
    are_over: AtomicBool,
    written: AtomicU64,
}

const WRITERS: u64 = 3;
/// Records that nobody changes.
const STILL: u64 = 1_500;

impl Clients<'_> {
    /// Writes until it is over; gives the versions that it left.
    fn write(&self, writer: u64) -> BTreeMap<u64, u64> {
        let (engine, mut rng, mut mine) = (self.engine, SeededRng::new(writer), BTreeMap::new());
        for version in 1.. {
            if self.are_over.load(Relaxed) {
                break;
            }
            let number = 10_000 * (writer + 1) + rng.below(300);
            if rng.below(5) == 0 {
                engine.write("acme", Change::DeleteIds(vec![id(number)])).unwrap();
                mine.remove(&number);
            } else {
                upsert(engine, "acme", number..number + 1, version);
                mine.insert(number, version);
            }
            let read = version_of(engine, "acme", number);
            assert_eq!(read, mine.get(&number).copied(), "what was answered is read");
            self.written.fetch_add(1, Relaxed);
        }
        mine
    }

    fn read(&self) {
        let mut seen = pinyon_types::SeqNo::ZERO;
        while !self.are_over.load(Relaxed) {
            let tenant = self.engine.tenant("acme").unwrap();
            let now = tenant.visible_seq().unwrap();
            assert!(now >= seen, "positions fall from {seen} to {now}");
            seen = now;
            let ids = tenant.list("r0", None, 100).unwrap().ids;
            let more = tenant.list("r0", ids.last(), 100).unwrap().ids;
            assert_eq!((ids.len(), more.len()), (100, 100));
            self.search();
            assert_eq!(self.engine.namespaces("").len(), 2);
        }
    }

    /// Everything finds the record of each tenant once, the tenant's own search its own.
    fn search(&self) {
        let vector = record(7, 0).vector.as_slice().to_vec();
        let query = |reach| VectorQuery::dense(vector.clone(), reach, 5);
        let answer = self.engine.query_vector(query(Reach::All)).unwrap();
        let found: Vec<_> =
            answer.results.iter().filter(|one| one.id == id(7)).map(|one| &one.tenant).collect();
        assert_eq!(found.len(), 2, "acme's and other's, each once: {:?}", answer.results);
        let own = self.engine.query_vector(query(Reach::Tenant("acme".into()))).unwrap();
        assert_eq!(own.results[0].id, id(7));
    }

    /// Moves the tenant on while it is written to.
    fn move_on(&self, turn: u64) -> MoveReport {
        let to = elsewhere(self.engine, "acme");
        let report = self.engine.move_tenant("acme", to, &format!("turn {turn}")).unwrap();
        let before = self.written.load(Relaxed);
        while self.written.load(Relaxed) < before + 20 {
            std::thread::yield_now();
        }
        end(self.engine, &report)
    }
}

#[test]
fn a_tenant_moves_under_readers_and_writers_and_nobody_is_refused_or_told_a_lie() {
    let dir = scratch("moves-busy");
    let engine = Engine::open(&dir, settings_of_moves()).unwrap();
    upsert(&engine, "acme", 0..STILL, 0);
    upsert(&engine, "other", 0..200, 0);
    let clients = Clients { engine: &engine, are_over: false.into(), written: 0.into() };
    let expected = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let clients = &clients;
                    move || clients.write(writer)
                })
            })
            .collect();
        let reader = scope.spawn(|| clients.read());
        for turn in 0..12 {
            let ended = clients.move_on(turn);
            assert_eq!((ended.phase, ended.error), (MovePhase::Done, None));
            assert_eq!(engine.lookup("acme").unwrap().unwrap().shard, ended.to);
        }
        clients.are_over.store(true, Relaxed);
        reader.join().unwrap();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<BTreeMap<u64, u64>>()
    });
    for (number, version) in &expected {
        assert_eq!(version_of(&engine, "acme", *number), Some(*version));
    }
    let all = STILL + expected.len() as u64;
    assert_eq!(records(&engine, "acme"), all);
    assert_tidy(&engine);
    drop(engine);
    let engine = Engine::open(&dir, settings_of_moves()).unwrap();
    assert_eq!(records(&engine, "acme"), all);
    assert_tidy(&engine);
    drop(engine);
    remove(&dir);
}

#[test]
fn what_cannot_be_moved_is_refused_by_name_and_the_same_request_is_the_same_move() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let engine = stepped(&io);
    upsert(&engine, "acme", 0..10, 0);
    let (here, there) = (engine.lookup("acme").unwrap().unwrap().shard.get(), elsewhere(&engine, "acme"));
    let refused = |tenant: &str, to, request: &str| engine.move_tenant(tenant, to, request).unwrap_err().code;
    assert_eq!(refused("nobody", there, ""), ErrorCode::NotFound);
    assert_eq!(refused("acme", here, ""), ErrorCode::FailedPrecondition);
    assert_eq!(refused("acme", 4, ""), ErrorCode::InvalidArgument);
    assert_eq!(refused("", there, ""), ErrorCode::InvalidArgument);
    assert_eq!(engine.moves(), [], "nothing was entered");
    assert_eq!(engine.find_move(7), None);
    assert_eq!(engine.abort_move(7).unwrap_err().code, ErrorCode::NotFound);
    let begun = engine.move_tenant("acme", there, "once").unwrap();
    assert_eq!(engine.move_tenant("acme", there, "once").unwrap().id, begun.id);
    assert_eq!(refused("acme", there, "twice"), ErrorCode::FailedPrecondition);
    assert_eq!(refused("acme", (there + 1) % 4, "once"), ErrorCode::FailedPrecondition);
    // What would change its route waits until it has ended.
    assert_eq!(engine.assign("acme", here).unwrap_err().code, ErrorCode::FailedPrecondition);
    assert_eq!(engine.erase("acme").unwrap_err().code, ErrorCode::FailedPrecondition);
    while engine.step() {}
    let ended = engine.find_move(begun.id).unwrap();
    assert_eq!((ended.phase, ended.to.get(), ended.request_id.as_str()), (MovePhase::Done, there, "once"));
    assert_eq!(engine.move_tenant("acme", there, "once").unwrap(), ended, "it is remembered");
    assert_eq!(engine.abort_move(begun.id).unwrap_err().code, ErrorCode::FailedPrecondition);
    assert_tidy(&engine);
    engine.erase("acme").unwrap();
    assert_eq!(engine.moves(), [], "a tenant that was erased is in no job");
}

#[test]
fn a_move_goes_on_after_a_restart_from_wherever_it_was() {
    for steps in 0..4 {
        let io: SharedIo = Arc::new(MemoryIo::new());
        let engine = stepped(&io);
        upsert(&engine, "acme", 0..50, 1);
        let begun = engine.move_tenant("acme", elsewhere(&engine, "acme"), "").unwrap();
        (0..steps).for_each(|_| assert!(engine.step()));
        let phase = engine.find_move(begun.id).unwrap().phase;
        upsert(&engine, "acme", 20..60, 2);
        drop(engine);
        let engine = stepped(&io);
        upsert(&engine, "acme", 55..70, 3);
        while engine.step() {}
        assert_eq!(engine.find_move(begun.id).unwrap().phase, MovePhase::Done, "from {phase:?}");
        let versions = [0, 19, 20, 54, 55, 69, 70].map(|number| version_of(&engine, "acme", number));
        assert_eq!(versions, [Some(1), Some(1), Some(2), Some(2), Some(3), Some(3), None], "from {phase:?}");
        assert_eq!((records(&engine, "acme"), engine.lookup("acme").unwrap().unwrap().shard), (70, begun.to));
        assert_tidy(&engine);
    }
}

#[test]
fn a_move_that_is_aborted_leaves_the_tenant_where_it_was_and_nothing_elsewhere() {
    let dir = scratch("moves-abort");
    let moves = MoveSettings { rows_per_second: 500, ..MoveSettings::default() };
    let engine = Engine::open(&dir, EngineSettings { moves, ..settings_of_moves() }).unwrap();
    upsert(&engine, "acme", 0..1_000, 1);
    upsert(&engine, "acme", 1_000..2_000, 1);
    upsert(&engine, "acme", 2_000..3_000, 1);
    let home = engine.lookup("acme").unwrap().unwrap();
    let begun = engine.move_tenant("acme", elsewhere(&engine, "acme"), "").unwrap();
    let has_copied = || engine.find_move(begun.id).unwrap().work.is_some_and(|work| work.rows > 0);
    while !has_copied() {
        std::thread::yield_now();
    }
    assert_eq!(engine.inner.copies().count(), 2, "the copy is there");
    let find = |reach| engine.query_vector(VectorQuery::dense(vec![1.0; 8], reach, 3_000)).unwrap().results;
    assert!(find(Reach::All) == find(Reach::Tenant("acme".into())), "and left out of searches");
    assert_eq!(engine.namespaces("")[0].records, 3_000);
    engine.abort_move(begun.id).unwrap();
    assert_eq!(end(&engine, &begun).phase, MovePhase::Aborted);
    assert_eq!(engine.abort_move(begun.id).unwrap().phase, MovePhase::Aborted, "may be asked for twice");
    let now = engine.lookup("acme").unwrap().unwrap();
    assert_eq!((now.shard, now.namespace, records(&engine, "acme")), (home.shard, home.namespace, 3_000));
    upsert(&engine, "acme", 0..10, 2);
    assert_eq!(version_of(&engine, "acme", 3), Some(2));
    assert_tidy(&engine);
    // Another one of it may begin.
    let begun = engine.move_tenant("acme", elsewhere(&engine, "acme"), "").unwrap();
    drop(engine);
    let engine = Engine::open(&dir, settings_of_moves()).unwrap();
    assert_eq!(end(&engine, &begun).phase, MovePhase::Done);
    assert_eq!((records(&engine, "acme"), version_of(&engine, "acme", 3)), (3_000, Some(2)));
    assert_tidy(&engine);
    drop(engine);
    remove(&dir);
}

#[test]
fn a_tenant_without_records_and_one_whose_records_go_meanwhile_are_moved_too() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let engine = stepped(&io);
    engine.place("empty").unwrap();
    upsert(&engine, "gone", 0..100, 0);
    for tenant in ["empty", "gone"] {
        let to = elsewhere(&engine, tenant);
        let begun = engine.move_tenant(tenant, to, "").unwrap();
        if tenant == "gone" {
            engine.drop_namespace(tenant).unwrap();
        }
        while engine.step() {}
        assert_eq!(engine.find_move(begun.id).unwrap().phase, MovePhase::Done);
        assert_eq!((engine.lookup(tenant).unwrap().unwrap().shard.get(), records(&engine, tenant)), (to, 0));
        upsert(&engine, tenant, 0..5, 1);
        assert_eq!(records(&engine, tenant), 5);
    }
    assert_tidy(&engine);
    drop(engine);
    let engine = stepped(&io);
    assert_eq!((records(&engine, "empty"), records(&engine, "gone")), (5, 5));
    assert_tidy(&engine);
}

/// Readers of an old view hold the copy that it leads to: it is dropped when they are gone.
#[test]
fn a_reader_that_began_before_the_switch_reads_to_its_end() {
    let dir = scratch("moves-reader");
    let engine = Engine::open(&dir, settings_of_moves()).unwrap();
    upsert(&engine, "acme", 0..500, 1);
    for turn in 0..4 {
        let reader = engine.tenant("acme").unwrap();
        let begun = engine.move_tenant("acme", elsewhere(&engine, "acme"), "").unwrap();
        // The first wait is for readers who do not know what to leave out.
        let waits = || engine.find_move(begun.id).unwrap().work.is_some_and(|work| work.waits_for_readers);
        while !waits() {
            std::thread::yield_now();
        }
        let state = if turn == 0 { 500 } else { 501 };
        assert_eq!(reader.list("", None, 1_000).unwrap().ids.len(), state);
        drop(reader);
        let reader = engine.tenant("acme").unwrap();
        while engine.find_move(begun.id).unwrap().phase == MovePhase::Copying {
            std::thread::yield_now();
        }
        let seen = reader.visible_seq().unwrap();
        upsert(&engine, "acme", 500..501, turn);
        upsert(&engine, "other", 0..300, turn);
        assert!(engine.tenant("acme").unwrap().visible_seq().unwrap() > seen);
        assert_eq!(reader.visible_seq().unwrap(), seen, "others' writes raise it no more");
        assert_eq!(reader.list("", None, 1_000).unwrap().ids.len(), state, "what it began with");
        assert_eq!(engine.find_move(begun.id).unwrap().phase, MovePhase::Cleaning);
        drop(reader);
        assert_eq!(end(&engine, &begun).phase, MovePhase::Done);
    }
    assert_tidy(&engine);
    drop(engine);
    remove(&dir);
}

/// Repairs an engine that does not open.
fn repair_if_need_be(io: &SharedIo, context: &str) {
    let (dir, settings) = (Path::new("/data"), stepped_settings(io));
    if Engine::open(dir, settings.clone()).is_err() {
        let engine = Engine::open_for_repair(dir, settings).unwrap();
        let (_, left) = engine.repair().unwrap();
        assert_eq!(left.findings, [], "{context}");
    }
}

/// The catalog's only file goes back to what it was before the move, or is lost: whichever copy counts has all that was acknowledged.
#[test]
fn a_catalog_that_went_back_behind_a_move_is_noticed_and_rebuilt_from_the_copies() {
    let entries = Path::new("/data/catalog/file/entries");
    for (steps, is_lost) in (0..5).flat_map(|steps| [(steps, false), (steps, true)]) {
        let io: SharedIo = Arc::new(MemoryIo::new());
        let engine = stepped(&io);
        upsert(&engine, "acme", 0..50, 1);
        let before = io.read(entries).unwrap();
        engine.move_tenant("acme", elsewhere(&engine, "acme"), "").unwrap();
        (0..steps).for_each(|_| {
            engine.step();
        });
        let (versions, count) = if steps == 0 { (1, 50) } else { (2, 60) };
        if steps > 0 {
            upsert(&engine, "acme", 40..60, 2);
        }
        drop(engine);
        match is_lost {
            true => io.remove(entries).unwrap(),
            false => pinyon_storage::io::write_file_atomically(&*io, entries, &before).unwrap(),
        }
        let context = format!("{steps} steps, lost: {is_lost}");
        repair_if_need_be(&io, &context);
        let engine = stepped(&io);
        while engine.step() {}
        let found = (records(&engine, "acme"), version_of(&engine, "acme", 45));
        assert_eq!(found, (count, Some(versions)), "{context}");
        let all = engine.query_vector(VectorQuery::dense(vec![1.0; 8], Reach::All, 1_000)).unwrap();
        assert_eq!(all.results.len() as u64, count, "{context}: nothing is found twice");
        // A tenant that comes then is given no number that somebody's records have.
        for (tenant, shard) in ["new-0", "new-1", "new-2", "new-3"].into_iter().zip(0..) {
            engine.assign(tenant, shard).unwrap();
            assert_eq!(records(&engine, tenant), 0, "{context}");
        }
        engine.erase("acme").unwrap();
        assert_eq!(engine.inner.copies().count(), 0, "{context}: not even what was left over");
        assert_tidy(&engine);
    }
}

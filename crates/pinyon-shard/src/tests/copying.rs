//! Namespaces copied out while they change: the copy must become what the namespace is.

use super::{
    id, namespace, open,
    operations::{Model, NAMESPACES, random_change},
    upsert,
};
use crate::{Change, LocalWatch, Located, Noted, Shard, ShardError, Step};
use pinyon_backend::ScanPage;
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{Metric, Record, RecordId, SeededRng, limits};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

const PAGE_BYTES: usize = 200;
/// Rounds of notes that four writers are watched for.
const ROUNDS: u32 = 40;

/// What a mover does, with a map for the other shard.
struct Copier {
    shard: Shard,
    space: u64,
    watch: LocalWatch,
    copy: BTreeMap<RecordId, Record>,
    /// The last id that a page gave; none before the first.
    after: Option<RecordId>,
    is_scanned: bool,
}

impl Copier {
    fn begin(shard: &Shard, space: u64, bytes_max: usize) -> Self {
        let (shard, watch) = (shard.clone(), shard.watch(&namespace(space), bytes_max).unwrap());
        Self { shard, space, watch, copy: BTreeMap::new(), after: None, is_scanned: false }
    }

    fn page(&mut self, limit: usize) {
        let scanned = self.shard.scan(
            &namespace(self.space),
            ScanPage { after: self.after.as_ref(), limit, bytes_max: PAGE_BYTES },
        );
        let (found, has_more) = scanned.unwrap();
        assert!(
            found.len() <= limit && (found.len() == 1 || bytes(&found) <= PAGE_BYTES || found.is_empty())
        );
        assert!(!(found.is_empty() && has_more), "nobody gets any further");
        self.after = found.last().map(Located::id).or(self.after.take());
        self.put(&found);
        self.is_scanned |= !has_more;
    }

    fn put(&mut self, found: &[Located]) {
        self.copy.extend(found.iter().map(|one| (one.id(), one.stored().record)));
    }

    /// Does what the notes say; returns whether there were any.
    fn catch_up(&mut self) -> bool {
        let noted = self.watch.take().unwrap();
        assert!(noted.seq <= self.shard.last_seq());
        let Noted { is_cleared, ids, range, seq: _ } = &noted;
        if *is_cleared {
            self.copy.clear();
        }
        if let Some((first, last)) = range {
            assert!(first <= last);
            self.compare(first, last);
        }
        let ids: Vec<RecordId> = ids.iter().cloned().collect();
        ids.iter().for_each(|id| drop(self.copy.remove(id)));
        for ids in ids.chunks(limits::BATCH_RECORDS_MAX) {
            let found = self.shard.find(&namespace(self.space), ids).unwrap();
            self.put(&found);
        }
        !noted.is_empty()
    }

    /// Copies a range of ids once more.
    fn compare(&mut self, first: &RecordId, last: &RecordId) {
        self.copy.retain(|id, _| id < first || id > last);
        let all = self.shard.list(&namespace(self.space), "", None, 1_000).unwrap();
        let ids: Vec<RecordId> = all.ids.into_iter().filter(|id| (first..=last).contains(&id)).collect();
        let found = self.shard.find(&namespace(self.space), &ids).unwrap();
        self.put(&found);
    }
}

fn bytes(found: &[Located]) -> usize {
    found.iter().map(Located::bytes).sum()
}

#[test]
fn a_copy_becomes_what_the_namespace_is_whatever_is_written_meanwhile() {
    let seed = std::env::var("PINYON_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in seed.map_or(1..=200, |seed: u64| seed..=seed) {
        let mut rng = SeededRng::new(seed);
        let io: SharedIo = Arc::new(MemoryIo::new());
        let shard = open(&io, Metric::Euclidean).unwrap();
        let mut model = Model::default();
        let mut write = |rng: &mut SeededRng| {
            let (space, change) = (rng.below(NAMESPACES), random_change(rng));
            model.apply(space, &change);
            shard.write(&namespace(space), change).unwrap();
        };
        (0..rng.below(40)).for_each(|_| write(&mut rng));
        let bytes_max = [0, 300, 1_000, 1 << 20][rng.below(4) as usize];
        let mut copier = Copier::begin(&shard, rng.below(NAMESPACES), bytes_max);
        for _ in 0..80 {
            match rng.below(8) {
                0..=3 => write(&mut rng),
                4..=5 if !copier.is_scanned => copier.page(1 + rng.below(5) as usize),
                6 => drop(copier.catch_up()),
                _ => drop(shard.step().unwrap()),
            }
        }
        while !copier.is_scanned {
            copier.page(3);
        }
        while copier.catch_up() {}
        let expected = model.0.get(&copier.space).cloned().unwrap_or_default();
        assert_eq!(copier.copy, expected, "PINYON_SEED={seed}");
    }
}

#[test]
fn no_change_of_four_writers_escapes_a_watch_that_is_taken_all_the_time() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io, Metric::Cosine).unwrap();
    let keepers = super::keepers();
    let keeping = keepers.keep(&shard);
    let rounds = AtomicU32::new(0);
    let mut copier = Copier::begin(&shard, 1, 1 << 20);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (shard, rounds) = (&shard, &rounds);
            scope.spawn(move || {
                let mut rng = SeededRng::new(writer);
                while rounds.load(Relaxed) < ROUNDS {
                    let ids = (0..4).map(|_| id(&format!("r-{:02}", rng.below(40)))).collect();
                    let is_deletion = rng.below(4) == 0;
                    let change = if is_deletion { Change::DeleteIds(ids) } else { upsert(4, &mut rng) };
                    shard.write(&namespace(1), change).unwrap();
                }
            });
        }
        while rounds.load(Relaxed) < ROUNDS {
            rounds.fetch_add(u32::from(copier.catch_up()), Relaxed);
            if !copier.is_scanned {
                copier.page(2);
            }
        }
    });
    drop(keeping);
    while !copier.is_scanned {
        copier.page(100);
    }
    copier.catch_up();
    let all =
        shard.scan(&namespace(1), ScanPage { after: None, limit: 1_000, bytes_max: usize::MAX }).unwrap().0;
    let all: BTreeMap<_, _> = all.iter().map(|one| (one.id(), one.stored().record)).collect();
    assert!(!all.is_empty());
    assert_eq!(copier.copy, all);
}

#[test]
fn notes_are_of_their_namespace_and_begin_anew_with_every_taking() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io, Metric::Cosine).unwrap();
    let mut rng = SeededRng::new(1);
    let record = |name: &str, rng: &mut SeededRng| {
        let Change::Upsert(mut records) = upsert(1, rng) else { unreachable!() };
        records[0].id = id(name);
        Change::Upsert(records)
    };
    shard.write(&namespace(1), record("before", &mut rng)).unwrap();
    let mut watch = shard.watch(&namespace(1), 1 << 20).unwrap();
    assert!(watch.take().unwrap().is_empty());
    shard.write(&namespace(2), record("of another", &mut rng)).unwrap();
    shard.write(&namespace(1), record("a", &mut rng)).unwrap();
    let last = shard.write(&namespace(1), Change::DeleteIds(vec![id("before"), id("none")])).unwrap();
    let noted = watch.take().unwrap();
    assert_eq!(noted.ids.iter().map(RecordId::as_str).collect::<Vec<_>>(), ["a", "before", "none"]);
    assert_eq!((noted.is_cleared, noted.range, noted.seq), (false, None, last.seq));
    shard.write(&namespace(1), record("gone", &mut rng)).unwrap();
    shard.write(&namespace(1), Change::DeleteAll).unwrap();
    shard.write(&namespace(1), record("after", &mut rng)).unwrap();
    let noted = watch.take().unwrap();
    assert_eq!((noted.is_cleared, noted.ids.len()), (true, 1));
    assert!(watch.take().unwrap().is_empty());
    drop(watch);
    shard.write(&namespace(1), record("unseen", &mut rng)).unwrap();
    assert!(shard.inner.writer.lock().unwrap().watches.is_empty(), "who watches no more costs nothing");
}

#[test]
fn what_is_noted_takes_no_more_than_it_may() {
    const BYTES_MAX: usize = 4_000;
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io, Metric::Cosine).unwrap();
    let mut watch = shard.watch(&namespace(1), BYTES_MAX).unwrap();
    for batch in 0..50 {
        let ids = (0..100).map(|number| id(&format!("k-{:05}", 100 * batch + number)));
        shard.write(&namespace(1), Change::DeleteIds(ids.collect())).unwrap();
    }
    let noted = watch.take().unwrap();
    assert!(noted.ids.len() * 64 <= BYTES_MAX, "{} ids", noted.ids.len());
    let (first, last) = noted.range.unwrap();
    let is_told = |number| {
        let id = id(&format!("k-{number:05}"));
        (&first..=&last).contains(&&id) || noted.ids.contains(&id)
    };
    assert!((0..5_000).all(is_told));
}

#[test]
fn a_shard_that_takes_no_writes_any_more_says_so_instead_of_giving_notes() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io, Metric::Cosine).unwrap();
    let mut watch = shard.watch(&namespace(1), 1 << 20).unwrap();
    while shard.step().unwrap() != Step::Idle {}
    shard.close().unwrap();
    assert!(matches!(watch.take(), Err(ShardError::Poisoned { .. })));
    assert!(matches!(shard.watch(&namespace(1), 1), Err(ShardError::Poisoned { .. })));
}

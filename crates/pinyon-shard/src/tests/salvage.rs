//! What is left of a damaged shard: nothing that is kept is wrong, what is not kept was damaged, and the new shard holds what was told.

use super::{DIR, namespace, options, random_record, shape};
use crate::{Birth, Change, Namespace, Salvage, Shard, ShardPlace, Step};
use pinyon_storage::{
    Owner,
    io::{MemoryIo, SharedIo},
    witness::Witness,
};
use pinyon_types::{Metric, Record, RecordId, SeededRng, SeqNo, UniqueId, limits};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

const NEW: &str = "/data/new";
const NAMESPACES: u64 = 3;

/// Every record of every namespace.
type Records = BTreeMap<(u64, String), Record>;

struct History {
    io: SharedIo,
    now: Records,
    /// Every version that ever was.
    ever: BTreeMap<(u64, String), Vec<Record>>,
}

/// Writes, overwrites, deletes, seals and merges; ends cleanly or not.
fn history(rng: &mut SeededRng) -> History {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io);
    let (mut now, mut ever) = (Records::new(), BTreeMap::<_, Vec<Record>>::new());
    for _ in 0..30 {
        let space = rng.below(NAMESPACES);
        match rng.below(10) {
            0 => {
                shard.write(&namespace(space), Change::DeleteAll).unwrap();
                now.retain(|(of, _), _| *of != space);
            }
            1 => {
                let ids: Vec<String> =
                    now.keys().filter(|(of, _)| *of == space).map(|(_, id)| id.clone()).take(3).collect();
                let gone = ids.iter().map(|id| RecordId::new(id).unwrap()).collect();
                shard.write(&namespace(space), Change::DeleteIds(gone)).unwrap();
                ids.into_iter().for_each(|id| drop(now.remove(&(space, id))));
            }
            2 | 3 => drop(shard.seal().unwrap()),
            4 => drop(shard.step().unwrap()),
            _ => {
                let records: Vec<Record> = (0..1 + rng.below(20)).map(|_| random_record(rng)).collect();
                shard.write(&namespace(space), Change::Upsert(records.clone())).unwrap();
                for record in records {
                    let key = (space, record.id.to_string());
                    ever.entry(key.clone()).or_default().push(record.clone());
                    now.insert(key, record);
                }
            }
        }
    }
    if rng.below(2) == 0 {
        shard.close().unwrap();
    }
    History { io, now, ever }
}

/// With a witness, who knows what was acknowledged.
fn place(io: &SharedIo) -> ShardPlace {
    let name = UniqueId::new([5; UniqueId::BYTES]);
    let witness = Some(Arc::new(Witness::open(io, Path::new("/data"), name).unwrap()));
    let owner = Owner { number: 2, index: name, shard: name };
    ShardPlace { owner, birth: Birth::Making, made_with: None, witness, starts_after: SeqNo::ZERO }
}

fn open(io: &SharedIo) -> Shard {
    Shard::open_in(io, Path::new(DIR), (shape(Metric::Cosine), place(io)), options()).unwrap()
}

fn examine(io: &SharedIo) -> Salvage {
    Salvage::examine(io, Path::new(DIR), (shape(Metric::Cosine), place(io))).unwrap()
}

fn all_of(shard: &Shard) -> Records {
    let mut found = Records::new();
    for space in 0..NAMESPACES {
        let ids = shard.list(&namespace(space), "", None, limits::LIST_PAGE_MAX).unwrap().ids;
        let records = shard.fetch(&namespace(space), &ids).unwrap();
        found.extend(records.into_iter().map(|one| ((space, one.record.id.to_string()), one.record)));
    }
    found
}

/// Writes what is left into a new shard, which is opened again.
fn written(history: &History, salvage: Salvage) -> (Records, Shard) {
    let told = salvage.report().kept();
    let report = salvage.write(&history.io, Path::new(NEW), options()).unwrap();
    assert_eq!(report.kept(), told);
    let shard = Shard::open(&history.io, Path::new(NEW), shape(Metric::Cosine), options()).unwrap();
    let found = all_of(&shard);
    assert_eq!(found.len() as u64, told);
    (found, shard)
}

fn seed() -> u64 {
    std::env::var("PINYON_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(41)
}

#[test]
fn a_whole_shard_is_left_whole_and_its_positions_go_on() {
    let mut rng = SeededRng::new(seed());
    for _ in 0..20 {
        let history = history(&mut rng);
        let before = history.io.list(Path::new(DIR)).unwrap();
        let bytes: Vec<Vec<u8>> =
            before.iter().map(|name| history.io.read(&Path::new(DIR).join(name)).unwrap()).collect();
        let salvage = examine(&history.io);
        let report = salvage.report().clone();
        assert!(report.problems.is_empty() && report.lost() + report.unknown == 0, "{report:?}");
        let (found, shard) = written(&history, salvage);
        assert_eq!(found, history.now);
        let old = open(&history.io);
        let next = |shard: &Shard, at: &Namespace| shard.write(at, Change::DeleteAll).unwrap().seq;
        assert!(next(&shard, &namespace(0)) > next(&old, &namespace(0)), "positions are not given again");
        drop(old);
        let after = before.iter().zip(&bytes).filter(|(name, _)| name.ends_with(".seg"));
        for (name, bytes) in after {
            let same = history.io.read(&Path::new(DIR).join(name));
            assert!(same.is_err() || same.unwrap() == *bytes, "{name}");
        }
    }
}

/// A file of the shard and what is done to it; `None` if there is nothing to do it to.
fn damage(io: &SharedIo, rng: &mut SeededRng) -> Option<String> {
    let names = io.list(Path::new(DIR)).unwrap();
    let name = names.get(rng.below(names.len() as u64) as usize)?.clone();
    let path = Path::new(DIR).join(&name);
    let mut bytes = io.read(&path).unwrap();
    let used = bytes.iter().rposition(|&byte| byte != 0)? + 1;
    let at = rng.below(used as u64) as usize;
    match rng.below(5) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => {
            let end = (at + 1 + rng.below(300) as usize).min(used);
            bytes[at..end].fill(0);
        }
        2 => bytes.truncate(at),
        3 => {
            let end = (at + 64).min(used);
            bytes[at..end].iter_mut().for_each(|byte| *byte = rng.next_u64() as u8);
        }
        _ => {
            io.remove(&path).unwrap();
            return Some(format!("{name} removed"));
        }
    }
    io.remove(&path).unwrap();
    io.create(&path).unwrap().write_at(&bytes, 0).unwrap();
    Some(format!("{name} at {at}"))
}

#[test]
fn nothing_that_is_left_is_wrong_and_what_is_not_is_counted() {
    let seed = seed();
    let mut rng = SeededRng::new(seed);
    let (mut all, mut kept_all, mut partly) = (0, 0, 0);
    for round in 0..300 {
        let history = history(&mut rng);
        let Some(what) = damage(&history.io, &mut rng) else { continue };
        let case = format!("seed {seed} round {round}: {what}");
        let salvage = examine(&history.io);
        let report = salvage.report().clone();
        let (found, _) = written(&history, salvage);
        for (key, record) in &found {
            let versions = history.ever.get(key).unwrap_or_else(|| panic!("{case}: {key:?} never was"));
            assert!(versions.contains(record), "{case}: {key:?} never was so");
        }
        let missing = history.now.iter().filter(|(key, record)| found.get(*key) != Some(record)).count();
        let back: BTreeSet<_> = found.keys().filter(|key| !history.now.contains_key(*key)).collect();
        let is_told = !report.problems.is_empty();
        assert!((missing == 0 && back.is_empty()) || is_told, "{case}: {missing} missing, {back:?} back");
        // What may come back is announced.
        let announces = |problem: &String| problem.contains("come back") || problem.contains("nothing of it");
        assert!(back.is_empty() || report.problems.iter().any(announces), "{case}: {back:?} {report:?}");
        all += 1;
        kept_all += usize::from(missing == 0);
        partly += usize::from(missing > 0 && !found.is_empty());
    }
    assert!(all > 200 && kept_all > 20 && partly > 20, "{all} {kept_all} {partly}");
}

/// One flipped bit in a large section costs the rows of its block.
#[test]
fn one_flipped_bit_costs_few_records() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io);
    let mut rng = SeededRng::new(1);
    for batch in 0..40 {
        let records = (0..500).map(|at| Record {
            id: RecordId::new(&format!("record-{batch:03}-{at:03}-{}", "x".repeat(60))).unwrap(),
            ..random_record(&mut rng)
        });
        shard.write(&namespace(1), Change::Upsert(records.collect())).unwrap();
        while shard.step().unwrap() != Step::Idle {}
    }
    while shard.compact().unwrap() != Step::Idle {}
    shard.close().unwrap();
    let names = io.list(Path::new(DIR)).unwrap();
    let name = names.iter().find(|name| name.ends_with(".seg")).unwrap();
    let path = Path::new(DIR).join(name);
    let whole = io.read(&path).unwrap();
    let mut lost = Vec::new();
    for at in [100_000, whole.len() / 2, whole.len() - 200_000] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        io.remove(&path).unwrap();
        io.create(&path).unwrap().write_at(&bytes, 0).unwrap();
        let report = examine(&io).report().clone();
        assert_eq!(report.kept() + report.lost(), 20_000, "{:?}", report.problems);
        lost.push(report.lost());
    }
    assert!(lost.iter().all(|lost| *lost < 9_000) && lost.iter().sum::<u64>() > 0, "{lost:?}");
}

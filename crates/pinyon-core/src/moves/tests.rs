//! A copier against two backends, one of them changing, the other failing.

use super::{
    copier::{Copier, Walked, Within},
    error::CopyError,
    pace::{Pace, Rates, Spent, Throttle},
    side::Side,
};
use pinyon_backend::{
    Change, Namespace, Query, Scope, ShardBackend, Until,
    fake::{Fake, Fault},
};
use pinyon_shard::{Shard, ShardOptions, ShardShape};
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{
    Dim, Epoch, Metadata, MetadataValue, Metric, NamespaceId, Record, RecordId, SeededRng, ShardId,
    SparseVector, TenantId, TopK, Vector,
};
use std::{path::Path, sync::Arc};

const METRIC: Metric = Metric::DotProduct;
const IDS: u64 = 3_000;

fn dim() -> Dim {
    Dim::new(4).unwrap()
}

#[derive(Debug)]
struct AtOnce;

impl Pace for AtOnce {
    fn spent(&self, _spent: Spent) -> Result<(), CopyError> {
        Ok(())
    }

    fn wait_a_moment(&self) -> Result<(), CopyError> {
        Ok(())
    }
}

fn handle(number: u64, epoch: u64) -> Namespace {
    Namespace::routed(NamespaceId::new(number), TenantId::new("acme").unwrap(), Epoch::new(epoch))
}

fn shard(number: u32) -> Shard {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shape = ShardShape { shard: ShardId::new(number), dim: dim(), metric: METRIC };
    Shard::open(&io, Path::new("shard"), shape, ShardOptions::server()).unwrap()
}

/// The copier of a tenant from a shard to another, or to a fake.
fn copier(target: Arc<dyn ShardBackend>) -> Copier {
    let source = Side { backend: Arc::new(shard(0)), namespace: handle(1, 5) };
    let target = Side { backend: target, namespace: handle(2, 0) };
    Copier { source, target, pace: Arc::new(AtOnce) }
}

fn targets() -> [Arc<dyn ShardBackend>; 2] {
    [Arc::new(shard(1)), Arc::new(Fake::new(dim(), METRIC))]
}

fn id(number: u64) -> RecordId {
    RecordId::new(&format!("{number:05}")).unwrap()
}

fn record(number: u64, rng: &mut SeededRng) -> Record {
    let components: Vec<f32> = (0..4).map(|_| rng.below(100) as f32 - 50.0).collect();
    let sparse =
        (rng.below(3) == 0).then(|| SparseVector::new(vec![1, 7], vec![0.5, number as f32 + 1.0]).unwrap());
    let text = "x".repeat(rng.below(3_000) as usize);
    let fields = [("text".to_owned(), MetadataValue::String(text))];
    let metadata = Metadata::new(fields.into_iter().collect()).unwrap();
    Record { id: id(number), vector: Vector::new(components, dim()).unwrap(), sparse, metadata }
}

fn upsert(to: &Side, numbers: impl Iterator<Item = u64>, rng: &mut SeededRng) {
    let records: Vec<Record> = numbers.map(|number| record(number, rng)).collect();
    to.backend.write(&to.namespace, Change::Upsert(records), Until::NEVER).unwrap();
}

/// Everything that a side holds, as it is read.
fn held(side: &Side) -> Vec<Record> {
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let (page, has_more) = side.page(after.as_ref()).unwrap();
        records.extend(page.iter().map(|one| one.stored().record));
        after = records.last().map(|record: &Record| record.id.clone());
        if !has_more {
            return records;
        }
    }
}

fn assert_equal(copier: &Copier, what: &str) {
    assert!(held(&copier.source) == held(&copier.target), "{what}");
    assert!(copier.has_all().unwrap(), "{what}");
    assert!(copier.differences(&Within::default()).unwrap().is_empty(), "{what}");
}

#[test]
fn a_walk_makes_any_target_hold_what_the_source_holds() {
    for (seed, target) in targets().into_iter().enumerate() {
        let (copier, mut rng) = (copier(target), SeededRng::new(seed as u64));
        assert_eq!(copier.walk(&Within::default()).unwrap(), Walked::default(), "nothing to nothing");
        let some = |rng: &mut SeededRng, of: u64| (0..IDS).filter(|_| rng.below(of) == 0).collect::<Vec<_>>();
        let numbers = some(&mut rng, 2);
        upsert(&copier.source, numbers.iter().copied(), &mut rng);
        let walked = copier.walk(&Within::default()).unwrap();
        assert_eq!((walked.rows, walked.changed), (numbers.len() as u64, numbers.len() as u64));
        assert_equal(&copier, "a first copy");
        assert_eq!(copier.walk(&Within::default()).unwrap().changed, 0, "what is equal is left alone");
        for turn in 0..4 {
            // Both sides change in their own ways.
            for side in [&copier.source, &copier.target] {
                let numbers = some(&mut rng, 20);
                upsert(side, numbers.into_iter(), &mut rng);
                let gone = some(&mut rng, 20).into_iter().map(id).collect();
                side.backend.write(&side.namespace, Change::DeleteIds(gone), Until::NEVER).unwrap();
            }
            let differing = copier.differences(&Within::default()).unwrap();
            let walked = copier.walk(&Within::default()).unwrap();
            assert!(walked.changed == differing.len() as u64 && walked.changed > 0);
            assert_equal(&copier, &format!("turn {turn}"));
        }
    }
}

#[test]
fn a_walk_within_bounds_leaves_everything_else_alone() {
    for target in targets() {
        let (copier, mut rng) = (copier(target), SeededRng::new(9));
        upsert(&copier.source, 0..IDS, &mut rng);
        for (first, last) in [(700, 2_100), (0, 0), (2_999, 2_999), (10, 9)] {
            let within = Within { first: Some(id(first)), last: Some(id(last)) };
            copier.target.clear(&AtOnce).unwrap();
            upsert(&copier.target, [first.saturating_sub(1), last + 1].into_iter(), &mut rng);
            copier.walk(&within).unwrap();
            let inside = copier.differences(&within).unwrap();
            assert!(inside.is_empty(), "{within:?}: {inside:?}");
            let expected = if last < first { 1 } else { last - first + 1 };
            let strangers = u64::from(first > 0 && first - 1 != last) + 1;
            assert_eq!(copier.target.count().unwrap(), expected + strangers, "{within:?}");
        }
    }
}

#[test]
fn a_difference_is_found_wherever_it_is() {
    let (copier, mut rng) = (copier(Arc::new(shard(1))), SeededRng::new(3));
    upsert(&copier.source, 0..100, &mut rng);
    copier.walk(&Within::default()).unwrap();
    let original = held(&copier.target)[42].clone();
    let mut spoiled = [original.clone(), original.clone(), original.clone(), original.clone()];
    let mut components = original.vector.as_slice().to_vec();
    components[3] = -components[3] - 1.0;
    spoiled[0].vector = Vector::new(components, dim()).unwrap();
    spoiled[1].sparse = Some(SparseVector::new(vec![3], vec![0.25]).unwrap());
    spoiled[2].metadata = Metadata::empty();
    spoiled[3].vector =
        Vector::new(original.vector.as_slice().iter().map(|one| one * 1.5).collect::<Vec<_>>(), dim())
            .unwrap();
    for record in spoiled {
        copier.target.put(&[record], &AtOnce).unwrap();
        assert_eq!(copier.differences(&Within::default()).unwrap(), [id(42)].into());
    }
    copier.target.remove(&[id(42)], &AtOnce).unwrap();
    assert!(!copier.has_all().unwrap());
    assert_eq!(copier.differences(&Within::default()).unwrap(), [id(42)].into());
    copier.walk(&Within::default()).unwrap();
    assert_equal(&copier, "mended");
}

/// Three writers change the source in every way while it is copied; they are closed out, and one round follows.
#[test]
fn a_copy_under_writers_is_whole_once_they_are_closed_out() {
    for (at, bytes_max) in [0, 2_000, usize::MAX].into_iter().enumerate() {
        for target in targets() {
            let copier = copier(target);
            upsert(&copier.source, 0..IDS, &mut SeededRng::new(1));
            let Side { backend, namespace } = &copier.source;
            let write = |seed: u64| {
                let mut rng = SeededRng::new(seed);
                loop {
                    let first = rng.below(IDS);
                    let change = match rng.below(100) {
                        0 => Change::DeleteAll,
                        1..20 => Change::DeleteIds((first..first + 5).map(id).collect()),
                        _ => Change::Upsert(
                            (first..first + 5).map(|number| record(number, &mut rng)).collect(),
                        ),
                    };
                    if backend.write(namespace, change, Until::NEVER).is_err() {
                        return;
                    }
                }
            };
            let mut changed = 0;
            std::thread::scope(|scope| {
                (0..3).for_each(|seed| drop(scope.spawn(move || write(seed + 10 * at as u64))));
                let mut watch = backend.watch(namespace, bytes_max).unwrap();
                copier.walk(&Within::default()).unwrap();
                while changed < 300 {
                    changed += copier.catch_up(&watch.take().unwrap()).unwrap().changed;
                }
                backend.close(namespace, Until::NEVER).unwrap();
                changed += copier.catch_up(&watch.take().unwrap()).unwrap().changed;
            });
            assert_equal(&copier, &format!("notes of {bytes_max} bytes"));
        }
    }
}

#[test]
fn a_target_that_fails_ends_up_equal_and_nothing_lands_behind() {
    let fake = Arc::new(Fake::new(dim(), METRIC));
    let (copier, mut rng) = (copier(Arc::clone(&fake) as _), SeededRng::new(5));
    upsert(&copier.source, 0..IDS, &mut rng);
    let busy = Fault::Refuse(pinyon_backend::BackendError::Busy("memtables".into()));
    let faults = [Fault::LoseAnswer, Fault::LandLate, busy, Fault::LandLate, Fault::LandLate];
    let mut watch = copier.source.backend.watch(&copier.source.namespace, usize::MAX).unwrap();
    for round in 0..20 {
        for fault in faults.iter().take(round % 6) {
            // Reads take none of these, so that the next write has it.
            fake.plan(fault.clone());
        }
        if round == 0 {
            copier.walk(&Within::default()).unwrap();
        }
        let first = rng.below(IDS);
        upsert(&copier.source, first..first + 20, &mut rng);
        copier.catch_up(&watch.take().unwrap()).unwrap();
    }
    assert_equal(&copier, "before late writes");
    assert_eq!(fake.land(), 0, "all of them were settled");
    assert_equal(&copier, "afterwards");
}

#[test]
fn what_cannot_be_written_or_read_ends_the_copy_with_the_reason() {
    let fake = Arc::new(Fake::new(dim(), METRIC));
    let (copier, mut rng) = (copier(Arc::clone(&fake) as _), SeededRng::new(6));
    upsert(&copier.source, 0..10, &mut rng);
    let full = pinyon_backend::BackendError::Full("no room".into());
    fake.plan(Fault::Refuse(full.clone()));
    assert_eq!(copier.walk(&Within::default()), Err(CopyError::Target(full)));
    copier.walk(&Within::default()).unwrap();
    assert_equal(&copier, "tried again");
    // One that acknowledges what it does not keep is found out.
    let mut watch = copier.source.backend.watch(&copier.source.namespace, usize::MAX).unwrap();
    for change in [Change::Upsert(vec![record(3, &mut rng)]), Change::DeleteIds(vec![id(4)])] {
        copier.source.backend.write(&copier.source.namespace, change, Until::NEVER).unwrap();
        let noted = watch.take().unwrap();
        fake.plan(Fault::Forget);
        let forgotten = noted.ids.first().unwrap().clone();
        assert_eq!(copier.catch_up(&noted), Err(CopyError::NotKept(forgotten)));
        copier.catch_up(&noted).unwrap();
    }
    assert_equal(&copier, "tried again");
    let environment = crate::Environment::stepped(Arc::new(MemoryIo::new()));
    let throttle = Throttle::new(environment, Rates::default(), Arc::default());
    throttle.end();
    let ended = Copier { pace: Arc::new(throttle), ..copier };
    assert_eq!(ended.walk(&Within::default()), Err(CopyError::Ended));
}

#[test]
fn the_copy_is_adopted_and_searched_as_the_source_was() {
    for target in targets() {
        let (copier, mut rng) = (copier(target), SeededRng::new(7));
        upsert(&copier.source, 0..IDS, &mut rng);
        copier.walk(&Within::default()).unwrap();
        copier.source.backend.close(&copier.source.namespace, Until::NEVER).unwrap();
        let adopted = Side { namespace: handle(2, 6), ..copier.target.clone() };
        adopted.backend.adopt(&adopted.namespace, Until::NEVER).unwrap();
        let late = copier.target.put(&[record(1, &mut rng)], &AtOnce);
        assert!(matches!(late, Err(CopyError::Target(_))), "the copier is out: {late:?}");
        let vector = record(0, &mut rng).vector;
        let query = Query::dense(&vector, TopK::new(50).unwrap());
        let [expected, found] = [&copier.source, &adopted].map(|side| {
            let scope = std::slice::from_ref(&side.namespace);
            let found = side.backend.search(Scope::Namespaces(scope), query, Until::NEVER).unwrap();
            found.hits.iter().map(|hit| (hit.distance(), hit.id())).collect::<Vec<_>>()
        });
        assert_eq!(found, expected);
    }
}

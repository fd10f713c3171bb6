//! Copying a namespace while it changes.

use super::{
    Subject, namespace,
    oracle::{Oracle, any_change, id, record},
};
use crate::{Change, Namespace, Noted, ScanPage, ShardBackend, Until};
use pinyon_types::{RecordId, SeededRng};
use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

pub(super) fn notes_name_every_change(subject: &Subject<'_>) {
    let (backend, mut rng, of) = (&subject.backend, SeededRng::new(1), namespace(1, 1));
    backend.write(&of, Change::Upsert(vec![record(1, 0, &mut rng)]), Until::NEVER).unwrap();
    let mut watch = backend.watch(&of, usize::MAX).unwrap();
    let mut short = backend.watch(&of, 0).unwrap();
    assert!(watch.take().unwrap().is_empty(), "what was there before is not noted");
    let records =
        |numbers: [u64; 2], rng: &mut SeededRng| numbers.map(|number| record(number, 1, rng)).to_vec();
    backend.write(&of, Change::Upsert(records([5, 2], &mut rng)), Until::NEVER).unwrap();
    backend.write(&of, Change::DeleteIds(vec![id(1)]), Until::NEVER).unwrap();
    backend.write(&namespace(2, 1), Change::Upsert(records([7, 8], &mut rng)), Until::NEVER).unwrap();
    (subject.disturb)();
    let Noted { ids, is_cleared, range, .. } = watch.take().unwrap();
    assert_eq!((ids, is_cleared, range), ([1, 2, 5].map(id).into(), false, None));
    let noted = short.take().unwrap();
    let names = |number: u64| {
        noted.ids.contains(&id(number))
            || noted.range.as_ref().is_some_and(|(first, last)| (first..=last).contains(&&id(number)))
    };
    assert!([1, 2, 5].into_iter().all(names), "{noted:?}");
    assert!(watch.take().unwrap().is_empty() && short.take().unwrap().is_empty(), "each change once");
    backend.write(&of, Change::DeleteAll, Until::NEVER).unwrap();
    let noted = watch.take().unwrap();
    assert!(noted.is_cleared || noted.ids == [2, 5].map(id).into(), "{noted:?}");
}

/// A copy that is being made: what was read of the source.
#[derive(Debug, Default)]
struct Copy(Oracle);

impl Copy {
    /// Reads records again, and forgets those that are not there.
    fn read_again(&mut self, backend: &dyn ShardBackend, of: &Namespace, ids: &[RecordId]) {
        for id in ids {
            self.0.0.remove(id);
        }
        for one in backend.find(of, ids, Until::NEVER).unwrap() {
            self.0.0.insert(one.id(), one.stored().record);
        }
    }

    /// Reads everything between two ids again.
    fn read_range(&mut self, backend: &dyn ShardBackend, of: &Namespace, within: &(RecordId, RecordId)) {
        let (first, last) = within;
        self.0.0.retain(|id, _| !(first..=last).contains(&id));
        let mut after = None;
        loop {
            let page = ScanPage { after: after.as_ref(), limit: 13, bytes_max: usize::MAX };
            let (page, has_more) = backend.scan(of, page, Until::NEVER).unwrap();
            after = page.last().map(crate::Located::id);
            let between = page.iter().filter(|one| (first..=last).contains(&&one.id()));
            self.0.0.extend(between.map(|one| (one.id(), one.stored().record)));
            if !has_more {
                return;
            }
        }
    }

    fn catch_up(&mut self, backend: &dyn ShardBackend, of: &Namespace, noted: &Noted) {
        if noted.is_cleared {
            self.0.0.clear();
            self.read_range(backend, of, &(id(0), RecordId::new("~").unwrap()));
        }
        if let Some(range) = &noted.range {
            self.read_range(backend, of, range);
        }
        self.read_again(backend, of, &noted.ids.iter().cloned().collect::<Vec<_>>());
    }
}

/// Three writers change what a copier copies. When they are closed out, the copy has caught up after one round more.
pub(super) fn a_copy_under_writers_comes_out_equal(subject: &Subject<'_>) {
    let (backend, of) = (&*subject.backend, namespace(1, 1));
    for bytes_max in [0, 40, usize::MAX] {
        backend.open(&of).unwrap();
        let (oracle, ended) = (Mutex::new(Oracle::default()), AtomicBool::new(false));
        backend.write(&of, Change::DeleteAll, Until::NEVER).unwrap();
        let write = |seed: u64| {
            let mut rng = SeededRng::new(seed);
            for turn in 0.. {
                let change = any_change(turn, &mut rng);
                // The oracle has to see changes in the order in which the backend does.
                let mut oracle = oracle.lock().unwrap();
                match backend.write(&of, change.clone(), Until::NEVER) {
                    Ok(_) => oracle.apply(change),
                    Err(_) => break,
                };
            }
            ended.store(true, SeqCst);
        };
        let mut copy = Copy::default();
        std::thread::scope(|scope| {
            (0..3).for_each(|seed| drop(scope.spawn(move || write(seed))));
            let mut watch = backend.watch(&of, bytes_max).unwrap();
            copy.read_range(backend, &of, &(id(0), RecordId::new("~").unwrap()));
            for _ in 0..20 {
                copy.catch_up(backend, &of, &watch.take().unwrap());
                (subject.disturb)();
            }
            assert!(!ended.load(SeqCst), "they write until they are closed out");
            backend.close(&of, Until::NEVER).unwrap();
            copy.catch_up(backend, &of, &watch.take().unwrap());
        });
        let oracle = oracle.into_inner().unwrap();
        assert_eq!(copy.0, oracle, "notes of {bytes_max} bytes");
        subject.assert_holds(&oracle, &of);
    }
}

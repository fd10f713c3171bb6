//! Who may write to a namespace: closing, adopting, dropping.

use super::{
    Subject, namespace,
    oracle::{Oracle, id, of_group, record},
};
use crate::{BackendError, Change, Frozen, Scope, Until, WriteError};
use pinyon_types::{Epoch, SeededRng};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

fn is_closed(result: &Result<crate::Receipt, WriteError>) -> bool {
    matches!(result, Err(WriteError::Refused { error: BackendError::Closed { .. }, .. }))
}

pub(super) fn a_closed_namespace_gives_changes_back(subject: &Subject<'_>) {
    let (backend, mut rng, of) = (&subject.backend, SeededRng::new(1), namespace(1, 5));
    let mut oracle = Oracle::default();
    let first = Change::Upsert((0..9).map(|number| record(number, 0, &mut rng)).collect());
    oracle.apply(first.clone());
    backend.write(&of, first, Until::NEVER).unwrap();
    for _ in 0..2 {
        let frozen = backend.close(&of, Until::NEVER).unwrap();
        assert_eq!(frozen.records, 9, "may be repeated");
    }
    let changes = [
        Change::Upsert(vec![record(1, 1, &mut rng), record(2, 1, &mut rng)]),
        Change::DeleteIds(vec![id(1), id(2)]),
        Change::DeleteMatching(of_group(1)),
        Change::UpdateMatching { filter: of_group(1), set: record(1, 1, &mut rng).metadata },
        Change::DeleteAll,
    ];
    for change in &changes {
        for epoch in [1, 5] {
            let refused = backend.write(&namespace(1, epoch), change.clone(), Until::NEVER).unwrap_err();
            let WriteError::Refused { error: BackendError::Closed { given, seen }, change: Some(given_back) } =
                refused
            else {
                panic!("{refused:?}");
            };
            assert_eq!((given, *given_back), (Epoch::new(epoch), change.clone()));
            assert!(seen > given);
        }
    }
    subject.assert_holds(&oracle, &of);
    // Others go on, and so does who was routed later.
    backend.write(&namespace(2, 1), changes[0].clone(), Until::NEVER).unwrap();
    backend.open(&of).unwrap();
    backend.write(&of, changes[0].clone(), Until::NEVER).unwrap();
    oracle.apply(changes[0].clone());
    backend.close(&of, Until::NEVER).unwrap();
    backend.write(&namespace(1, 6), changes[1].clone(), Until::NEVER).unwrap();
    oracle.apply(changes[1].clone());
    subject.assert_holds(&oracle, &of);
}

pub(super) fn nothing_follows_a_close(subject: &Subject<'_>) {
    let (backend, of, answered) = (&*subject.backend, namespace(1, 1), AtomicU64::new(0));
    let write_until_turned_back = |writer: u64| {
        let mut rng = SeededRng::new(writer);
        for number in 0.. {
            let mut one = record(0, 0, &mut rng);
            one.id = pinyon_types::RecordId::new(&format!("{writer}-{number}")).unwrap();
            match backend.write(&of, Change::Upsert(vec![one]), Until::NEVER) {
                Ok(_) => answered.fetch_add(1, SeqCst),
                refused if is_closed(&refused) => return,
                Err(error) => panic!("{error}"),
            };
        }
    };
    let Frozen { records, seq } = std::thread::scope(|scope| {
        for writer in 0..4 {
            let write = &write_until_turned_back;
            scope.spawn(move || write(writer));
        }
        while answered.load(SeqCst) < 40 {
            std::thread::yield_now();
        }
        backend.close(&of, Until::NEVER).unwrap()
    });
    assert_eq!(records, answered.load(SeqCst), "each record has an id of its own");
    assert_eq!(backend.count(&of, None, Until::NEVER).unwrap(), records);
    assert!(backend.position().is_none_or(|position| position >= seq));
}

pub(super) fn an_adopted_copy_refuses_its_copier(subject: &Subject<'_>) {
    let (backend, mut rng) = (&subject.backend, SeededRng::new(2));
    let (copier, adopted) = (namespace(3, 0), namespace(3, 9));
    let copy = Change::Upsert((0..20).map(|number| record(number, 0, &mut rng)).collect());
    let mut oracle = Oracle::default();
    oracle.apply(copy.clone());
    backend.write(&copier, copy.clone(), Until::NEVER).unwrap();
    let epoch = || backend.copies(Until::NEVER).unwrap()[0].namespace.epoch();
    assert_eq!(epoch(), Epoch::ZERO, "nobody's yet");
    for _ in 0..2 {
        (subject.disturb)();
        backend.adopt(&adopted, Until::NEVER).unwrap();
        assert_eq!((epoch(), backend.epoch_seen()), (Epoch::new(9), Epoch::new(9)));
        assert!(is_closed(&backend.write(&copier, copy.clone(), Until::NEVER)), "it is another's now");
        subject.assert_holds(&oracle, &adopted);
    }
    backend.write(&adopted, Change::DeleteIds(vec![id(3)]), Until::NEVER).unwrap();
    oracle.apply(Change::DeleteIds(vec![id(3)]));
    subject.assert_holds(&oracle, &adopted);
    // Of nothing there is nothing to be known but that somebody was there.
    backend.adopt(&namespace(4, 12), Until::NEVER).unwrap();
    assert_eq!(backend.epoch_seen(), Epoch::new(12));
}

pub(super) fn a_dropped_copy_stays_gone(subject: &Subject<'_>) {
    let (backend, mut rng) = (&subject.backend, SeededRng::new(3));
    let (left, other) = (namespace(3, 4), namespace(2, 4));
    let records = Change::Upsert((0..20).map(|number| record(number, 0, &mut rng)).collect());
    for of in [&left, &other] {
        backend.write(of, records.clone(), Until::NEVER).unwrap();
    }
    (subject.disturb)();
    backend.close(&left, Until::NEVER).unwrap();
    for _ in 0..2 {
        // By the epoch at which its tenant left it.
        let dropped = backend.drop_copy(&namespace(3, 5), Until::NEVER);
        assert!(dropped.is_ok() || is_closed(&dropped.map(|()| unreachable!())), "may be repeated");
        (subject.disturb)();
        for epoch in [0, 4, 5] {
            assert!(
                is_closed(&backend.write(&namespace(3, epoch), records.clone(), Until::NEVER)),
                "{epoch}"
            );
        }
        backend.reclaim(&left).unwrap();
        subject.assert_holds(&Oracle::default(), &left);
        assert!(backend.epoch_seen() >= Epoch::new(5));
        assert_eq!(backend.records(Scope::All), 20);
    }
    backend.drop_copy(&namespace(77, 6), Until::NEVER).unwrap();
    let copies = backend.copies(Until::NEVER).unwrap();
    assert_eq!(copies.into_iter().map(|one| one.namespace).collect::<Vec<_>>(), [other]);
}

//! Changes: whole, acknowledged when they can be seen, refused without a trace.

use super::{
    Subject, namespace,
    oracle::{Oracle, any_change, id, of_group, record},
};
use crate::{BackendError, Change, Query, Receipt, Scope, Until, WriteError};
use pinyon_types::{ManualClock, SeededRng, TopK, Vector};

pub(super) fn a_batch_is_visible_when_it_is_acknowledged(subject: &Subject<'_>) {
    let (mut oracle, mut rng, of) = (Oracle::default(), SeededRng::new(1), namespace(1, 1));
    for turn in 0..10 {
        let records: Vec<_> = (0..20).map(|number| record(number * 3 + turn, turn, &mut rng)).collect();
        let receipt = subject.backend.write(&of, Change::Upsert(records.clone()), Until::NEVER).unwrap();
        assert_eq!(receipt.records, oracle.apply(Change::Upsert(records)));
        subject.assert_holds(&oracle, &of);
        (subject.disturb)();
        subject.assert_holds(&oracle, &of);
    }
}

pub(super) fn the_last_of_equal_ids_wins(subject: &Subject<'_>) {
    let (mut oracle, mut rng, of) = (Oracle::default(), SeededRng::new(2), namespace(1, 1));
    let records: Vec<_> = (0..30).map(|turn| record(turn % 4, turn, &mut rng)).collect();
    let receipt = subject.backend.write(&of, Change::Upsert(records.clone()), Until::NEVER).unwrap();
    assert_eq!(receipt.records, oracle.apply(Change::Upsert(records)));
    subject.assert_holds(&oracle, &of);
}

pub(super) fn changes_do_what_the_oracle_does(subject: &Subject<'_>) {
    let mut rng = SeededRng::new(3);
    let homes = [1, 2].map(|number| namespace(number, 1));
    let mut oracles = [Oracle::default(), Oracle::default()];
    for turn in 0..200 {
        let (at, change) = (rng.below(2) as usize, any_change(turn, &mut rng));
        let receipt = subject.backend.write(&homes[at], change.clone(), Until::NEVER).unwrap();
        assert_eq!(receipt.records, oracles[at].apply(change.clone()), "turn {turn}: {change:?}");
        (subject.disturb)();
        for (oracle, of) in oracles.iter().zip(&homes) {
            subject.assert_holds(oracle, of);
        }
    }
    let held: u64 = oracles.iter().map(|oracle| oracle.0.len() as u64).sum();
    assert_eq!(subject.backend.records(Scope::All), held);
    assert_eq!(subject.backend.records(Scope::AllBut(&[homes[0].id()])), oracles[1].0.len() as u64);
    assert_eq!(subject.backend.records(Scope::Namespaces(&homes[..1])), oracles[0].0.len() as u64);
    let copies = subject.backend.copies(Until::NEVER).unwrap();
    let expected = homes.iter().zip(&oracles).filter(|(_, oracle)| !oracle.0.is_empty());
    let expected: Vec<_> = expected.map(|(of, oracle)| (of.clone(), oracle.0.len() as u64)).collect();
    assert_eq!(copies.into_iter().map(|one| (one.namespace, one.records)).collect::<Vec<_>>(), expected);
}

pub(super) fn wrong_input_changes_nothing(subject: &Subject<'_>) {
    let (mut oracle, mut rng, of) = (Oracle::default(), SeededRng::new(4), namespace(1, 1));
    let records = vec![record(1, 0, &mut rng)];
    subject.backend.write(&of, Change::Upsert(records.clone()), Until::NEVER).unwrap();
    oracle.apply(Change::Upsert(records));
    let seen = subject.backend.position();
    let many = (0..=pinyon_types::limits::BATCH_RECORDS_MAX as u64).map(id).collect();
    let refused = subject.backend.write(&of, Change::DeleteIds(many), Until::NEVER);
    assert!(
        matches!(refused, Err(WriteError::Refused { error: BackendError::Invalid(_), .. })),
        "{refused:?}"
    );
    let short = Vector::stored(&[1.0]);
    let query = Query::dense(&short, TopK::new(1).unwrap());
    let refused = subject.backend.search(Scope::All, query, Until::NEVER);
    assert!(matches!(refused, Err(BackendError::Invalid(_))), "{refused:?}");
    subject.assert_holds(&oracle, &of);
    assert_eq!(subject.backend.position(), seen);
}

pub(super) fn a_deadline_that_has_passed_changes_nothing(subject: &Subject<'_>) {
    let (clock, mut rng, of) = (ManualClock::default(), SeededRng::new(5), namespace(1, 1));
    let change = Change::Upsert(vec![record(1, 0, &mut rng)]);
    let refused = subject.backend.write(&of, change.clone(), Until::at(&clock, Some(0))).unwrap_err();
    let WriteError::Refused { error: BackendError::TimedOut, change: Some(given_back) } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(*given_back, change);
    subject.backend.settle(&of, Until::NEVER).unwrap();
    subject.assert_holds(&Oracle::default(), &of);
}

pub(super) fn positions_rise(subject: &Subject<'_>) {
    if !subject.backend.capabilities().has_positions {
        assert_eq!(subject.backend.position(), None);
        return;
    }
    let (mut rng, mut before) = (SeededRng::new(6), subject.backend.position().unwrap());
    for turn in 0..20 {
        let of = namespace(1 + turn % 2, 1);
        let change = Change::Upsert(vec![record(turn % 5, turn, &mut rng)]);
        let Receipt { seq, .. } = subject.backend.write(&of, change, Until::NEVER).unwrap();
        assert!(seq > before, "{seq} after {before}");
        assert!(subject.backend.position().unwrap() >= seq, "what was acknowledged can be seen");
        let found = subject.backend.find(&of, &[id(turn % 5)], Until::NEVER).unwrap();
        assert_eq!(found[0].stored().seq, seq);
        before = seq;
        (subject.disturb)();
    }
    let nothing =
        subject.backend.write(&namespace(1, 1), Change::DeleteMatching(of_group(9)), Until::NEVER).unwrap();
    assert_eq!(nothing.records, 0);
    assert!(nothing.seq >= before && nothing.seq <= subject.backend.position().unwrap());
}

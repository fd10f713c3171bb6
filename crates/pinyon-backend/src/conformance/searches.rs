//! Searches: the exact nearest of what is in their scope.

use super::{
    METRIC, Subject, namespace,
    oracle::{Oracle, of_group, record},
};
use crate::{Change, Namespace, Query, Scope, Until};
use pinyon_distance::{QueryScorer, inverse_norm};
use pinyon_types::{Distance, Filter, ManualClock, NamespaceId, RecordId, SeededRng, TopK, Vector};

/// Three namespaces of some dozens of records, half of them alike in the first two.
fn filled(subject: &Subject<'_>) -> Vec<(Namespace, Oracle)> {
    let mut rng = SeededRng::new(1);
    let alike: Vec<_> = (0..20).map(|number| record(number, 0, &mut rng)).collect();
    let fill = |number: u64| {
        let (of, mut oracle) = (namespace(number, 1), Oracle::default());
        for turn in 0..3 {
            let mut records: Vec<_> = (20..60).map(|number| record(number, turn, &mut rng)).collect();
            records.extend(alike.iter().filter(|_| number < 3).cloned());
            subject.backend.write(&of, Change::Upsert(records.clone()), Until::NEVER).unwrap();
            oracle.apply(Change::Upsert(records));
            (subject.disturb)();
        }
        (of, oracle)
    };
    (1..4).map(fill).collect()
}

type Ranked = (Distance, NamespaceId, RecordId);

/// What is nearest of all namespaces in a scope, by going over everything.
fn nearest(
    homes: &[(Namespace, Oracle)],
    scope: Scope<'_>,
    vector: &Vector,
    filter: Option<&Filter>,
) -> Vec<Ranked> {
    let scorer = QueryScorer::new(METRIC, vector.as_slice());
    let within = homes.iter().filter(|(of, _)| scope.contains(of.id()));
    let all = within.flat_map(|(of, oracle)| oracle.0.values().map(move |one| (of, one)));
    let passing = all.filter(|(_, one)| filter.is_none_or(|filter| filter.matches(&one.metadata)));
    let mut ranked: Vec<Ranked> = passing
        .map(|(of, one)| {
            let row = one.vector.as_slice();
            (scorer.distance(row, inverse_norm(row)), of.id(), one.id.clone())
        })
        .collect();
    ranked.sort_unstable();
    ranked
}

pub(super) fn a_search_is_exact_within_its_scope(subject: &Subject<'_>) {
    let homes = filled(subject);
    let names: Vec<Namespace> = homes.iter().map(|(of, _)| of.clone()).collect();
    let hidden = [names[1].id(), NamespaceId::new(77)];
    let scopes = [
        Scope::All,
        Scope::Namespaces(&names[..1]),
        Scope::Namespaces(&names[1..]),
        Scope::Namespaces(&[]),
        Scope::AllBut(&hidden),
    ];
    let mut rng = SeededRng::new(2);
    for turn in 0..40 {
        let vector = record(0, 0, &mut rng).vector;
        let filter = of_group(turn % 4);
        let filter = Some(&filter).filter(|_| turn % 2 == 0);
        for scope in scopes {
            for top_k in [1, 10, 200] {
                let query = Query { filter, ..Query::dense(&vector, TopK::new(top_k).unwrap()) };
                let found = subject.backend.search(scope, query, Until::NEVER).unwrap();
                let hits = found.hits.iter().map(|hit| (hit.distance(), hit.namespace().id(), hit.id()));
                let mut expected = nearest(&homes, scope, &vector, filter);
                expected.truncate(top_k as usize);
                assert_eq!(hits.collect::<Vec<_>>(), expected, "{scope:?}, top {top_k}, {filter:?}");
                assert!(found.complete);
            }
        }
    }
}

pub(super) fn a_search_that_is_late_says_so(subject: &Subject<'_>) {
    let mut rng = SeededRng::new(3);
    for batch in 0..8 {
        let records = (0..500).map(|number| record(batch * 500 + number, 0, &mut rng)).collect();
        subject.backend.write(&namespace(1, 1), Change::Upsert(records), Until::NEVER).unwrap();
        (subject.disturb)();
    }
    let (clock, vector) = (ManualClock::default(), record(0, 0, &mut rng).vector);
    let query = Query::dense(&vector, TopK::new(10).unwrap());
    let in_time = subject.backend.search(Scope::All, query, Until::at(&clock, Some(1))).unwrap();
    assert!(in_time.complete && in_time.hits.len() == 10);
    // Late, it says so, one way or the other.
    let late = subject.backend.search(Scope::All, query, Until::at(&clock, Some(0)));
    assert!(late.is_err() || late.is_ok_and(|found| !found.complete));
}

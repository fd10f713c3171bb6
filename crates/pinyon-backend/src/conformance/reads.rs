//! Reads by id, by prefix, by filter, and page by page.

use super::{
    Subject, namespace,
    oracle::{Oracle, id, of_group, read, record},
};
use crate::{BackendError, Change, ListPage, Located, MatchPage, ScanPage, Until};
use pinyon_types::{RecordId, SeededRng, limits};

const ROWS: u64 = 60;

/// Sixty records, some of them written twice, some of them gone.
fn filled(subject: &Subject<'_>, seed: u64) -> Oracle {
    let (mut oracle, mut rng, of) = (Oracle::default(), SeededRng::new(seed), namespace(1, 1));
    for turn in 0..4 {
        let records = (0..ROWS).filter(|number| turn == 0 || rng.below(3) == number % 3);
        let numbers: Vec<u64> = records.collect();
        let records: Vec<_> = numbers.into_iter().map(|number| record(number, turn, &mut rng)).collect();
        let gone = Change::DeleteIds((0..ROWS).filter(|_| rng.below(20) == 0).map(id).collect());
        for change in [Change::Upsert(records), gone] {
            subject.backend.write(&of, change.clone(), Until::NEVER).unwrap();
            oracle.apply(change);
            (subject.disturb)();
        }
    }
    oracle
}

pub(super) fn pages_lose_nothing(subject: &Subject<'_>) {
    let (oracle, of, backend) = (filled(subject, 1), namespace(1, 1), &subject.backend);
    for limit in [1, 7, 59, 60, 61] {
        for prefix in ["", "r", "r0", "r03", "r999", "ä"] {
            let (mut listed, mut after) = (Vec::<RecordId>::new(), None);
            loop {
                let page = ListPage { prefix, after: after.as_ref(), limit };
                let page = backend.list(&of, page, Until::NEVER).unwrap();
                assert!(
                    page.ids.len() <= limit
                        && (page.has_more || page.ids.len() < limit || limit >= page.ids.len())
                );
                listed.extend(page.ids);
                after = listed.last().cloned();
                if !page.has_more {
                    break;
                }
            }
            let expected = oracle.0.keys().filter(|id| id.as_str().starts_with(prefix)).cloned();
            assert_eq!(listed, expected.collect::<Vec<_>>(), "prefix {prefix}, limit {limit}");
        }
        let (mut found, mut after): (Vec<Located>, _) = (Vec::new(), None);
        loop {
            let page = MatchPage { filter: &of_group(1), after: after.as_ref(), limit };
            let (page, has_more) = backend.find_matching(&of, page, Until::NEVER).unwrap();
            found.extend(page);
            after = found.last().map(Located::id);
            if !has_more {
                break;
            }
        }
        let expected = oracle.0.values().filter(|one| of_group(1).matches(&one.metadata)).cloned();
        assert_eq!(read(&found), expected.collect::<Vec<_>>(), "limit {limit}");
    }
    for limit in [0, limits::LIST_PAGE_MAX + 1] {
        let refused = backend.list(&of, ListPage { prefix: "", after: None, limit }, Until::NEVER);
        assert!(matches!(refused, Err(BackendError::Invalid(_))), "{refused:?}");
    }
}

pub(super) fn pages_of_a_copy_keep_to_their_bytes(subject: &Subject<'_>) {
    let (oracle, of) = (filled(subject, 2), namespace(1, 1));
    for bytes_max in [0, 200, 1_000, usize::MAX] {
        let (mut found, mut after): (Vec<Located>, _) = (Vec::new(), None);
        loop {
            let page = ScanPage { after: after.as_ref(), limit: 10, bytes_max };
            let (page, has_more) = subject.backend.scan(&of, page, Until::NEVER).unwrap();
            let bytes: usize = page.iter().map(Located::bytes).sum();
            assert!(page.len() <= 10 && (bytes <= bytes_max || page.len() == 1), "{bytes} bytes");
            assert!(!page.is_empty() || !has_more, "a copier gets on");
            found.extend(page);
            after = found.last().map(Located::id);
            if !has_more {
                break;
            }
        }
        assert_eq!(read(&found), oracle.0.values().cloned().collect::<Vec<_>>(), "{bytes_max} bytes");
    }
}

pub(super) fn what_was_found_can_be_read_later(subject: &Subject<'_>) {
    let (oracle, of) = (filled(subject, 3), namespace(1, 1));
    let ids: Vec<RecordId> = oracle.0.keys().cloned().collect();
    let found = subject.backend.find(&of, &ids, Until::NEVER).unwrap();
    subject.backend.write(&of, Change::DeleteAll, Until::NEVER).unwrap();
    (subject.disturb)();
    assert_eq!(read(&found), oracle.0.values().cloned().collect::<Vec<_>>());
    for one in &found {
        let stored = one.stored().record;
        assert_eq!((one.id(), one.id_text()), (stored.id.clone(), stored.id.as_str()));
        assert_eq!((one.components(), one.metadata()), (stored.vector.as_slice(), stored.metadata));
        assert!(
            one.answer_bytes(false, false) >= one.id_text().len()
                && one.bytes() >= one.answer_bytes(true, false)
        );
    }
    subject.assert_holds(&Oracle::default(), &of);
}

pub(super) fn namespaces_do_not_see_each_other(subject: &Subject<'_>) {
    let (oracle, other) = (filled(subject, 4), namespace(2, 1));
    subject.assert_holds(&Oracle::default(), &other);
    for change in [Change::DeleteAll, Change::DeleteMatching(of_group(1)), Change::DeleteIds(vec![id(1)])] {
        assert_eq!(subject.backend.write(&other, change, Until::NEVER).unwrap().records, 0);
    }
    subject.assert_holds(&oracle, &namespace(1, 1));
}

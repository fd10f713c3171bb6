//! The gate's rules.

use super::*;
use axum::body::Body;

const KIB: usize = 1 << 10;

fn refused(gate: &Arc<Gate>, purpose: Purpose, announced: u64) -> Option<Refused> {
    gate.enter(purpose, Some(announced)).err()
}

#[test]
fn writers_leave_half_of_the_places_to_reads_and_places_come_back() {
    let gate = Gate::new(KIB);
    let enter = |purpose| gate.enter(purpose, None);
    let writers: Vec<_> = std::iter::from_fn(|| enter(Purpose::Write).ok()).collect();
    assert_eq!((writers.len(), enter(Purpose::Write).err()), (WRITERS_MAX, Some(Refused::NoPlace)));
    let readers: Vec<_> = std::iter::from_fn(|| enter(Purpose::Read).ok()).collect();
    assert_eq!(
        (readers.len(), enter(Purpose::Read).err()),
        (PLACES_MAX - WRITERS_MAX, Some(Refused::NoPlace))
    );
    drop(readers);
    assert_eq!(enter(Purpose::Write).err(), Some(Refused::NoPlace));
    drop(writers);
    assert_eq!(gate.places.free(), PLACES_MAX);
    assert!(enter(Purpose::Write).is_ok());
}

#[test]
fn bytes_are_charged_as_they_come_and_come_back_with_the_last_clone() {
    let gate = Gate::new(9 * KIB);
    let ticket = gate.enter(Purpose::Write, Some(2 * KIB as u64)).unwrap();
    // Announcing takes nothing.
    assert_eq!(gate.bytes.free(), 9 * KIB);
    assert_eq!((ticket.charge(KIB), ticket.charge(KIB)), (Ok(()), Ok(())));
    assert_eq!(gate.bytes.free(), 3 * KIB);
    let other = gate.enter(Purpose::Read, None).unwrap();
    assert_eq!((other.charge(KIB), other.charge(KIB)), (Ok(()), Err(Refused::NoBytes)));
    let clone = Arc::clone(&ticket);
    drop((ticket, other));
    assert_eq!(gate.bytes.free(), 3 * KIB);
    drop(clone);
    assert_eq!(gate.bytes.free(), 9 * KIB);
}

#[test]
fn what_never_fits_is_told_from_what_does_not_fit_now() {
    let gate = Gate::new(9 * KIB);
    assert_eq!(refused(&gate, Purpose::Write, 3 * KIB as u64), None);
    assert_eq!(refused(&gate, Purpose::Write, 3 * KIB as u64 + 1), Some(Refused::TooLarge(3 * KIB)));
    assert_eq!(refused(&gate, Purpose::Write, u64::MAX), Some(Refused::TooLarge(3 * KIB)));
    let holds = gate.enter(Purpose::Write, None).unwrap();
    assert_eq!((holds.charge(2 * KIB), holds.charge(2 * KIB)), (Ok(()), Err(Refused::TooLarge(3 * KIB))));
    assert_eq!(refused(&gate, Purpose::Read, 2 * KIB as u64), Some(Refused::NoBytes));
    // The places come first: who gets none learns nothing else.
    let readers: Vec<_> = std::iter::from_fn(|| gate.enter(Purpose::Read, None).ok()).collect();
    assert_eq!(refused(&gate, Purpose::Read, u64::MAX), Some(Refused::NoPlace));
    assert_eq!(readers.len(), PLACES_MAX - 1);
}

#[test]
fn a_place_that_was_left_must_be_taken_again() {
    let gate = Gate::new(KIB);
    let slow = gate.enter(Purpose::Write, None).unwrap();
    slow.leave_place();
    slow.leave_place();
    assert_eq!((gate.places.free(), gate.writers.free()), (PLACES_MAX, WRITERS_MAX));
    let writers: Vec<_> = std::iter::from_fn(|| gate.enter(Purpose::Write, None).ok()).collect();
    assert_eq!(slow.take_place(), Err(Refused::NoPlace));
    drop(writers);
    assert_eq!((slow.take_place(), slow.take_place()), (Ok(()), Ok(())));
    assert_eq!(gate.places.free(), PLACES_MAX - 1);
}

#[test]
fn every_route_is_known_to_read_or_to_write() {
    let purpose = |method: &str, path: &str| {
        Purpose::of(&Request::builder().method(method).uri(path).body(Body::empty()).unwrap())
    };
    for (method, path) in [
        ("GET", "/vectors/fetch"),
        ("GET", "/indexes"),
        ("POST", "/query"),
        ("POST", "/fetch"),
        ("POST", "/indexes/movies/query"),
        ("POST", "/vectors/fetch_by_metadata"),
        ("POST", "/records/namespaces/upsert/search"),
        ("POST", "/describe_index_stats"),
        ("POST", "/embed"),
        ("POST", "/VectorService/Query"),
        ("POST", "/VectorService/List"),
    ] {
        assert_eq!(purpose(method, path), Purpose::Read, "{method} {path}");
    }
    for (method, path) in [
        ("POST", "/ingest"),
        ("POST", "/delete"),
        ("POST", "/vectors/upsert"),
        ("POST", "/records/namespaces/search/upsert"),
        ("POST", "/VectorService/Upsert"),
        ("POST", "/VectorService/DeleteNamespace"),
        ("POST", "/indexes"),
        ("PATCH", "/indexes/query"),
        ("DELETE", "/indexes/query"),
    ] {
        assert_eq!(purpose(method, path), Purpose::Write, "{method} {path}");
    }
}

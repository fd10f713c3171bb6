//! Who gets a place, and who loses one.

use super::*;
use pinyon_types::SeededRng;
use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

const LIMITS: PlaceLimits = PlaceLimits { places_max: 4, per_source_max: 2, per_port_max: 3 };

fn newcomer(source: Source, port: u16) -> Newcomer {
    Newcomer { held: Arc::new(Held::new()), source, port }
}

/// Somebody on this machine.
fn local(port: u16) -> Newcomer {
    newcomer(None, port)
}

fn stranger(number: u8, port: u16) -> Newcomer {
    newcomer(Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))), port)
}

fn of_class(class: Class, port: u16) -> Newcomer {
    let newcomer = local(port);
    newcomer.held.raise(class);
    newcomer
}

fn take(places: &Arc<Places>, newcomers: &[Newcomer]) -> Vec<Place> {
    newcomers.iter().map(|newcomer| places.take(newcomer).unwrap()).collect()
}

fn sent_away(newcomers: &[Newcomer]) -> Vec<usize> {
    let is_gone = |(at, newcomer): (usize, &Newcomer)| newcomer.held.is_ending().then_some(at);
    newcomers.iter().enumerate().filter_map(is_gone).collect()
}

#[tokio::test]
async fn the_lowest_class_goes_first_and_in_it_whoever_was_idle_longest() {
    let places = Places::new(LIMITS);
    let first = of_class(Class::Admitted, 1);
    let mut all = vec![first, of_class(Class::Refused, 1), local(2), local(2)];
    let mut held = take(&places, &all);
    all[2].held.set_moved(Duration::from_secs(1));
    for expected in [[3].as_slice(), &[2, 3], &[1, 2, 3]] {
        let admitted = of_class(Class::Admitted, 3 + expected.len() as u16);
        held.extend(take(&places, std::slice::from_ref(&admitted)));
        all.push(admitted);
        assert_eq!(sent_away(&all), expected);
    }
    // All are admitted: the one that rests longest goes.
    held.extend(take(&places, &[local(9)]));
    assert_eq!(sent_away(&all), [0, 1, 2, 3]);
}

#[tokio::test]
async fn the_one_that_is_sent_away_is_that_of_the_lowest_rank_in_every_crowd() {
    let mut rng = SeededRng::new(1);
    for _ in 0..200 {
        let mut seats = Seats::default();
        for _ in 0..rng.below(20) {
            let Newcomer { held, source, port } = of_class(Class::ALL[rng.below(3) as usize], 1);
            if rng.below(2) == 0 {
                held.set_moved(Duration::from_millis(rng.below(50)));
            }
            if rng.below(4) == 0 {
                held.begin_request(true);
            }
            seats.insert(Seat { held, source, port });
        }
        let may_go = seats.taken.iter().filter(|(_, seat)| !seat.held.is_protected());
        let lowest = may_go.min_by_key(|(_, seat)| seat.held.rank()).map(|(_, seat)| seat.held.rank());
        let victim = seats.victim(|_| true).map(|number| seats.taken[&number].held.rank());
        assert_eq!(victim, lowest);
    }
}

#[tokio::test]
async fn who_has_an_admitted_request_running_is_never_sent_away() {
    let places = Places::new(LIMITS);
    let all = [local(1), local(1), local(2), local(2)];
    let held = take(&places, &all);
    for one in &all {
        one.held.begin_request(true);
    }
    assert_eq!(places.take(&local(3)).map(drop), Err(Refusal::Places));
    // An answer that is still being taken counts as running.
    all[3].held.begin_answer();
    assert_eq!(places.take(&local(3)).map(drop), Err(Refusal::Places));
    all[3].held.end_answer();
    assert!(places.take(&local(3)).is_ok());
    assert_eq!(sent_away(&all), [3]);
    // A request that nobody let in protects nothing.
    let refused = local(4);
    refused.held.begin_request(false);
    let _more = take(&places, std::slice::from_ref(&refused));
    assert!(places.take(&local(4)).is_ok() && refused.held.is_ending());
    drop(held);
}

#[tokio::test]
async fn a_source_has_its_share_and_loses_its_own_connections_only() {
    let places = Places::new(LIMITS);
    let (other, all) = (stranger(7, 1), [stranger(8, 1), stranger(8, 1), stranger(8, 2)]);
    let _other = take(&places, std::slice::from_ref(&other));
    let held = take(&places, &all);
    assert_eq!((sent_away(&all), other.held.is_ending()), (vec![0], false));
    for one in &all[1..] {
        one.held.begin_request(true);
    }
    assert_eq!(places.take(&stranger(8, 2)).map(drop), Err(Refusal::Source));
    assert!(places.take(&stranger(9, 2)).is_ok());
    drop(held);
    assert!(places.take(&stranger(8, 2)).is_ok());
}

#[tokio::test]
async fn no_port_takes_the_places_of_the_others() {
    let places = Places::new(LIMITS);
    let all: Vec<Newcomer> = (0..4).map(|_| of_class(Class::Admitted, 1)).collect();
    let held = take(&places, &all);
    // The fourth took the place of the first, though there was one more.
    assert_eq!(sent_away(&all), [0]);
    let _other = take(&places, &[local(2)]);
    assert_eq!(sent_away(&all), [0]);
    all.iter().for_each(|one| one.held.begin_request(true));
    assert_eq!(places.take(&local(1)).map(drop), Err(Refusal::Port));
    drop(held);
}

#[tokio::test]
async fn places_probes_and_the_lobby_return_to_nothing() {
    let places = Places::new(LIMITS);
    let all: Vec<Newcomer> = (0..40).map(|number| stranger(number, u16::from(number))).collect();
    let held = take(&places, &all);
    let probes: Vec<Option<Probe>> = (0..=PROBES_MAX).map(|_| places.take_probe()).collect();
    assert!(probes.iter().take(PROBES_MAX).all(Option::is_some) && probes[PROBES_MAX].is_none());
    let waiting: Vec<Waiting> = all.iter().map(|one| places.enter_lobby(&one.held)).collect();
    let report = places.report();
    assert_eq!((report.connections[0], report.waiting, report.probes), ((Class::New, 4), 40, 16));
    drop((held, probes, waiting));
    let report = places.report();
    assert_eq!(report.connections.map(|(_, count)| count), [0; 3]);
    assert_eq!((report.waiting, report.probes), (0, 0));
    let seats = places.lock();
    assert!(seats.by_source.is_empty() && seats.by_port.is_empty());
}

#[tokio::test]
async fn the_lobby_is_bounded_and_tells_the_oldest_to_go() {
    let places = Places::new(LIMITS);
    let all: Vec<Newcomer> = (0..LOBBY_MAX + 1).map(|_| local(1)).collect();
    let _waiting: Vec<Waiting> = all.iter().map(|one| places.enter_lobby(&one.held)).collect();
    assert_eq!(sent_away(&all), [0]);
}

#[tokio::test]
async fn a_place_that_becomes_free_goes_to_whoever_can_have_it() {
    let places = Places::new(LIMITS);
    let all = [stranger(1, 1), stranger(1, 1), local(1), local(2)];
    let mut held = take(&places, &all);
    all.iter().for_each(|one| one.held.begin_request(true));
    // The first who waits may not have it: his source has all that it may have.
    let (same_source, other) = (stranger(1, 2), stranger(2, 2));
    let mut blocked = std::pin::pin!(places.wait(&same_source));
    let mut served = std::pin::pin!(places.wait(&other));
    for _ in 0..2 {
        tokio::select! { biased; _ = &mut blocked => panic!(), _ = &mut served => panic!(), () = tokio::task::yield_now() => {} }
    }
    held.pop();
    tokio::select! { biased; _ = &mut blocked => panic!("above its share"), _ = &mut served => {} }
}

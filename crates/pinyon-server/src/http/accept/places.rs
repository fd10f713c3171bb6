//! Places for connections. There is a fixed number of them for a group of ports; when they run short, whoever matters least
//! is sent away, so that strangers cannot lock out those who were let in. The lock is taken when connections begin and end,
//! never by a request.

use super::{
    held::{Class, Ending, Held},
    source::Source,
};
use pinyon_planted::is_planted;
use std::{
    collections::{BTreeMap, VecDeque},
    mem::replace,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::Notify;

/// Newcomers that may wait for a place.
const LOBBY_MAX: usize = 64;
/// Places of probes: plain HTTP/1.1 requests for health and metrics while all other places are taken.
const PROBES_MAX: usize = 16;

/// Reason for which a newcomer got no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Every place holds a connection whose request is running.
    Places,
    /// Its source has as many as one source may have.
    Source,
    /// Its port has as many as one port may have.
    Port,
    /// The process has no file descriptor left.
    Descriptors,
}

impl Refusal {
    pub(crate) const ALL: [Self; 4] = [Self::Places, Self::Source, Self::Port, Self::Descriptors];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Places => "places",
            Self::Source => "source",
            Self::Port => "port",
            Self::Descriptors => "descriptors",
        }
    }
}

/// How many connections a group of ports has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlaceLimits {
    pub(crate) places_max: usize,
    /// Of one source (RFC 6177: an IPv6 customer has 64 bits at least).
    pub(crate) per_source_max: usize,
    /// Of one port.
    pub(crate) per_port_max: usize,
}

/// A connection with a place.
#[derive(Debug)]
struct Seat {
    held: Arc<Held>,
    source: Source,
    port: u16,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: BTreeMap<u64, Seat>,
    by_source: BTreeMap<Source, usize>,
    by_port: BTreeMap<u16, usize>,
    lobby: VecDeque<(u64, Arc<Held>)>,
}

impl Seats {
    fn remove(&mut self, number: u64) -> Option<Seat> {
        let seat = self.taken.remove(&number)?;
        count_down(&mut self.by_source, &seat.source);
        count_down(&mut self.by_port, &seat.port);
        Some(seat)
    }

    fn insert(&mut self, seat: Seat) -> u64 {
        self.next += 1;
        *self.by_source.entry(seat.source).or_default() += 1;
        *self.by_port.entry(seat.port).or_default() += 1;
        self.taken.insert(self.next, seat);
        self.next
    }

    /// The connection to send away among some: of the lowest class, longest without a request. Behind the first that never asked for
    /// anything nobody is of a lower class or came earlier: a crowd of such is not looked over under the lock, for which those wait
    /// who are served.
    fn victim(&self, is_meant: impl Fn(&Seat) -> bool) -> Option<u64> {
        let may_go = self
            .taken
            .iter()
            .filter(|(_, seat)| is_meant(seat) && (is_planted(24) || !seat.held.is_protected()));
        let mut is_behind = false;
        let worth_a_look = may_go.take_while(|(_, seat)| !replace(&mut is_behind, seat.held.is_untouched()));
        worth_a_look.min_by_key(|(_, seat)| seat.held.rank()).map(|(number, _)| *number)
    }
}

/// Entries go with their last count, so there are as many as connections (LIM-1).
fn count_down<K: Ord + Clone>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Numbers of a group of ports since the start, and now.
#[derive(Debug, Default)]
struct Counts {
    refused: [AtomicU64; Refusal::ALL.len()],
    ended: [AtomicU64; Ending::ALL.len()],
    probes: AtomicUsize,
    /// Sockets of any kind, those that are being closed included.
    sockets: AtomicUsize,
}

/// What `/metrics` says of a group of ports.
#[derive(Debug)]
pub(crate) struct PlacesReport {
    pub(crate) connections: [(Class, usize); Class::ALL.len()],
    pub(crate) waiting: usize,
    pub(crate) probes: usize,
    pub(crate) refused: [(Refusal, u64); Refusal::ALL.len()],
    pub(crate) ended: [(Ending, u64); Ending::ALL.len()],
}

/// The places of a group of ports.
#[derive(Debug)]
pub(crate) struct Places {
    limits: PlaceLimits,
    seats: Mutex<Seats>,
    freed: Notify,
    counts: Counts,
}

/// A newcomer that is to be given a place.
#[derive(Debug, Clone)]
pub(super) struct Newcomer {
    pub(super) held: Arc<Held>,
    pub(super) source: Source,
    pub(super) port: u16,
}

impl Places {
    pub(crate) fn new(limits: PlaceLimits) -> Arc<Self> {
        Arc::new(Self { limits, seats: Mutex::default(), freed: Notify::new(), counts: Counts::default() })
    }

    /// Gives a place, if need be somebody else's.
    pub(super) fn take(self: &Arc<Self>, newcomer: &Newcomer) -> Result<Place, Refusal> {
        let Newcomer { held, source, port } = newcomer.clone();
        let mut seats = self.lock();
        let count = |count: Option<&usize>| count.copied().unwrap_or_default();
        let victim = if source.is_some() && count(seats.by_source.get(&source)) >= self.limits.per_source_max
        {
            Some(seats.victim(|seat| seat.source == source).ok_or(Refusal::Source)?)
        } else if count(seats.by_port.get(&port)) >= self.limits.per_port_max {
            Some(seats.victim(|seat| seat.port == port).ok_or(Refusal::Port)?)
        } else if seats.taken.len() >= self.limits.places_max {
            Some(seats.victim(|_| true).ok_or(Refusal::Places)?)
        } else {
            None
        };
        if let Some(seat) = victim.and_then(|number| seats.remove(number)) {
            seat.held.end(Ending::Evicted);
        }
        let number = seats.insert(Seat { held, source, port });
        Ok(Place { places: Arc::clone(self), number })
    }

    /// Waits until there is a place.
    pub(super) async fn wait(self: &Arc<Self>, newcomer: &Newcomer) -> Place {
        loop {
            let freed = self.freed.notified();
            if let Ok(place) = self.take(newcomer) {
                return place;
            }
            freed.await;
        }
    }

    /// Lets a newcomer wait. If too many do, whoever waits longest is told to go.
    pub(super) fn enter_lobby(self: &Arc<Self>, held: &Arc<Held>) -> Waiting {
        let mut seats = self.lock();
        if seats.lobby.len() >= LOBBY_MAX
            && let Some((_, oldest)) = seats.lobby.pop_front()
        {
            oldest.end(Ending::Evicted);
        }
        seats.next += 1;
        let number = seats.next;
        seats.lobby.push_back((number, Arc::clone(held)));
        Waiting { places: Arc::clone(self), number }
    }

    /// Gives a probe's place, if there is one.
    pub(super) fn take_probe(self: &Arc<Self>) -> Option<Probe> {
        let probes = &self.counts.probes;
        let taken = probes.fetch_update(Relaxed, Relaxed, |count| (count < PROBES_MAX).then_some(count + 1));
        taken.ok().map(|_| Probe(Arc::clone(self)))
    }

    /// Counts a socket, unless there are more of them than places, lobby and those that are just being closed explain.
    pub(super) fn open_socket(self: &Arc<Self>) -> Option<Socket> {
        let most = self.limits.places_max + 2 * LOBBY_MAX + PROBES_MAX;
        let sockets = &self.counts.sockets;
        let opened = sockets.fetch_update(Relaxed, Relaxed, |count| (count < most).then_some(count + 1));
        opened.ok().map(|_| Socket(Arc::clone(self)))
    }

    pub(super) fn count_refusal(&self, refusal: Refusal) {
        if let Some(count) = self.counts.refused.get(refusal as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn count_ending(&self, ending: Ending) {
        if let Some(count) = self.counts.ended.get(ending as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn report(&self) -> PlacesReport {
        let seats = self.lock();
        let of = |class| seats.taken.values().filter(|seat| seat.held.class() == class).count();
        let value = |count: Option<&AtomicU64>| count.map_or(0, |count| count.load(Relaxed));
        PlacesReport {
            connections: Class::ALL.map(|class| (class, of(class))),
            waiting: seats.lobby.len(),
            probes: self.counts.probes.load(Relaxed),
            refused: Refusal::ALL.map(|one| (one, value(self.counts.refused.get(one as usize)))),
            ended: Ending::ALL.map(|one| (one, value(self.counts.ended.get(one as usize)))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, until dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whoever was sent away has none any more.
        if self.places.lock().remove(self.number).is_some() {
            self.places.freed.notify_waiters();
        }
    }
}

/// A place in the lobby, until dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    places: Arc<Places>,
    number: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.places.lock().lobby.retain(|(number, _)| *number != self.number);
    }
}

/// A probe's place, until dropped.
#[derive(Debug)]
pub(super) struct Probe(Arc<Places>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.counts.probes.fetch_sub(1, Relaxed);
    }
}

/// A socket that is counted, until dropped.
#[derive(Debug)]
pub(super) struct Socket(Arc<Places>);

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.counts.sockets.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;

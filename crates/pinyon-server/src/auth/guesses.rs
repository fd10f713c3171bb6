//! Who tries keys: wrong ones are counted by source, and a source that tries many different ones must wait between them. A
//! client with one mistyped key is not held up: the same wrong key again is no new guess.

use pinyon_types::Clock;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Different wrong keys that a source may try before it has to wait.
const FREE_GUESSES: u32 = 10;
/// First wait; every further guess doubles it.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// Longest wait: 2,880 guesses a day.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Time without a guess after which a source begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// Sources that are remembered (LIM-1); the one that was quiet for longest goes.
const SOURCES_MAX: usize = 4096;

/// One source's guesses.
#[derive(Debug)]
struct Source {
    /// Short hash of the last wrong key.
    last: u64,
    guesses: u32,
    guessed_at_us: u64,
    /// 0 where it need not wait.
    waits_until_us: u64,
}

/// The guesses of all sources.
#[derive(Debug)]
pub(crate) struct Guesses {
    clock: Arc<dyn Clock>,
    sources: Mutex<HashMap<IpAddr, Source>>,
    /// End of the last wait; later requests take no lock.
    waits_until_us: AtomicU64,
    wrong: AtomicU64,
    missing: AtomicU64,
}

/// Addresses of one household: IPv6 clients have a network of 2^64 of them.
fn source_of(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.into(),
            None => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        },
    }
}

impl Guesses {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            sources: Mutex::default(),
            waits_until_us: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
            missing: AtomicU64::new(0),
        }
    }

    /// Counts a refused request; `key` is a short hash of the key that it brought. Loopback never waits: through a proxy on
    /// this machine comes everybody.
    pub(crate) fn count(&self, peer: Option<IpAddr>, key: Option<u64>) {
        let Some(key) = key else {
            self.missing.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.wrong.fetch_add(1, Ordering::Relaxed);
        let Some(peer) = peer else { return };
        let (source, now_us) = (source_of(peer), self.clock.now_us());
        let mut sources = self.lock();
        make_room(&mut sources, source, now_us);
        let fresh = || Source { last: !key, guesses: 0, guessed_at_us: now_us, waits_until_us: 0 };
        let found = sources.entry(source).or_insert_with(fresh);
        if found.is_forgotten(now_us) {
            *found = fresh();
        }
        if found.last != key {
            found.guess(key, now_us, peer.is_loopback());
            if found.guesses.is_power_of_two() {
                let guesses = found.guesses;
                tracing::warn!(source = %source, guesses, "a request brought a key that is none of ours");
            }
        }
        self.waits_until_us.fetch_max(found.waits_until_us, Ordering::Relaxed);
    }

    /// Time for which a source has to wait before another key of its is looked at.
    pub(crate) fn wait(&self, peer: Option<IpAddr>) -> Option<Duration> {
        let last_us = self.waits_until_us.load(Ordering::Relaxed);
        if last_us == 0 {
            return None;
        }
        let now_us = self.clock.now_us();
        if now_us >= last_us {
            return None;
        }
        let until_us = self.lock().get(&source_of(peer?))?.waits_until_us;
        Some(Duration::from_micros(until_us.saturating_sub(now_us))).filter(|wait| !wait.is_zero())
    }

    /// Requests that were refused for their key since the start, by kind.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 2] {
        [("wrong", &self.wrong), ("missing", &self.missing)]
            .map(|(kind, count)| (kind, count.load(Ordering::Relaxed)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn is_forgotten(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.guessed_at_us) > micros(FORGOTTEN_AFTER)
    }

    fn guess(&mut self, key: u64, now_us: u64, is_exempt: bool) {
        (self.last, self.guessed_at_us) = (key, now_us);
        self.guesses = self.guesses.saturating_add(1);
        let Some(beyond) = self.guesses.checked_sub(FREE_GUESSES + 1).filter(|_| !is_exempt) else { return };
        let wait = WAIT_MIN.saturating_mul(1 << beyond.min(16)).min(WAIT_MAX);
        self.waits_until_us = now_us.saturating_add(micros(wait));
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn make_room(sources: &mut HashMap<IpAddr, Source>, newcomer: IpAddr, now_us: u64) {
    if sources.len() < SOURCES_MAX || sources.contains_key(&newcomer) {
        return;
    }
    sources.retain(|_, source| !source.is_forgotten(now_us));
    let quietest = sources.iter().min_by_key(|(_, source)| source.guessed_at_us).map(|(source, _)| *source);
    if let Some(quietest) = quietest.filter(|_| sources.len() >= SOURCES_MAX) {
        sources.remove(&quietest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::ManualClock;

    const FAR: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn start() -> (Arc<ManualClock>, Guesses) {
        let clock = Arc::new(ManualClock::default());
        clock.advance(Duration::from_secs(1));
        (Arc::clone(&clock), Guesses::new(clock))
    }

    fn guess(guesses: &Guesses, peer: Option<IpAddr>, keys: std::ops::Range<u64>) {
        keys.for_each(|key| guesses.count(peer, Some(key)));
    }

    #[test]
    fn many_different_keys_have_to_wait_longer_and_longer() {
        let (clock, guesses) = start();
        guess(&guesses, FAR, 0..10);
        assert_eq!(guesses.wait(FAR), None);
        for (key, wait) in [(10, 1), (11, 2), (12, 4), (13, 8), (14, 16), (15, 30), (99, 30)] {
            guesses.count(FAR, Some(key));
            assert_eq!(guesses.wait(FAR), Some(Duration::from_secs(wait)), "{key}");
        }
        let near = Some(IpAddr::from([192, 0, 2, 2]));
        assert_eq!((guesses.wait(near), guesses.wait(None)), (None, None));
        assert_eq!(guesses.counts(), [("wrong", 17), ("missing", 0)]);
        clock.advance(WAIT_MAX);
        assert_eq!(guesses.wait(FAR), None);
        clock.advance(FORGOTTEN_AFTER);
        guesses.count(FAR, Some(100));
        assert_eq!(guesses.wait(FAR), None, "it begins anew");
    }

    #[test]
    fn one_mistyped_key_missing_ones_and_loopback_never_wait() {
        let (_, guesses) = start();
        for _ in 0..1000 {
            guesses.count(FAR, Some(7));
            guesses.count(FAR, None);
        }
        assert_eq!(guesses.wait(FAR), None);
        for peer in ["127.0.0.1", "::1"] {
            let peer = Some(peer.parse().unwrap());
            guess(&guesses, peer, 0..1000);
            assert_eq!(guesses.wait(peer), None);
        }
        assert_eq!(guesses.counts(), [("wrong", 3000), ("missing", 1000)]);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let (_, guesses) = start();
        for key in 0..20 {
            guesses.count(Some(format!("2001:db8::{key:x}").parse().unwrap()), Some(key));
        }
        assert!(guesses.wait(Some("2001:db8::ffff".parse().unwrap())).is_some());
        assert_eq!(guesses.wait(Some("2001:db8:0:1::1".parse().unwrap())), None);
    }

    #[test]
    fn sources_are_bounded_and_the_quietest_goes() {
        let (clock, guesses) = start();
        guess(&guesses, Some(IpAddr::from([10, 0, 0, 0])), 0..20);
        clock.advance(Duration::from_secs(1));
        guess(&guesses, FAR, 0..20);
        clock.advance(Duration::from_millis(1));
        for number in 1..u32::try_from(SOURCES_MAX).unwrap() {
            guesses.count(Some(IpAddr::from((0x0a00_0000 + number).to_be_bytes())), Some(1));
        }
        assert_eq!(guesses.lock().len(), SOURCES_MAX);
        assert!(guesses.wait(FAR).is_some(), "who guessed later is remembered");
        assert!(
            !guesses.lock().contains_key(&IpAddr::from([10, 0, 0, 0])),
            "who was quiet for longest is gone"
        );
    }
}

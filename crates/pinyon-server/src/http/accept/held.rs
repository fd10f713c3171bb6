//! State of one connection, as its place, its bytes and its requests see it. Whoever serves the connection writes it, on one
//! thread mostly; the accept loop reads it to choose whom to send away. Nothing here locks or allocates.

use super::Limits;
use pinyon_planted::is_planted;
use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Standing of a connection. Those of the lowest class are sent away first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Nothing was let in yet.
    New,
    /// Requests were answered, and none of them was let in.
    Refused,
    /// A request was let in: it had a key or, where none is asked for, it succeeded.
    Admitted,
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::New, Self::Refused, Self::Admitted];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Refused => "refused",
            Self::Admitted => "admitted",
        }
    }
}

/// Reason for which the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its place was needed.
    Evicted,
    /// Its frames ask for more than they pay for.
    Frames,
    /// No request for too long.
    Idle,
    /// An answer was not read for too long.
    Unread,
}

impl Ending {
    pub(crate) const ALL: [Self; 4] = [Self::Evicted, Self::Frames, Self::Idle, Self::Unread];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Frames => "frames",
            Self::Idle => "idle",
            Self::Unread => "unread",
        }
    }
}

/// Judgement over a connection at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may stay; judge it again after this time.
    Stays(Duration),
    Ends(Ending),
}

/// No signal was given.
const NO_SIGNAL: u8 = u8::MAX;

/// A connection that holds a place.
#[derive(Debug)]
pub(crate) struct Held {
    began: Instant,
    class: AtomicU8,
    /// Requests whose handlers run.
    handled: AtomicU32,
    /// Answers whose bodies were not taken whole yet.
    answered: AtomicU32,
    /// Whether a running request was let in.
    is_protected: AtomicBool,
    has_asked: AtomicBool,
    /// Milliseconds after `began` at which a request or an answer last made progress.
    moved_ms: AtomicU64,
    /// The same at which the client stopped taking bytes, plus one; 0 while it takes them.
    stuck_ms: AtomicU64,
    /// Whether answers close the connection.
    is_closing: AtomicBool,
    signal: AtomicU8,
    bell: Notify,
}

impl Held {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            class: AtomicU8::new(Class::New as u8),
            handled: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            is_protected: AtomicBool::new(false),
            has_asked: AtomicBool::new(false),
            moved_ms: AtomicU64::new(0),
            stuck_ms: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
            signal: AtomicU8::new(NO_SIGNAL),
            bell: Notify::new(),
        }
    }

    pub(crate) fn class(&self) -> Class {
        let class = self.class.load(Relaxed);
        Class::ALL.into_iter().find(|one| *one as u8 == class).unwrap_or(Class::New)
    }

    /// Raises the class; it never falls.
    pub(super) fn raise(&self, class: Class) {
        self.class.fetch_max(class as u8, Relaxed);
    }

    pub(super) fn begin_request(&self, is_admitted: bool) {
        self.has_asked.store(true, Relaxed);
        if is_admitted {
            self.is_protected.store(true, Relaxed);
        }
        self.handled.fetch_add(1, Relaxed);
    }

    /// A handler is done and its answer's body begins.
    pub(super) fn begin_answer(&self) {
        self.moved();
        self.answered.fetch_add(1, Relaxed);
        self.handled.fetch_sub(1, Relaxed);
    }

    /// A handler was dropped.
    pub(super) fn drop_request(&self) {
        self.moved();
        self.handled.fetch_sub(1, Relaxed);
    }

    /// An answer's body was taken whole, or given up.
    pub(super) fn end_answer(&self) {
        self.moved();
        self.answered.fetch_sub(1, Relaxed);
    }

    /// A request or an answer made progress.
    pub(super) fn moved(&self) {
        self.moved_ms.store(self.now_ms(), Relaxed);
    }

    /// The client takes bytes, or does not.
    pub(super) fn takes_bytes(&self, takes: bool) {
        if takes {
            self.stuck_ms.store(0, Relaxed);
        } else if self.stuck_ms.load(Relaxed) == 0 {
            self.stuck_ms.store(self.now_ms() + 1, Relaxed);
        }
    }

    /// Whether the client leaves bytes untaken at this moment.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck_ms.load(Relaxed) > 0
    }

    pub(super) fn is_running(&self) -> bool {
        self.handled.load(Relaxed) > 0 || (self.answered.load(Relaxed) > 0 && !is_planted(23))
    }

    /// Whether a request that was let in is running: such a connection is never sent away.
    pub(super) fn is_protected(&self) -> bool {
        self.is_protected.load(Relaxed) && self.is_running()
    }

    #[cfg(test)]
    pub(super) fn set_moved(&self, after: Duration) {
        self.moved_ms.store(u64::try_from(after.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Whether it never asked for anything.
    pub(super) fn is_untouched(&self) -> bool {
        self.class() == Class::New && self.moved_ms.load(Relaxed) == 0
    }

    /// Those of the lowest rank are sent away first: the class, then when it last did anything of use.
    pub(super) fn rank(&self) -> (Class, Instant) {
        (self.class(), self.moved_at())
    }

    /// When it last did anything of use.
    pub(super) fn moved_at(&self) -> Instant {
        self.began + Duration::from_millis(self.moved_ms.load(Relaxed))
    }

    /// From now on answers close the connection.
    pub(super) fn set_closing(&self) {
        self.is_closing.store(true, Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Relaxed)
    }

    /// Whether somebody asked for the end.
    pub(super) fn is_ending(&self) -> bool {
        self.signal.load(Relaxed) != NO_SIGNAL
    }

    /// Asks whoever serves the connection to end it. The first reason counts.
    pub(crate) fn end(&self, ending: Ending) {
        let _ = self.signal.compare_exchange(NO_SIGNAL, ending as u8, Relaxed, Relaxed);
        self.bell.notify_one();
    }

    /// Waits until somebody asked for the end.
    pub(super) async fn ended(&self) -> Ending {
        loop {
            if let Some(ending) = self.ending() {
                return ending;
            }
            self.bell.notified().await;
        }
    }

    fn ending(&self) -> Option<Ending> {
        let signal = self.signal.load(Relaxed);
        Ending::ALL.into_iter().find(|ending| *ending as u8 == signal)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether the connection may stay. hyper has timers of its own for HTTP/1 after the first head.
    pub(super) fn judge(&self, limits: &Limits, is_http2: bool) -> Verdict {
        let now = self.now_ms();
        let (ending, since, time_max) = match self.stuck_ms.load(Relaxed) {
            stuck if stuck > 0 => (Ending::Unread, stuck - 1, limits.unread_time_max),
            _ if self.handled.load(Relaxed) > 0 => return Verdict::Stays(limits.unread_time_max / 2),
            _ if self.answered.load(Relaxed) > 0 => {
                (Ending::Unread, self.moved_ms.load(Relaxed), limits.unread_time_max)
            }
            _ if is_http2 => (Ending::Idle, self.moved_ms.load(Relaxed), self.idle_time_max(limits)),
            _ if !self.has_asked.load(Relaxed) => (Ending::Idle, 0, limits.first_head_time_max),
            _ => return Verdict::Stays(limits.unread_time_max / 2),
        };
        let passed = Duration::from_millis(now.saturating_sub(since));
        match time_max.checked_sub(passed).filter(|left| !left.is_zero()) {
            // Somebody who stops reading meanwhile is to be noticed in time.
            Some(left) => Verdict::Stays(left.min(limits.unread_time_max / 2)),
            None => Verdict::Ends(ending),
        }
    }

    fn idle_time_max(&self, limits: &Limits) -> Duration {
        match self.class() {
            Class::Admitted => limits.idle_time_max,
            Class::New | Class::Refused => limits.new_idle_time_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits::server();

    /// Lets time pass.
    fn advance(held: &mut Held, time: Duration) {
        held.began -= time;
    }

    fn ends(held: &Held, is_http2: bool) -> Option<Ending> {
        match held.judge(&LIMITS, is_http2) {
            Verdict::Ends(ending) => Some(ending),
            Verdict::Stays(left) => {
                assert!(!left.is_zero() && left <= LIMITS.unread_time_max / 2, "{left:?}");
                None
            }
        }
    }

    #[test]
    fn http2_without_a_request_ends_after_ten_seconds_and_after_an_admitted_one_after_300() {
        let mut held = Held::new();
        advance(&mut held, Duration::from_millis(9_800));
        assert_eq!(ends(&held, true), None);
        advance(&mut held, Duration::from_millis(200));
        assert_eq!(ends(&held, true), Some(Ending::Idle));
        held.begin_request(true);
        advance(&mut held, Duration::from_secs(3_600));
        assert_eq!(ends(&held, true), None, "a handler takes the time it takes");
        held.raise(Class::Admitted);
        held.begin_answer();
        held.end_answer();
        advance(&mut held, Duration::from_millis(299_800));
        assert_eq!(ends(&held, true), None);
        advance(&mut held, Duration::from_millis(200));
        assert_eq!(ends(&held, true), Some(Ending::Idle));
    }

    #[test]
    fn refusals_buy_no_time() {
        let mut held = Held::new();
        held.begin_request(false);
        held.raise(Class::Refused);
        held.begin_answer();
        held.end_answer();
        advance(&mut held, Duration::from_secs(10));
        assert_eq!((ends(&held, true), held.class()), (Some(Ending::Idle), Class::Refused));
    }

    #[test]
    fn the_first_head_of_http1_has_ten_seconds_and_later_ones_are_hypers() {
        let mut held = Held::new();
        advance(&mut held, Duration::from_secs(10));
        assert_eq!(ends(&held, false), Some(Ending::Idle));
        held.begin_request(true);
        held.begin_answer();
        held.end_answer();
        advance(&mut held, Duration::from_secs(3_600));
        assert_eq!(ends(&held, false), None);
    }

    #[test]
    fn answers_that_nobody_takes_end_after_a_minute() {
        for is_http2 in [false, true] {
            let mut held = Held::new();
            held.begin_request(true);
            held.begin_answer();
            advance(&mut held, Duration::from_millis(59_800));
            assert_eq!(ends(&held, is_http2), None);
            held.moved();
            advance(&mut held, Duration::from_secs(59));
            assert_eq!(ends(&held, is_http2), None, "a piece was taken");
            advance(&mut held, Duration::from_secs(1));
            assert_eq!(ends(&held, is_http2), Some(Ending::Unread));
            held.end_answer();
            held.takes_bytes(false);
            advance(&mut held, Duration::from_secs(30));
            held.takes_bytes(false);
            advance(&mut held, Duration::from_secs(30));
            assert_eq!(ends(&held, is_http2), Some(Ending::Unread), "bytes are still on their way");
            held.takes_bytes(true);
            assert_ne!(ends(&held, is_http2), Some(Ending::Unread));
        }
    }
}

//! The thread that reads files again, for all engines of a process: it verifies what nobody has read since the start, looks each second
//! for files that somebody changed, and reads all of them once in a settable time, so slowly that nobody notices. It gives memory back,
//! too.

use crate::{Environment, engine::Inner, memory_returned::MemoryReturned};
use pinyon_shard::Shard;
use pinyon_storage::give_way;
use pinyon_types::ShardId;
use std::{
    fmt, io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Between two looks for files that were changed.
const LOOK: Duration = Duration::from_secs(1);
/// Looks of which one asks for manifests too: a shard without records has nothing else, and there may be thousands.
const MANIFESTS_EVERY: u64 = 10;
/// Bytes a second that a pass reads at least, and at most.
const BYTES_A_SECOND: std::ops::RangeInclusive<u64> = 1 << 20..=50 << 20;

/// The thread, if steps are not taken by a test. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Scrubber {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    environment: Environment,
    next: Mutex<Next>,
    looks: AtomicU64,
    memory: Mutex<MemoryReturned>,
    /// The time in which everything is read once.
    period: Option<Duration>,
    /// Bytes that may still be verified while engines are opened.
    at_start: AtomicU64,
}

/// When something is done the next time, in microseconds of the clock.
#[derive(Debug)]
struct Next {
    #[cfg(any(test, feature = "testing"))]
    look_us: u64,
    pass_us: u64,
}

#[derive(Debug, Default)]
struct State {
    watched: Vec<Arc<Watched>>,
    is_over: bool,
}

/// An engine whose files are read again. Dropping it waits until nothing is done with them.
#[derive(Debug)]
pub(crate) struct Watching {
    watched: Arc<Watched>,
    shared: Arc<Shared>,
}

struct Watched {
    inner: Weak<Inner>,
    is_ending: AtomicBool,
    /// Whether all that was sealed before the start was verified: what comes later is verified before it is served.
    is_verified: AtomicBool,
    /// Held while something is done with the engine: it locks its directory.
    gate: Mutex<()>,
}

impl Scrubber {
    /// Starts it, or leaves its steps to a test. Without a period it only looks for what was changed.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(crate) fn start(
        environment: &Environment,
        (period, at_start): (Option<Duration>, u64),
    ) -> io::Result<Self> {
        let now_us = environment.clock().now_us();
        let next = Next {
            #[cfg(any(test, feature = "testing"))]
            look_us: now_us,
            pass_us: now_us,
        };
        let shared = Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            environment: environment.clone(),
            next: Mutex::new(next),
            looks: 0.into(),
            memory: Mutex::default(),
            period,
            at_start: at_start.into(),
        };
        let shared = Arc::new(shared);
        if environment.is_stepped() {
            return Ok(Self { shared, thread: None });
        }
        let work = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("scrub".into()).spawn(move || {
            give_way();
            work.work();
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Does what the thread does in its next turn, if that is due; whether it was.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn step(&self) -> bool {
        let now_us = self.shared.now_us();
        let mut next = self.shared.next.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = now_us >= next.look_us;
        if is_due {
            next.look_us = now_us + micros(LOOK);
            drop(next);
            while self.shared.turn() {}
        }
        is_due
    }

    /// Verifies what was sealed before the start, as long as the bytes last that are meant for that: damage to little data is known
    /// before it is served.
    pub(crate) fn verify_at_start(&self, inner: &Inner) {
        let mut take = |bytes| {
            let left = |left: u64| left.checked_sub(bytes);
            self.shared.at_start.fetch_update(Ordering::AcqRel, Ordering::Acquire, left).is_ok()
        };
        inner.verify_rest(&mut take);
    }

    /// Reads the files of an engine again, until what this returns is dropped.
    pub(crate) fn watch(&self, inner: &Arc<Inner>) -> Watching {
        let watched = Watched {
            inner: Arc::downgrade(inner),
            is_ending: AtomicBool::new(false),
            is_verified: AtomicBool::new(false),
            gate: Mutex::new(()),
        };
        let watched = Arc::new(watched);
        self.shared.lock().watched.push(Arc::clone(&watched));
        Watching { watched, shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.wake.notify_all();
        // A panic was printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.watched.is_ending.store(true, Ordering::Release);
        self.shared.lock().watched.retain(|one| !Arc::ptr_eq(one, &self.watched));
        drop(self.watched.gate.lock());
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("is_ending", &self.is_ending).finish_non_exhaustive()
    }
}

impl Watched {
    fn goes_on(&self) -> bool {
        !self.is_ending.load(Ordering::Acquire)
    }

    /// Does something with the engine, if it is there.
    fn with<T>(&self, work: impl FnOnce(&Inner) -> T) -> Option<T> {
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = self.inner.upgrade().filter(|_| self.goes_on())?;
        Some(work(&inner))
    }

    fn look(&self, with_manifests: bool) {
        self.with(|inner| inner.look_at_files(with_manifests, &mut |_| self.goes_on()));
    }

    /// Verifies what nobody has read yet; whether there was no time for all of it.
    fn verify_rest(&self, has_time: &dyn Fn() -> bool) -> bool {
        if self.is_verified.load(Ordering::Relaxed) {
            return false;
        }
        let mut pace = |_| self.goes_on() && has_time();
        let verify = |inner: &Inner| (inner.verify_rest(&mut pace), inner.is_verified());
        let (is_more, is_verified) = self.with(verify).unwrap_or_default();
        self.is_verified.store(is_verified, Ordering::Relaxed);
        is_more
    }

    /// Reads all files again. While it rests it holds nothing but a shard.
    fn read_all(&self, pace: &mut dyn FnMut(u64) -> bool) {
        let shards: Option<Vec<(ShardId, Shard)>> = self.with(|inner| inner.fleet.local().collect());
        let mut pace = |bytes: u64| {
            let goes_on = pace(bytes) && self.goes_on();
            goes_on && self.with(|inner| inner.count_scrubbed(bytes)).is_some()
        };
        for (number, shard) in shards.into_iter().flatten() {
            let is_whole = shard.segments().into_iter().all(|segment| {
                let found = shard.verify_segment(segment, &mut pace);
                self.with(|inner| inner.judge_segment((number, &shard), segment, found)).unwrap_or(false)
            });
            if is_whole {
                self.with(|inner| inner.verify_others((number, &shard), &mut |_| self.goes_on()));
            }
        }
    }
}

impl Shared {
    fn work(&self) {
        let mut is_more = false;
        while self.rest(if is_more { Duration::ZERO } else { LOOK }) {
            is_more = self.turn();
        }
    }

    /// Looks, verifies what nobody has read yet, and once nothing of that is left reads everything if it is time; whether there is more
    /// to verify.
    fn turn(&self) -> bool {
        self.look();
        if self.verify_rest() {
            return true;
        }
        if let Some(period) = self.period.filter(|period| self.is_time_for_pass(*period)) {
            self.pass(period);
        }
        false
    }

    /// Whether a pass is due; the next one is after a period then.
    fn is_time_for_pass(&self, period: Duration) -> bool {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = self.now_us() >= next.pass_us;
        if is_time {
            next.pass_us += micros(period);
        }
        is_time
    }

    fn now_us(&self) -> u64 {
        self.environment.clock().now_us()
    }

    fn look(&self) {
        // Not a file, but it is looked at as often, by a thread that nobody waits for.
        if !self.environment.is_stepped() {
            self.memory.lock().unwrap_or_else(PoisonError::into_inner).look();
        }
        let with_manifests = self.looks.fetch_add(1, Ordering::Relaxed).is_multiple_of(MANIFESTS_EVERY);
        self.watched().iter().for_each(|watched| watched.look(with_manifests));
    }

    /// Verifies for a while what nobody has read yet; whether there is more.
    fn verify_rest(&self) -> bool {
        let until = self.now_us() + micros(LOOK);
        let has_time = || self.now_us() < until;
        let left = self.watched().into_iter().filter(|watched| watched.verify_rest(&has_time));
        left.count() > 0
    }

    /// Reads everything once.
    fn pass(&self, period: Duration) {
        let bytes: u64 = self.watched().iter().filter_map(|one| one.with(Inner::file_bytes)).sum();
        let a_second = bytes / period.as_secs().max(1);
        let a_second = a_second.clamp(*BYTES_A_SECOND.start(), *BYTES_A_SECOND.end());
        let mut looked_us = self.now_us();
        let mut pace = |bytes: u64| {
            let goes_on = self.rest(Duration::from_micros(bytes.saturating_mul(1_000_000) / a_second));
            if self.now_us() >= looked_us + micros(LOOK) {
                self.look();
                looked_us = self.now_us();
            }
            goes_on
        };
        for watched in self.watched() {
            watched.read_all(&mut pace);
        }
    }

    fn watched(&self) -> Vec<Arc<Watched>> {
        self.lock().watched.clone()
    }

    /// Waits; whether there is more to do.
    fn rest(&self, time: Duration) -> bool {
        if self.environment.is_stepped() {
            self.environment.pause(time);
            return true;
        }
        let waited = self.wake.wait_timeout_while(self.lock(), time, |state| !state.is_over);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

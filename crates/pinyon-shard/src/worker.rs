//! The thread that does a shard's background steps, and the bell that wakes it.

use crate::{Shard, maintain::Step};
use pinyon_storage::give_way;
use pinyon_types::SeqNo;
use std::{
    io,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// After this time without a write what was left for it is done ([`crate::shard::Inner::quiet_step`]).
const QUIET_TIME: Duration = Duration::from_secs(2);

/// How long to rest after a failed step (a full disk, mostly) before trying again.
const RETRY_REST: Duration = Duration::from_secs(1);

/// Wakes the keeper, and tells waiting writers that a step was done.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<u64>,
    changed: Condvar,
    keepers: AtomicBool,
    ending: AtomicBool,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.count() += 1;
        self.changed.notify_all();
    }

    pub(crate) fn has_keeper(&self) -> bool {
        self.keepers.load(Ordering::Acquire)
    }

    /// Whether the keeper was told to stop.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    pub(crate) fn set_ending(&self, is_ending: bool) {
        self.ending.store(is_ending, Ordering::Release);
    }

    /// Waits until `done` holds, checking at every ring; returns whether it did within `longest`.
    pub(crate) fn wait_until(&self, done: impl Fn() -> bool, longest: Duration) -> bool {
        let (_guard, end) = self
            .changed
            .wait_timeout_while(self.count(), longest, |_| !done())
            .unwrap_or_else(PoisonError::into_inner);
        !end.timed_out()
    }

    /// Waits for a ring after `seen`; returns the count of rings.
    fn wait_after(&self, seen: u64, longest: Duration) -> u64 {
        let (guard, _) = self
            .changed
            .wait_timeout_while(self.count(), longest, |rung| *rung == seen)
            .unwrap_or_else(PoisonError::into_inner);
        *guard
    }

    /// A counter cannot be left half changed, so a poisoned lock is still good.
    fn count(&self) -> MutexGuard<'_, u64> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that seals and merges one shard whenever there is something to do; a shard has one at most. Dropping it stops it
/// after the step that it is in, which leaves for later what it can.
#[derive(Debug)]
pub struct Keeper {
    shard: Shard,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(shard: &Shard) -> io::Result<Self> {
        let own = shard.clone();
        shard.inner.bell.keepers.store(true, Ordering::Release);
        let thread = std::thread::Builder::new()
            .name(format!("shard-{}-keeper", shard.shape().shard))
            .spawn(move || {
                give_way();
                keep(&own);
            })?;
        Ok(Self { shard: shard.clone(), thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let bell = &self.shard.inner.bell;
        bell.set_ending(true);
        bell.keepers.store(false, Ordering::Release);
        bell.ring();
        if let Some(thread) = self.thread.take() {
            // A step that panicked has poisoned its shard already; there is nothing to add at the end.
            let _ = thread.join();
        }
        bell.set_ending(false);
    }
}

fn keep(shard: &Shard) {
    let bell = &shard.inner.bell;
    let mut seen = 0;
    while !bell.is_ending() {
        shard.keep_memory();
        match shard.step() {
            Ok(Step::Idle) => {
                let (before, heard) = (seq(shard), seen);
                seen = bell.wait_after(heard, QUIET_TIME);
                // A ring ends the time early, also that of a step which has just been done: such a moment is not quiet.
                if seen == heard && !bell.is_ending() {
                    use_the_quiet(shard, before);
                }
            }
            Ok(_) => bell.ring(),
            Err(error) => {
                tracing::error!(shard = shard.shape().shard.get(), error = %error, "background step failed");
                bell.ring();
                bell.wait_until(|| bell.is_ending(), RETRY_REST);
            }
        }
    }
}

fn seq(shard: &Shard) -> SeqNo {
    shard.inner.snapshot.load().seq
}

fn use_the_quiet(shard: &Shard, since: SeqNo) {
    if let Err(error) = shard.inner.quiet_step(since) {
        tracing::error!(shard = shard.shape().shard.get(), error = %error, "step of a quiet time failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_which_the_bell_was_rung_is_not_a_quiet_one() {
        let bell = Bell::default();
        assert_eq!(bell.wait_after(0, Duration::from_millis(1)), 0);
        bell.ring();
        // It has been rung already, so this does not wait.
        let seen = bell.wait_after(0, Duration::from_secs(3_600));
        assert_ne!(seen, 0);
        assert_eq!(bell.wait_after(seen, Duration::from_millis(1)), seen);
    }
}

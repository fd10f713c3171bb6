//! The bell of a shard: asks its keepers for a step, and tells waiting writers that one was done.

use std::{
    fmt::Debug,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What a shard is in the queue for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A look whether there is something to do, once nobody has written for a while.
    Look,
    /// A memtable is full: writers will wait for it.
    Seal,
}

/// Whoever does a shard's steps.
pub(crate) trait Steps: Debug + Send + Sync {
    /// Asks for one.
    fn ask(&self, need: Need);

    /// Whether somebody takes the shard's steps while others wait for them.
    fn has_threads(&self) -> bool;
}

/// Asks for steps, and tells waiting writers that one was done.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<()>,
    changed: Condvar,
    /// Where the shard's turn is kept, while it has keepers.
    place: Mutex<Option<Arc<dyn Steps>>>,
    /// Whether a write was noted since the keepers last found nothing left to do.
    is_noted: AtomicBool,
    ending: AtomicBool,
}

impl Bell {
    /// Tells those who wait that something has changed.
    pub(crate) fn ring(&self) {
        // Taken, so that nobody is between looking and waiting.
        drop(self.rung.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Asks the keepers, if there are any.
    pub(crate) fn ask(&self, need: Need) {
        if let Some(place) = &*self.place() {
            place.ask(need);
        }
    }

    /// Has the keepers look once nobody writes. For every write: only the first after a rest costs more than a look.
    pub(crate) fn note(&self) {
        if !self.is_noted.swap(true, Ordering::SeqCst) {
            self.ask(Need::Look);
        }
    }

    /// Says that what was noted so far is done. Whoever calls looks afterwards whether something was written meanwhile.
    pub(crate) fn forget_notes(&self) {
        self.is_noted.store(false, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    pub(crate) fn set_place(&self, place: Option<Arc<dyn Steps>>) {
        *self.place() = place;
    }

    /// Whether the shard has keepers that work while others wait for them.
    pub(crate) fn has_keepers(&self) -> bool {
        self.place().as_ref().is_some_and(|place| place.has_threads())
    }

    /// Whether the shard's keepers were told to stop.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    pub(crate) fn set_ending(&self, is_ending: bool) {
        self.ending.store(is_ending, Ordering::Release);
    }

    /// Waits until `done` holds, checking at every ring; returns whether it did within `longest`.
    pub(crate) fn wait_until(&self, done: impl Fn() -> bool, longest: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(rung, longest, |()| !done());
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// A single assignment, which a panic cannot leave half done.
    fn place(&self) -> MutexGuard<'_, Option<Arc<dyn Steps>>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

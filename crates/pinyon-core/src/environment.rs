//! What an engine takes from outside: the file system, the clock, and who does its background work. Nothing else of the engine names the
//! machine's files or waits by itself, so that all of it runs on the disk, by the clock and in the thread that a test gives it.

use pinyon_shard::{Keepers, KeepersOptions};
use pinyon_storage::{
    SystemClock,
    io::{RealIo, SharedIo},
};
use pinyon_types::Clock;
#[cfg(any(test, feature = "testing"))]
use pinyon_types::ManualClock;
use std::{io, sync::Arc, time::Duration};

/// The file system, the clock and the executor of an engine. Cheap to clone; clones share them.
#[derive(Debug, Clone)]
pub struct Environment {
    io: SharedIo,
    clock: Arc<dyn Clock>,
    executor: Executor,
}

/// Who does what is not an answer.
#[derive(Debug, Clone)]
enum Executor {
    /// Threads of the engine.
    Threads,
    /// Whoever asks for a step. Waiting moves the clock, and is over at once.
    #[cfg(any(test, feature = "testing"))]
    Steps(Arc<ManualClock>),
}

impl Environment {
    /// The machine's file system, its clock, and threads.
    pub fn system() -> Self {
        Self { io: system_io(), clock: Arc::new(SystemClock::new()), executor: Executor::Threads }
    }

    /// The file system.
    pub const fn io(&self) -> &SharedIo {
        &self.io
    }

    /// The clock.
    pub const fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Whether an engine starts no threads and does nothing by itself.
    pub(crate) const fn is_stepped(&self) -> bool {
        !matches!(self.executor, Executor::Threads)
    }

    /// Waits.
    pub(crate) fn pause(&self, time: Duration) {
        match &self.executor {
            Executor::Threads => std::thread::park_timeout(time),
            #[cfg(any(test, feature = "testing"))]
            Executor::Steps(clock) => clock.advance(time),
        }
    }

    /// Starts keepers with the threads that the executor has.
    ///
    /// # Errors
    /// The system has no threads to give.
    pub(crate) fn start(&self, options: KeepersOptions) -> io::Result<Keepers> {
        match self.executor {
            Executor::Threads => Keepers::start(options),
            #[cfg(any(test, feature = "testing"))]
            Executor::Steps(_) => Ok(Keepers::stepped(options)),
        }
    }

    /// Waits for a look at missing codes and graphs, or takes it.
    pub(crate) fn await_look(
        &self,
        #[cfg_attr(not(any(test, feature = "testing")), expect(unused_variables))] keepers: &Keepers,
        rest: Duration,
    ) {
        #[cfg(any(test, feature = "testing"))]
        if self.is_stepped() {
            keepers.derive_step();
        }
        self.pause(rest);
    }
}

/// What only tests have.
#[cfg(any(test, feature = "testing"))]
impl Environment {
    /// A file system, a clock that stands until somebody waits or moves it, and no threads: background work is done by
    /// [`crate::Engine::step`] alone.
    pub fn stepped(io: SharedIo) -> Self {
        let clock = Arc::new(ManualClock::default());
        Self { io, clock: Arc::clone(&clock) as Arc<dyn Clock>, executor: Executor::Steps(clock) }
    }

    /// The same with another file system.
    #[must_use]
    pub fn with_io(&self, io: SharedIo) -> Self {
        Self { io, ..self.clone() }
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(&self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self.clone() }
    }

    /// Lets time pass; steps that were left for later become due.
    pub fn advance(&self, time: Duration) {
        self.pause(time);
    }
}

/// The machine's file system.
pub fn system_io() -> SharedIo {
    Arc::new(RealIo)
}

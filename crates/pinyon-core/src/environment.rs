//! What an engine takes from outside: the file system and the clock. Nothing else of the engine names the machine's own, so that all of
//! it runs on the disk and by the clock that a test gives it.

use pinyon_storage::{
    SystemClock,
    io::{RealIo, SharedIo},
};
use pinyon_types::Clock;
use std::sync::Arc;

/// The file system and the clock of an engine. Cheap to clone; clones share both.
#[derive(Debug, Clone)]
pub struct Environment {
    io: SharedIo,
    clock: Arc<dyn Clock>,
}

impl Environment {
    /// The machine's file system and its clock.
    pub fn system() -> Self {
        Self { io: system_io(), clock: Arc::new(SystemClock::new()) }
    }

    /// The file system.
    pub const fn io(&self) -> &SharedIo {
        &self.io
    }

    /// The clock.
    pub const fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The same with another clock.
    #[cfg(test)]
    pub(crate) fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }
}

/// The machine's file system.
pub fn system_io() -> SharedIo {
    Arc::new(RealIo)
}

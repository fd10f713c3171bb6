//! Waiting as a handle, so that a test of retries does not wait.

use std::{fmt::Debug, time::Duration};

/// Waits.
pub trait Pause: Send + Sync + Debug {
    /// Waits for about `wanted`.
    fn pause(&self, wanted: Duration);
}

/// Lets the calling thread sleep.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadPause;

impl Pause for ThreadPause {
    fn pause(&self, wanted: Duration) {
        std::thread::sleep(wanted);
    }
}

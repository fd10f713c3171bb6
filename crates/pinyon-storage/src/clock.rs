//! The machine's clock behind the `Clock` handle.

use pinyon_types::Clock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall time taken once, moved on by the monotone clock: it never goes back within a process.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    started_us: u64,
}

impl SystemClock {
    /// Reads the wall clock.
    pub fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started: Instant::now(),
            started_us: u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_us(&self) -> u64 {
        let elapsed_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.started_us.saturating_add(elapsed_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_tells_this_century_and_never_goes_back() {
        let clock = SystemClock::new();
        let readings: Vec<u64> = (0..1000).map(|_| clock.now_us()).collect();
        assert!(readings.is_sorted());
        // 2020 to 2200, in microseconds.
        assert!((1_577_836_800_000_000..7_258_118_400_000_000).contains(&readings[0]));
    }
}

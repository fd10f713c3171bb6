//! Until when a call may take.

use pinyon_types::Clock;
use std::time::Duration;

/// The moment at which a call gives up, by a clock. Cheap to copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct Until<'a>(Option<Deadline<'a>>);

#[derive(Debug, Clone, Copy)]
struct Deadline<'a> {
    clock: &'a dyn Clock,
    at_us: u64,
}

impl<'a> Until<'a> {
    /// However long it takes.
    pub const NEVER: Self = Self(None);

    /// Until a moment in microseconds of the clock; without one, however long it takes.
    pub fn at(clock: &'a dyn Clock, at_us: Option<u64>) -> Self {
        Self(at_us.map(|at_us| Deadline { clock, at_us }))
    }

    /// For this long from now on.
    pub fn within(clock: &'a dyn Clock, time: Duration) -> Self {
        let time_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self::at(clock, Some(clock.now_us().saturating_add(time_us)))
    }

    /// Whether the time is up. Reads the clock if there is a deadline.
    pub fn is_over(&self) -> bool {
        self.0.is_some_and(|deadline| deadline.clock.now_us() >= deadline.at_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::ManualClock;

    #[test]
    fn the_time_is_up_at_the_deadline_and_never_without_one() {
        let clock = ManualClock::default();
        let until = Until::within(&clock, Duration::from_micros(2));
        let looks = [0, 1, 1].map(|by| {
            clock.advance(Duration::from_micros(by));
            until.is_over()
        });
        assert_eq!(looks, [false, false, true]);
        assert!(!Until::NEVER.is_over() && !Until::at(&clock, None).is_over());
        assert!(!Until::within(&clock, Duration::MAX).is_over(), "it does not wrap around");
    }
}

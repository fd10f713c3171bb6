//! Latency quantiles from HDR histograms over the last minutes.

use hdrhistogram::Histogram;
use pinyon_types::Clock;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// How long a histogram collects before it becomes the previous one.
const WINDOW_US: u64 = 5 * 60 * 1_000_000;
/// Longest latency that is told apart from longer ones: ten minutes.
const LATENCY_US_MAX: u64 = 600_000_000;

/// Quantiles in microseconds, over the last one to two windows: of five minutes, unless it says something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quantiles {
    /// Half are faster.
    pub p50_us: u64,
    /// 95 % are faster.
    pub p95_us: u64,
    /// 99 % are faster.
    pub p99_us: u64,
    /// Observations that these come from.
    pub count: u64,
}

/// Collects latencies; quantiles forget what is older than two windows.
#[derive(Debug)]
pub(crate) struct LatencyMeter {
    clock: Arc<dyn Clock>,
    window_us: u64,
    windows: Mutex<Windows>,
}

/// A histogram takes 20 KB, so that one is made when something comes that goes into it.
#[derive(Debug)]
struct Windows {
    current: Option<Histogram<u64>>,
    previous: Option<Histogram<u64>>,
    began_us: u64,
    total: u64,
}

impl LatencyMeter {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self::over(WINDOW_US, clock)
    }

    /// Quantiles of the last one to two windows of so many microseconds.
    pub(crate) fn over(window_us: u64, clock: Arc<dyn Clock>) -> Self {
        let windows = Windows { current: None, previous: None, began_us: clock.now_us(), total: 0 };
        Self { clock, window_us, windows: Mutex::new(windows) }
    }

    pub(crate) fn record_us(&self, latency_us: u64) {
        let mut windows = self.rotated();
        windows.total += 1;
        windows.current.get_or_insert_with(histogram).saturating_record(latency_us.max(1));
    }

    /// Everything ever recorded.
    pub(crate) fn total(&self) -> u64 {
        self.rotated().total
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        let windows = self.rotated();
        let mut measured = [&windows.current, &windows.previous].into_iter().flatten();
        let Some(mut both) = measured.next().cloned() else { return Quantiles::default() };
        for window in measured {
            both.add(window).expect("invariant: all have the same bounds");
        }
        drop(windows);
        let at = |quantile| both.value_at_quantile(quantile);
        Quantiles { p50_us: at(0.5), p95_us: at(0.95), p99_us: at(0.99), count: both.len() }
    }

    fn rotated(&self) -> MutexGuard<'_, Windows> {
        // Counters cannot be left half changed in a way that matters.
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let now_us = self.clock.now_us();
        if now_us.saturating_sub(windows.began_us) > self.window_us {
            let is_stale = now_us - windows.began_us > 2 * self.window_us;
            windows.previous = windows.current.take().filter(|_| !is_stale);
            windows.began_us = now_us;
        }
        windows
    }
}

/// Latency of the last second or two, for as long as somebody asks: nobody else pays for it.
#[derive(Debug)]
pub(crate) struct RecentLatency {
    meter: LatencyMeter,
    asked_us: AtomicU64,
}

impl RecentLatency {
    /// So long after a question it is still measured.
    const ASKED_US: u64 = 5_000_000;
    const WINDOW_US: u64 = 1_000_000;

    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { meter: LatencyMeter::over(Self::WINDOW_US, clock), asked_us: AtomicU64::new(0) }
    }

    pub(crate) fn record_us(&self, ended_us: u64, latency_us: u64) {
        let asked_us = self.asked_us.load(Ordering::Relaxed);
        if asked_us > 0 && ended_us < asked_us.saturating_add(Self::ASKED_US) {
            self.meter.record_us(latency_us);
        }
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        self.asked_us.store(self.meter.clock.now_us().max(1), Ordering::Relaxed);
        self.meter.quantiles()
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 2).expect("invariant: the bounds are constants that fit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::ManualClock;
    use std::time::Duration;

    #[test]
    fn quantiles_are_right_within_a_hundredth_and_forget_the_past() {
        let clock = Arc::new(ManualClock::default());
        let meter = LatencyMeter::new(Arc::clone(&clock) as Arc<dyn Clock>);
        assert_eq!(meter.quantiles(), Quantiles::default());
        (1..=1000).for_each(|latency| meter.record_us(latency * 100));
        let found = meter.quantiles();
        for (found, expected) in [(found.p50_us, 50_000), (found.p95_us, 95_000), (found.p99_us, 99_000)] {
            assert!(found.abs_diff(expected) <= expected / 100, "{found} where {expected} is right");
        }
        clock.advance(Duration::from_secs(6 * 60));
        meter.record_us(7);
        assert_eq!(meter.quantiles().count, 1001);
        clock.advance(Duration::from_secs(6 * 60));
        assert_eq!(meter.quantiles().count, 1);
        clock.advance(Duration::from_secs(60 * 60));
        assert_eq!((meter.quantiles().count, meter.total()), (0, 1001));
    }

    #[test]
    fn what_nobody_asks_for_is_not_measured() {
        let clock = Arc::new(ManualClock::default());
        let recent = RecentLatency::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let record = || recent.record_us(clock.now_us(), 70);
        clock.advance(Duration::from_secs(10));
        record();
        assert_eq!(recent.quantiles().count, 0);
        record();
        clock.advance(Duration::from_millis(900));
        record();
        assert_eq!((recent.quantiles().count, recent.quantiles().p99_us), (2, 70));
        clock.advance(Duration::from_secs(3));
        record();
        assert_eq!(recent.quantiles().count, 1, "the past is forgotten");
        clock.advance(Duration::from_secs(6));
        record();
        assert_eq!(recent.quantiles().count, 0);
    }
}

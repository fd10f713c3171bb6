//! How fast a copy may be made.

use super::{error::CopyError, progress::Progress, surroundings::Surroundings};
use crate::environment::Environment;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What a step of a copy read or wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spent {
    /// Records.
    pub(crate) rows: u64,
    /// Bytes of them, about.
    pub(crate) bytes: u64,
}

/// Told of every step of a copy; may make it wait, or end it.
pub(crate) trait Pace: Send + Sync + std::fmt::Debug {
    /// Waits until the next step may begin.
    ///
    /// # Errors
    /// [`CopyError::Ended`].
    fn spent(&self, spent: Spent) -> Result<(), CopyError>;

    /// Waits a moment because a side is busy.
    ///
    /// # Errors
    /// [`CopyError::Ended`].
    fn wait_a_moment(&self) -> Result<(), CopyError>;
}

/// What makes a copy wait before its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Throttled {
    /// Nothing.
    #[default]
    ByNothing,
    /// The settings: rows or bytes a second.
    ByRate,
    /// Searches of its shards take longer than before it began.
    ByLatency,
}

impl Throttled {
    const fn of(pause: Duration, is_unpaid: bool) -> Self {
        match (pause.is_zero(), is_unpaid) {
            (false, _) => Self::ByLatency,
            (true, true) => Self::ByRate,
            (true, false) => Self::ByNothing,
        }
    }

    /// The name in reports; none of what is nothing.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::ByNothing => None,
            Self::ByRate => Some("rate"),
            Self::ByLatency => Some("latency"),
        }
    }
}

/// Longest wait without a look at whether the copy is to end.
const LOOK: Duration = Duration::from_millis(50);
const MOMENT: Duration = Duration::from_millis(10);

/// How many of each are read a second; 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rates {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// So many rows and bytes a second on average, and as much at once as a tenth of a second allows.
#[derive(Debug)]
pub(crate) struct Throttle {
    environment: Environment,
    rates: Rates,
    /// When what was spent so far is paid for, in microseconds.
    paid_us: Mutex<u64>,
    is_ended: Arc<AtomicBool>,
    progress: Arc<Progress>,
    surroundings: Option<Arc<Surroundings>>,
}

impl Throttle {
    pub(crate) fn new(environment: Environment, rates: Rates, progress: Arc<Progress>) -> Self {
        let paid_us = Mutex::new(environment.clock().now_us());
        Self { environment, rates, paid_us, is_ended: Arc::default(), progress, surroundings: None }
    }

    /// The same with regard to what is around the copy.
    pub(super) fn amid(self, surroundings: Surroundings) -> Self {
        Self { surroundings: Some(Arc::new(surroundings)), ..self }
    }

    /// Without limits; ends with this one.
    pub(crate) fn unlimited(&self) -> Self {
        let (environment, progress) = (self.environment.clone(), Arc::clone(&self.progress));
        Self { is_ended: Arc::clone(&self.is_ended), ..Self::new(environment, Rates::default(), progress) }
    }

    /// Ends whatever waits, and whatever asks from now on.
    pub(crate) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
    }

    /// When the next step may begin, after this was spent.
    fn pay(&self, spent: Spent) -> u64 {
        const AT_ONCE_US: u64 = 100_000;
        let mut paid_us = self.paid_us.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = cost_us(spent.rows, self.rates.rows).max(cost_us(spent.bytes, self.rates.bytes));
        let now_us = self.environment.clock().now_us();
        *paid_us = (*paid_us).max(now_us.saturating_sub(AT_ONCE_US)).saturating_add(cost);
        *paid_us
    }

    fn wait_until(&self, begins_us: u64) -> Result<(), CopyError> {
        loop {
            self.check()?;
            let left = Duration::from_micros(begins_us.saturating_sub(self.environment.clock().now_us()));
            if left.is_zero() {
                return Ok(());
            }
            self.environment.pause(left.min(LOOK));
        }
    }

    /// Looks whether the copy is to end.
    ///
    /// # Errors
    /// [`CopyError::Ended`].
    pub(super) fn check(&self) -> Result<(), CopyError> {
        if self.is_ended.load(Ordering::Acquire) { Err(CopyError::Ended) } else { Ok(()) }
    }
}

/// How long so many take at a rate; nothing where there is no limit.
fn cost_us(count: u64, per_second: u64) -> u64 {
    count.saturating_mul(1_000_000).checked_div(per_second).unwrap_or(0)
}

impl Pace for Throttle {
    fn spent(&self, spent: Spent) -> Result<(), CopyError> {
        self.progress.count(spent.rows, spent.bytes);
        let Some(surroundings) = &self.surroundings else { return self.wait_until(self.pay(spent)) };
        surroundings.check_room()?;
        let (paid_us, now_us) = (self.pay(spent), self.environment.clock().now_us());
        let pause = surroundings.pause();
        let begins_us = paid_us.max(now_us + pause.as_micros() as u64);
        self.progress.set_throttled(Throttled::of(pause, paid_us > now_us));
        self.wait_until(begins_us)
    }

    fn wait_a_moment(&self) -> Result<(), CopyError> {
        self.check()?;
        self.environment.pause(MOMENT);
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_storage::io::MemoryIo;

    fn throttle(environment: &Environment, rows: u64, bytes: u64) -> Throttle {
        Throttle::new(environment.clone(), Rates { rows, bytes }, Arc::default())
    }

    #[test]
    fn a_rate_is_kept_on_average_by_whichever_of_rows_and_bytes_costs_more() {
        let environment = Environment::stepped(Arc::new(MemoryIo::new()));
        environment.advance(Duration::from_secs(10));
        let throttle = throttle(&environment, 100, 1_000);
        let begins_ms = |rows, bytes| throttle.pay(Spent { rows, bytes }) / 1_000;
        // Ten rows or a hundred bytes cost a tenth of a second.
        assert_eq!([begins_ms(10, 0), begins_ms(10, 5), begins_ms(1, 200)], [10_100, 10_200, 10_400]);
        environment.advance(Duration::from_secs(60));
        // What was not used is saved up for a tenth of a second.
        assert_eq!([begins_ms(10, 0), begins_ms(10, 0)], [70_000, 70_100]);
        let unlimited = throttle.unlimited();
        assert!(unlimited.pay(Spent { rows: u64::MAX, bytes: u64::MAX }) <= environment.clock().now_us());
        assert_eq!(unlimited.spent(Spent { rows: 3, bytes: 4 }), Ok(()));
        assert_eq!(throttle.progress.rows.load(Ordering::Relaxed), 3);
        assert_eq!(throttle.spent(Spent { rows: 100, bytes: 0 }), Ok(()), "it waits");
        assert!(environment.clock().now_us() >= 71_100_000);
        throttle.end();
        assert_eq!(throttle.spent(Spent::default()), Err(CopyError::Ended));
        assert_eq!(unlimited.wait_a_moment(), Err(CopyError::Ended));
        assert_eq!(throttle.wait_a_moment(), Err(CopyError::Ended));
    }
}

//! How near a process is to its limit on memory, by what the system says it has of its own. What is counted leaves out threads, buffers
//! and what the allocator has not given back; this does not.

use pinyon_storage::io::anonymous_resident_bytes;
#[cfg(test)]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What is done about it; each level does what those before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Nothing.
    None,
    /// Filter indexes are dropped, no codes and graphs are built.
    Build,
    /// Memtables are sealed early, codes and graphs are dropped, coldest first.
    Seal,
    /// Writes that need room are refused.
    Put,
    /// Only deletions and small reads are let in.
    Read,
}

impl Pressure {
    /// The level of `bytes` under a limit.
    fn of(bytes: u64, bytes_max: u64) -> Self {
        match u128::from(bytes) * 100 / u128::from(bytes_max.max(1)) {
            0..85 => Self::None,
            85..90 => Self::Build,
            90..95 => Self::Seal,
            95..105 => Self::Put,
            105.. => Self::Read,
        }
    }
}

/// Who says what the process has of its own.
#[derive(Debug, Default)]
enum Source {
    /// Nobody: only what is counted counts.
    #[default]
    Nobody,
    System,
    #[cfg(test)]
    Test(Arc<AtomicU64>),
}

/// The last look at it.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    source: Source,
    bytes: AtomicU64,
    looked_us: AtomicU64,
    /// When something was last dropped: the allocator gives memory back a second later.
    dropped_us: AtomicU64,
    was_pressed: AtomicBool,
}

/// Between two looks.
const LOOK_REST_US: u64 = 250_000;
/// After something was dropped: until then the system does not know.
const DROP_REST_US: u64 = 1_500_000;

impl Gauge {
    pub(crate) fn of_process() -> Self {
        Self { source: Source::System, ..Self::default() }
    }

    #[cfg(test)]
    pub(crate) fn of_test(bytes: Arc<AtomicU64>) -> Self {
        Self { source: Source::Test(bytes), ..Self::default() }
    }

    /// Looks if it is time to; returns whether the level is one at which something is to be done, and nothing was just now.
    pub(crate) fn look(&self, now_us: u64, bytes_max: u64) -> bool {
        if now_us < self.looked_us.load(Relaxed).saturating_add(LOOK_REST_US) {
            return false;
        }
        self.looked_us.store(now_us, Relaxed);
        let bytes = match &self.source {
            Source::Nobody => None,
            Source::System => anonymous_resident_bytes(),
            #[cfg(test)]
            Source::Test(bytes) => Some(bytes.load(Relaxed)),
        };
        self.bytes.store(bytes.unwrap_or(0), Relaxed);
        let pressure = self.pressure(bytes_max);
        if (pressure > Pressure::None) != self.was_pressed.swap(pressure > Pressure::None, Relaxed) {
            let mib = self.bytes() >> 20;
            tracing::info!(
                mib,
                limit_mib = bytes_max >> 20,
                ?pressure,
                "memory near its limit or below again"
            );
        }
        pressure > Pressure::None && now_us >= self.dropped_us.load(Relaxed).saturating_add(DROP_REST_US)
    }

    pub(crate) fn note_drop(&self, now_us: u64) {
        self.dropped_us.store(now_us, Relaxed);
    }

    /// Bytes as of the last look; 0 if nobody says.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub(crate) fn pressure(&self, bytes_max: u64) -> Pressure {
        Pressure::of(self.bytes(), bytes_max)
    }

    /// Bytes above what may be there without anything being dropped.
    pub(crate) fn excess(&self, bytes_max: u64) -> u64 {
        self.bytes().saturating_sub(bytes_max / 100 * 85)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_begin_where_they_are_said_to() {
        let at = |percent| Pressure::of(percent, 100);
        assert_eq!(
            [84, 85, 89, 90].map(at),
            [Pressure::None, Pressure::Build, Pressure::Build, Pressure::Seal]
        );
        assert_eq!(
            [94, 95, 104, 105].map(at),
            [Pressure::Seal, Pressure::Put, Pressure::Put, Pressure::Read]
        );
        assert_eq!(Pressure::of(0, 0), Pressure::None);
    }

    #[test]
    fn nothing_more_is_done_before_the_system_can_know_what_was_dropped() {
        let bytes = Arc::new(AtomicU64::new(90));
        let gauge = Gauge::of_test(Arc::clone(&bytes));
        assert!(gauge.look(11_000_000, 100) && gauge.excess(100) == 5);
        assert!(!gauge.look(11_100_000, 100), "just looked");
        gauge.note_drop(11_000_000);
        assert!(!gauge.look(11_300_000, 100));
        bytes.store(97, Relaxed);
        assert!(!gauge.look(11_600_000, 100));
        assert_eq!(gauge.pressure(100), Pressure::Put, "but it is known");
        assert!(gauge.look(12_500_000, 100));
    }
}

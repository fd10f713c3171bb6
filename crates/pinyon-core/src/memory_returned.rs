//! When memory is given back: after a load, once it has ended. Going by what the system says of the process alone, this needs to know
//! nothing of what the load was.

use pinyon_storage::{give_back_memory, io::anonymous_resident_bytes};

/// Less is not worth the time.
const WORTH_BYTES: u64 = 16 << 20;
/// What the process may grow by from one look to another while it is at rest.
const RESTING_BYTES: u64 = 2 << 20;
/// Looks for which it is to be at rest.
const LOOKS: usize = 2;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct MemoryReturned {
    /// Bytes of the process's own, since they were given back last.
    least: u64,
    /// The same at the last looks.
    seen: [u64; LOOKS],
}

impl MemoryReturned {
    /// Looks, and gives back if it is time. Called about every second.
    pub(crate) fn look(&mut self) {
        if anonymous_resident_bytes().is_some_and(|bytes| self.is_time(bytes)) {
            give_back_memory();
            self.least = anonymous_resident_bytes().unwrap_or(u64::MAX);
        }
    }

    /// Whether the process has much more than it had, and grows no more.
    fn is_time(&mut self, bytes: u64) -> bool {
        let is_at_rest = self.seen.iter().all(|seen| bytes <= seen + RESTING_BYTES);
        self.seen.rotate_left(1);
        self.seen[LOOKS - 1] = bytes;
        self.least = self.least.min(bytes);
        is_at_rest && bytes > self.least.saturating_add(WORTH_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn memory_is_given_back_when_a_load_has_ended_and_not_again() {
        let mut returned = MemoryReturned::default();
        let times = |returned: &mut MemoryReturned, mib: &[u64]| {
            mib.iter().map(|mib| returned.is_time(mib * MIB)).collect::<Vec<bool>>()
        };
        assert_eq!(
            times(&mut returned, &[50, 200, 400, 600, 601, 600]),
            [false, false, false, false, false, true]
        );
        // What is in use stays.
        returned.least = 550 * MIB;
        assert_eq!(times(&mut returned, &[550, 551, 555, 560, 566, 566, 566]), [false; 7]);
        assert_eq!(times(&mut returned, &[580, 580, 580]), [false, false, true]);
    }

    /// Other tests of the process come and go meanwhile: one try of several has to show it.
    #[test]
    fn what_was_freed_is_not_kept() {
        let keeps_it = || {
            let before = anonymous_resident_bytes().unwrap_or(0);
            let parts: Vec<Vec<u8>> = (0..40_000).map(|at| vec![at as u8; 5_000]).collect();
            // What stays is spread over all of it.
            let held: Vec<Vec<u8>> =
                parts.into_iter().enumerate().filter(|(at, _)| at % 50 == 0).map(|one| one.1).collect();
            give_back_memory();
            let after = anonymous_resident_bytes().unwrap_or(0);
            assert_eq!(held.len(), 800);
            after > before + 100 * MIB
        };
        let gives_back = cfg!(all(target_os = "linux", target_env = "gnu"));
        assert!(!gives_back || (0..5).any(|_| !keeps_it()));
    }
}

//! The limit on memory: what was asked for, or a share of what the system lets the process have.

use super::{error::ConfigError, machine, machine::Memory};
use pinyon_core::{MemoryBudget, SystemClock};
use std::sync::Arc;

const MIB: u64 = 1 << 20;
/// Least that may be asked for: the program, its threads and connections take most of that.
const MIB_MIN: u64 = 128;
/// Percent of the memory that the system lets the process have which Pinyon takes for its own.
const SHARE_PERCENT: u64 = 75;

/// The limit; none if 0 was asked for.
pub(super) fn budget(memory_mib: Option<u64>) -> Result<Option<Arc<MemoryBudget>>, ConfigError> {
    let limit = |bytes| MemoryBudget::new(bytes, Arc::new(SystemClock::new())).of_process();
    match memory_mib {
        Some(0) => Ok(None),
        Some(mib) if mib < MIB_MIN => Err(ConfigError(format!(
            "setting memory_mib: must be at least {MIB_MIN} MiB, or 0 for no limit, is {mib}"
        ))),
        Some(mib) => Ok(Some(Arc::new(limit(mib.saturating_mul(MIB))))),
        None => Ok(Some(Arc::new(limit(default_mib(&machine::memory()) * MIB).unasked()))),
    }
}

/// MiB that are taken without being asked for.
pub(super) fn default_mib(memory: &Memory) -> u64 {
    memory.bytes / MIB * SHARE_PERCENT / 100
}

/// The limit for people, and where it comes from.
pub(super) fn shown(budget: Option<&Arc<MemoryBudget>>) -> String {
    match budget {
        None => "no limit".into(),
        Some(budget) if budget.is_asked() => (budget.bytes_max() / MIB).to_string(),
        Some(budget) => {
            let source = machine::memory().source;
            format!("{} ({SHARE_PERCENT} % of what {source} says)", budget.bytes_max() / MIB)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_holds_and_the_default_is_a_share_of_what_there_is() {
        let asked = budget(Some(512)).unwrap();
        assert_eq!(
            asked.as_ref().map(|budget| (budget.bytes_max() >> 20, budget.is_asked())),
            Some((512, true))
        );
        assert_eq!(shown(asked.as_ref()), "512");
        assert!(budget(Some(0)).unwrap().is_none() && shown(None) == "no limit");
        for wrong in [1, 127] {
            let refused = budget(Some(wrong)).unwrap_err().0;
            assert!(
                refused.contains("at least 128 MiB") && refused.ends_with(&wrong.to_string()),
                "{refused}"
            );
        }
        let memory = Memory { bytes: 512 << 20, source: "a test".into() };
        assert_eq!(default_mib(&memory), 384);
        let unasked = budget(None).unwrap();
        assert!(unasked.as_ref().is_some_and(|budget| !budget.is_asked() && budget.bytes_max() > 0));
        assert!(shown(unasked.as_ref()).contains(" (75 % of what /"), "{}", shown(unasked.as_ref()));
    }
}

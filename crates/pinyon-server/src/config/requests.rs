//! How many bytes the bodies of requests, and what is made of them, may take at once.

use super::{error::ConfigError, machine, memory};

const MIB: u64 = 1 << 20;
/// Least: two of the largest writes that small clients send, at once.
const MIB_MIN: u64 = 16;
/// Most that is taken without being asked for: a dozen of the largest bodies at once.
const DEFAULT_MIB_MAX: u64 = 1 << 10;
/// Most that may be asked for: 1 TiB.
const MIB_MAX: u64 = 1 << 20;

/// What was asked for, or an eighth of the memory there is: of `memory_mib`, else of what the system allows.
pub(super) fn bytes(requests_mib: Option<u64>, memory_mib: Option<u64>) -> Result<usize, ConfigError> {
    let mib = match requests_mib {
        Some(mib) if (MIB_MIN..=MIB_MAX).contains(&mib) => mib,
        Some(mib) => {
            return Err(ConfigError(format!(
                "setting requests_mib: must be {MIB_MIN} to {MIB_MAX} MiB, is {mib}"
            )));
        }
        None => {
            let asked = memory_mib.filter(|mib| *mib > 0);
            default_mib(asked.unwrap_or_else(|| memory::default_mib(&machine::memory())))
        }
    };
    Ok(usize::try_from(mib * MIB).unwrap_or(usize::MAX))
}

fn default_mib(memory_mib: u64) -> u64 {
    (memory_mib / 8).clamp(MIB_MIN, DEFAULT_MIB_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_holds_and_the_default_is_a_share_of_the_memory() {
        assert_eq!(bytes(Some(20), Some(64_000)).unwrap(), 20 << 20);
        assert_eq!(bytes(None, Some(512)).unwrap(), 64 << 20);
        assert_eq!([1, 512, 8_000, 64_000].map(default_mib), [16, 64, 1_000, 1_024]);
        assert!((16 << 20..=1 << 30).contains(&bytes(None, None).unwrap()));
        for wrong in [0, 15, u64::MAX] {
            let refused = bytes(Some(wrong), None).unwrap_err().0;
            assert_eq!(refused, format!("setting requests_mib: must be 16 to 1048576 MiB, is {wrong}"));
        }
    }
}

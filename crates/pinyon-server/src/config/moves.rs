//! How tenants are moved.

use super::{error::ConfigError, partial::Partial};
use pinyon_core::MoveSettings;

/// The most that may be moved at once: each takes a thread.
const AT_ONCE_MAX: usize = 64;

/// What the layers say of moves.
pub(super) fn settings(merged: &Partial) -> Result<MoveSettings, ConfigError> {
    let defaults = MoveSettings::default();
    let at_once = merged.moves_at_once.unwrap_or(defaults.at_once);
    if !(1..=AT_ONCE_MAX).contains(&at_once) {
        return Err(ConfigError(format!("setting moves_at_once: must be 1 to {AT_ONCE_MAX}, is {at_once}")));
    }
    let bytes = |mib: u64| mib.saturating_mul(1 << 20);
    Ok(MoveSettings {
        at_once,
        rows_per_second: merged.move_rows_per_second.unwrap_or(defaults.rows_per_second),
        bytes_per_second: merged.move_mib_per_second.map_or(defaults.bytes_per_second, bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_holds_and_what_cannot_be_is_refused() {
        assert_eq!(settings(&Partial::default()).unwrap(), MoveSettings::default());
        let asked = |at_once, rows, mib| Partial {
            moves_at_once: at_once,
            move_rows_per_second: rows,
            move_mib_per_second: mib,
            ..Partial::default()
        };
        let all = settings(&asked(Some(5), Some(7), Some(3))).unwrap();
        assert_eq!((all.at_once, all.rows_per_second, all.bytes_per_second), (5, 7, 3 << 20));
        assert_eq!(settings(&asked(None, None, Some(u64::MAX))).unwrap().bytes_per_second, u64::MAX);
        for wrong in [0, 65, usize::MAX] {
            let refused = settings(&asked(Some(wrong), None, None)).unwrap_err().to_string();
            assert!(refused.contains("moves_at_once: must be 1 to 64"), "{refused}");
        }
    }
}

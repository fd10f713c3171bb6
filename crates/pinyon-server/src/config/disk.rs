//! The disk: where little room begins, and where none is left.

use super::error::ConfigError;
use pinyon_core::{DiskBudget, DiskMarks, ErasureTimes, SCRUB_PERIOD, SystemClock, system_io};
use std::{path::Path, sync::Arc, time::Duration};

/// The disk below a data directory, with marks in MiB that were asked for.
pub(super) fn budget(
    data_dir: &Path,
    low_mib: Option<u64>,
    full_mib: Option<u64>,
) -> Result<Arc<DiskBudget>, ConfigError> {
    if let (Some(low), Some(full)) = (low_mib, full_mib)
        && low < full
    {
        return Err(ConfigError(format!(
            "setting disk_low_mib: must be at least disk_full_mib, which is {full}, is {low}"
        )));
    }
    let bytes = |mib: Option<u64>| mib.map(|mib| mib.saturating_mul(1 << 20));
    let marks = DiskMarks { low: bytes(low_mib), full: bytes(full_mib) };
    Ok(Arc::new(DiskBudget::new(system_io(), data_dir, marks, Arc::new(SystemClock::new()))))
}

/// After how many seconds what was deleted is erased; 0 means never.
pub(super) fn erasure(namespaces: Option<u64>, records: Option<u64>) -> ErasureTimes {
    let time = |seconds: Option<u64>, default| match seconds {
        None => default,
        Some(0) => Duration::MAX,
        Some(seconds) => Duration::from_secs(seconds),
    };
    let ErasureTimes { namespaces: of_namespaces, records: of_records } = ErasureTimes::DEFAULT;
    ErasureTimes { namespaces: time(namespaces, of_namespaces), records: time(records, of_records) }
}

/// The time in which every file is read again; 0 means never.
pub(super) fn scrub_period(hours: Option<u64>) -> Option<Duration> {
    let period = hours.map_or(SCRUB_PERIOD, |hours| Duration::from_secs(hours.saturating_mul(3_600)));
    Some(period).filter(|period| !period.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_begins_before_there_is_none() {
        let budget = |low, full| budget(Path::new("/"), low, full);
        let refused = budget(Some(1), Some(2)).unwrap_err().0;
        assert!(refused.contains("disk_low_mib") && refused.ends_with("is 1"), "{refused}");
        for (low, full) in
            [(None, None), (Some(2), Some(2)), (Some(1), None), (None, Some(9)), (Some(0), Some(0))]
        {
            assert!(budget(low, full).is_ok(), "{low:?} {full:?}");
        }
        let everything = budget(None, Some(u64::MAX)).unwrap();
        assert_eq!(everything.level().name(), "full");
    }
}

//! The disk, as people are told of it.

use pinyon_core::{DiskLevel, DiskState, Indexes, WantedRoom};
use pinyon_wire::disk::Disk;

/// What there is, and what is wrong with it.
pub(crate) fn report(indexes: &Indexes) -> (Option<Disk>, Vec<String>) {
    let Some(state) = indexes.disk().and_then(|disk| disk.look()) else { return (None, Vec::new()) };
    let blocked = indexes.wanted_room();
    let warnings = level_warning(state).into_iter().chain(blocked.iter().map(blocked_warning)).collect();
    let disk = Disk {
        level: state.level.name().into(),
        total_bytes: state.room.total,
        free_bytes: state.room.free,
        reserve_bytes: state.reserve,
        low_below_bytes: state.low_below,
        full_below_bytes: state.full_below,
    };
    (Some(disk), warnings)
}

const fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

fn level_warning(state: DiskState) -> Option<String> {
    let free = mib(state.room.free);
    match state.level {
        DiskLevel::Ample => None,
        DiskLevel::Low => Some(format!(
            "disk: {free} MiB are free; below {} MiB only deletions are let in: delete what is not needed, or make the disk larger",
            mib(state.full_below)
        )),
        DiskLevel::Full => Some(format!(
            "disk: {free} MiB are free, too little to take anything in (see disk_full_mib): delete records or indexes, or make the disk \
             larger; reads and deletions go on"
        )),
    }
}

fn blocked_warning((index, shard, wanted): &(String, String, WantedRoom)) -> String {
    format!(
        "disk: segment {} of {shard}, index {index}, would give back {} KiB of deleted records and needs {} KiB free to be rewritten in",
        wanted.segment,
        wanted.gain >> 10,
        wanted.bytes >> 10
    )
}

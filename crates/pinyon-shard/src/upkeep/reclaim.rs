//! Room that dead rows take: where it is scarce, segments are rewritten by what that gives back, if what it takes for a while fits.

use crate::{
    DiskLevel, ShardError, Step,
    inner::Inner,
    rows::{layer::LayerView, snapshot::Snapshot},
    upkeep::{
        maintenance::Maintenance,
        merge::{merge, sealed},
    },
};
use pinyon_types::SegmentId;

/// One over the share of a segment's bytes that are to be dead for it to be rewritten where room is scarce.
const RECLAIMED_PART_MIN: u64 = 20;
/// What nobody writes to is looked at again after this time if it has such segments: others may have filled the disk, or made room.
const LOOK_AGAIN_US: u64 = 10_000_000;
/// The same where room is scarce.
const LOOK_SOON_US: u64 = 2_000_000;

/// Where room is scarce: rewrites the segment that gives back most for what it takes.
pub(crate) fn reclaim(inner: &Inner, maintenance: &mut Maintenance) -> Result<Step, ShardError> {
    scarce_room(inner).map_or(Ok(Step::Idle), |room| reclaim_within(inner, maintenance, room))
}

/// The same where something found no room, however much there is.
pub(crate) fn reclaim_anyhow(inner: &Inner, maintenance: &mut Maintenance) -> Result<Step, ShardError> {
    let disk = inner.options.disk.as_ref();
    disk.map_or(Ok(Step::Idle), |disk| reclaim_within(inner, maintenance, disk.room_for_files()))
}

fn reclaim_within(inner: &Inner, maintenance: &mut Maintenance, room: u64) -> Result<Step, ShardError> {
    match reclaimed(&inner.snapshot.load_full(), room) {
        Some(input) => merge(inner, maintenance, &[input]),
        None => Ok(Step::Idle),
    }
}

/// A segment whose dead rows would make room where that is scarce, and that cannot be rewritten because there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedRoom {
    /// Which segment.
    pub segment: SegmentId,
    /// Bytes that its live rows take, for a while beside those that are there.
    pub bytes: u64,
    /// Bytes that its dead rows give back.
    pub gain: u64,
}

/// The one, of those whose live rows find room.
fn reclaimed(state: &Snapshot, room: u64) -> Option<LayerView> {
    let gain = |view: &LayerView| dead_bytes(view) as f64 / (live_bytes(view) + 1) as f64;
    let fitting = decayed(state).filter(|view| live_bytes(view) < room);
    let best = fitting.max_by(|a, b| gain(a).total_cmp(&gain(b)));
    best.cloned()
}

/// Where room is scarce and no segment can be rewritten for want of it: the one that needs least.
pub(crate) fn wanted_room(inner: &Inner) -> Option<WantedRoom> {
    let (room, state) = (scarce_room(inner)?, inner.snapshot.load());
    let least = decayed(&state).min_by_key(|view| live_bytes(view))?;
    let wanted = WantedRoom { segment: least.layer.id, bytes: live_bytes(least), gain: dead_bytes(least) };
    (wanted.bytes >= room).then_some(wanted)
}

/// Bytes that a merge may take where room is scarce.
fn scarce_room(inner: &Inner) -> Option<u64> {
    let disk = inner.options.disk.as_ref()?;
    (disk.level() != DiskLevel::Ample).then(|| disk.room_for_files())
}

/// Segments with enough dead bytes for it to be worth while to rewrite them where room is scarce.
fn decayed(state: &Snapshot) -> impl Iterator<Item = &LayerView> {
    sealed(state).filter(|view| {
        let dead = dead_bytes(view);
        dead > 0 && dead * RECLAIMED_PART_MIN >= file_bytes(view)
    })
}

/// When a shard that rests is to be looked at again for the room that it could give back, if it could give any.
pub(crate) fn look_again_us(inner: &Inner) -> Option<u64> {
    let disk = inner.options.disk.as_ref()?;
    decayed(&inner.snapshot.load()).next()?;
    let rest = if disk.level() == DiskLevel::Ample { LOOK_AGAIN_US } else { LOOK_SOON_US };
    Some(inner.now_us() + rest)
}

/// Refuses a merge that leaves no room for what is taken in meanwhile.
pub(crate) fn check_room_for(inner: &Inner, inputs: &[LayerView]) -> Result<(), ShardError> {
    inner.check_spare(inputs.iter().map(live_bytes).sum())
}

/// Whether what a merge writes leaves room for what is taken in meanwhile.
pub(crate) fn has_room_for(inner: &Inner, inputs: &[LayerView]) -> bool {
    check_room_for(inner, inputs).is_ok()
}

/// Those of rows that are alive, if all rows are of one size.
pub(crate) fn live_bytes(view: &LayerView) -> u64 {
    file_bytes(view) - dead_bytes(view)
}

/// Those of dead rows, if all rows are of one size.
fn dead_bytes(view: &LayerView) -> u64 {
    let rows = u64::from(view.layer.len()).max(1);
    let share = u128::from(file_bytes(view)) * u128::from(view.dead.len().min(rows)) / u128::from(rows);
    share as u64
}

fn file_bytes(view: &LayerView) -> u64 {
    view.layer.segment().map_or(0, |segment| segment.file().bytes())
}

//! Room on the disk that the shards of a process share. Below a first mark people are warned; below a second one whatever needs room is
//! refused, so that deletions, seals and merges, which make room, still find some. When they do not, because others fill the disk as
//! well, a file that was made for that gives its room back.

use crate::ShardError;
use pinyon_storage::io::{Room, SharedIo};
use pinyon_types::Clock;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
};

/// The file that gives its room back.
pub const RESERVE_FILE_NAME: &str = "RESERVE";
/// Its most bytes: what sealing a few memtables takes.
const RESERVE_BYTES_MAX: u64 = 64 << 20;
/// A smaller one is not worth a file.
const RESERVE_BYTES_MIN: u64 = 64 << 10;
/// After it was given back: what it was given for takes it.
const RESERVE_REST_US: u64 = 30_000_000;
/// One over the share of a small disk that it may have, and that the marks are.
const RESERVE_PART: u64 = 40;
const FULL_PART: u64 = 20;
const LOW_PART: u64 = 10;
/// The marks of a large disk: shares of that would be more than anybody misses.
const FULL_BYTES_MAX: u64 = 1 << 30;
const LOW_BYTES_MAX: u64 = 2 << 30;
/// A mark is left behind only with so much more, in parts of it: what is near it would come and go.
const MORE_PART: u64 = 4;
/// One over the share of what is free that a memtable may have, and what any may have.
const MEMTABLE_PART: u64 = 4;
const MEMTABLE_BYTES_MIN: usize = 256 << 10;
/// What is to stay free of a disk by whoever copies what is there: the larger of both, but of a small disk no more than a part.
const COPIES_STOP_PART: u64 = 20;
const COPIES_STOP_BYTES: u64 = 1 << 30;
const COPIES_STOP_PART_MAX: u64 = 4;
/// Between two looks, at most.
const LOOK_REST_US: u64 = 1_000_000;
/// At least: a look is two calls of the system.
const LOOK_REST_MIN_US: u64 = 10_000;
/// What all writers together may take of the disk in a microsecond: by then they are not past the mark at which they are to stop.
const FILLED_PER_US: u64 = 256;

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskLevel {
    /// Enough.
    Ample,
    /// Little: people are warned.
    Low,
    /// None for what is not a deletion.
    Full,
}

impl DiskLevel {
    /// Every level, from the best one on.
    pub const ALL: [Self; 3] = [Self::Ample, Self::Low, Self::Full];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ample => "ample",
            Self::Low => "low",
            Self::Full => "full",
        }
    }

    const fn of_number(number: u8) -> Self {
        match number {
            0 => Self::Ample,
            1 => Self::Low,
            _ => Self::Full,
        }
    }
}

/// Bytes below which there is little room, and none; the default is a share of the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskMarks {
    /// Little: people are warned.
    pub low: Option<u64>,
    /// None: only what makes room is let in.
    pub full: Option<u64>,
}

impl DiskMarks {
    /// The marks of a disk of so many bytes: full, then low, which is never less.
    fn of(self, total: u64) -> (u64, u64) {
        let full = self.full.unwrap_or_else(|| (total / FULL_PART).min(FULL_BYTES_MAX));
        let low = self.low.unwrap_or_else(|| (total / LOW_PART).min(LOW_BYTES_MAX));
        (full, low.max(full))
    }

    /// Bytes that the reserve is to have; none where nobody wants to be warned.
    fn reserve(self, total: u64) -> u64 {
        if self.of(total).1 == 0 { 0 } else { (total / RESERVE_PART).min(RESERVE_BYTES_MAX) }
    }
}

/// What is known of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskState {
    /// How much room there is.
    pub level: DiskLevel,
    /// In bytes; what the reserve holds is not free.
    pub room: Room,
    /// Bytes that the reserve holds.
    pub reserve: u64,
    /// Free bytes below which nothing is taken in.
    pub full_below: u64,
    /// The same, below which people are warned.
    pub low_below: u64,
}

/// Free bytes of a disk of so many below which nothing is copied.
fn copies_stop_below(total: u64) -> u64 {
    (total / COPIES_STOP_PART).max(COPIES_STOP_BYTES).min(total / COPIES_STOP_PART_MAX)
}

/// The disk under a data directory.
#[derive(Debug)]
pub struct DiskBudget {
    io: SharedIo,
    dir: PathBuf,
    marks: DiskMarks,
    clock: Arc<dyn Clock>,
    looked_us: AtomicU64,
    /// From a look to the next one.
    rest_us: AtomicU64,
    level: AtomicU8,
    free: AtomicU64,
    /// When the reserve was last given back.
    given_us: AtomicU64,
    /// Whoever makes or removes the reserve.
    reserving: Mutex<()>,
}

impl DiskBudget {
    /// The disk that a directory lies on. Looks at nothing yet: the directory may be somebody else's still.
    pub fn new(io: SharedIo, dir: &Path, marks: DiskMarks, clock: Arc<dyn Clock>) -> Self {
        let (looked_us, rest_us, level, free) = (0.into(), 0.into(), 0.into(), u64::MAX.into());
        let (given_us, reserving) = (0.into(), Mutex::default());
        Self { io, dir: dir.to_owned(), marks, clock, looked_us, rest_us, level, free, given_us, reserving }
    }

    /// How much room there was at the last look, which is done now if that is a second ago, or so long that there may be none by now.
    pub fn level(&self) -> DiskLevel {
        let now_us = self.clock.now_us();
        let looked_us = self.looked_us.load(Relaxed);
        if looked_us == 0 || now_us >= looked_us.saturating_add(self.rest_us.load(Relaxed)) {
            self.look();
        }
        DiskLevel::of_number(self.level.load(Relaxed))
    }

    /// Lets in what needs room, unless there is none.
    ///
    /// # Errors
    /// [`ShardError::DiskFull`].
    pub fn check(&self) -> Result<(), ShardError> {
        match self.level() {
            DiskLevel::Full => Err(ShardError::DiskFull { free_mib: self.free_bytes() >> 20 }),
            _ => Ok(()),
        }
    }

    /// Where there is too little room for another copy of what is there, which has to stop well before anything else does: bytes that are
    /// free, and that are to be.
    pub fn lacks_for_copies(&self) -> Option<(u64, u64)> {
        let room = self.io.room(&self.dir)?;
        let needed = copies_stop_below(room.total);
        (room.free < needed).then_some((room.free, needed))
    }

    /// The most bytes that a memtable may have: its seal has to find room beside what is there.
    pub(crate) fn memtable_bytes_max(&self) -> usize {
        let part = self.free_bytes() / MEMTABLE_PART;
        usize::try_from(part).unwrap_or(usize::MAX).max(MEMTABLE_BYTES_MIN)
    }

    /// As of the last look.
    fn free_bytes(&self) -> u64 {
        self.free.load(Relaxed)
    }

    /// Looks, and says what there is; `None` where the system does not.
    pub fn look(&self) -> Option<DiskState> {
        self.looked_us.store(self.clock.now_us().max(1), Relaxed);
        let _reserving = self.lock();
        let (room, reserve) = (self.io.room(&self.dir)?, self.reserve());
        let (full_below, low_below) = self.marks.of(room.total);
        let before = DiskLevel::of_number(self.level.load(Relaxed));
        // With the reserve on both sides nothing changes because it is made or given back.
        let wanted = self.marks.reserve(room.total);
        let with_reserve = |mark: u64| if mark == 0 { 0 } else { mark.saturating_add(wanted) };
        let marks = (with_reserve(full_below), with_reserve(low_below));
        let available = room.free.saturating_add(reserve);
        let level = level_of(available, marks, before);
        self.enter(before, level, room.free);
        self.rest_us.store(rest_us(available, marks.0, level), Relaxed);
        self.keep_reserve((reserve, wanted), level, room);
        Some(DiskState { level, room, reserve, full_below, low_below })
    }

    /// Says that something found no room: nothing that needs room is let in until a look finds more.
    pub(crate) fn note_full(&self) {
        let before = DiskLevel::of_number(self.level.load(Relaxed));
        let free = self.io.room(&self.dir).map_or(0, |room| room.free);
        self.enter(before, DiskLevel::Full, free);
        self.rest_us.store(LOOK_REST_US, Relaxed);
        self.looked_us.store(self.clock.now_us().max(1), Relaxed);
    }

    /// The same of something that makes room in the end: gives back what was kept for it, and returns whether there is more now.
    pub(crate) fn make_room(&self) -> bool {
        self.note_full();
        let _reserving = self.lock();
        self.given_us.store(self.clock.now_us().max(1), Relaxed);
        self.io.remove(&self.reserve_path()).is_ok()
    }

    /// Bytes that a new file may take at most.
    pub(crate) fn room_for_files(&self) -> u64 {
        self.io.room(&self.dir).map_or(u64::MAX, |room| room.free.saturating_add(self.reserve()))
    }

    /// Bytes that are free above the mark below which nothing is taken in.
    pub(crate) fn spare_bytes(&self) -> u64 {
        self.io.room(&self.dir).map_or(u64::MAX, |room| room.free.saturating_sub(self.marks.of(room.total).0))
    }

    /// Bytes that the reserve holds.
    fn reserve(&self) -> u64 {
        self.io.len(&self.reserve_path()).unwrap_or(0)
    }

    fn enter(&self, before: DiskLevel, level: DiskLevel, free: u64) {
        self.free.store(free, Relaxed);
        self.level.store(level as u8, Relaxed);
        let free_mib = free >> 20;
        match (before == level, level) {
            (true, _) => {}
            (false, DiskLevel::Ample) => tracing::info!(free_mib, "there is room on the disk again"),
            (false, DiskLevel::Low) => {
                tracing::warn!(
                    free_mib,
                    "there is little room on the disk: delete what is not needed, or make it larger"
                );
            }
            (false, DiskLevel::Full) => tracing::error!(
                free_mib,
                "there is no room on the disk: only deletions are let in until there is more"
            ),
        }
    }

    /// The reserve is made when room becomes scarce, and goes when there is plenty: what nobody needs takes nothing.
    fn keep_reserve(&self, (reserve, wanted): (u64, u64), level: DiskLevel, room: Room) {
        let bytes = wanted.min(room.free / 2);
        let given_us = self.given_us.load(Relaxed);
        let is_time = given_us == 0 || self.clock.now_us() >= given_us.saturating_add(RESERVE_REST_US);
        let kept = match level {
            DiskLevel::Ample if reserve > 0 => self.io.remove(&self.reserve_path()),
            DiskLevel::Low | DiskLevel::Full if reserve == 0 && bytes >= RESERVE_BYTES_MIN && is_time => {
                self.make_reserve(bytes)
            }
            _ => Ok(()),
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "the reserve on the disk is not as it should be");
        }
    }

    fn make_reserve(&self, bytes: u64) -> io::Result<()> {
        let file = match self.io.exists(&self.reserve_path())? {
            true => self.io.open(&self.reserve_path())?,
            false => self.io.create(&self.reserve_path())?,
        };
        file.allocate(bytes)
    }

    fn reserve_path(&self) -> PathBuf {
        self.dir.join(RESERVE_FILE_NAME)
    }

    /// Guards no data.
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.reserving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long after a look that found so many free and reserved bytes the mark may be reached.
fn rest_us(available: u64, full: u64, level: DiskLevel) -> u64 {
    match level {
        // Nothing fills it any more.
        DiskLevel::Full => LOOK_REST_US,
        _ => (available.saturating_sub(full) / FILLED_PER_US).clamp(LOOK_REST_MIN_US, LOOK_REST_US),
    }
}

/// The level of so many free and reserved bytes, after another one.
fn level_of(available: u64, (full, low): (u64, u64), before: DiskLevel) -> DiskLevel {
    let with_more = |mark: u64, is_left: bool| if is_left { mark + mark / MORE_PART } else { mark };
    if available < with_more(full, matches!(before, DiskLevel::Full)) {
        DiskLevel::Full
    } else if available < with_more(low, !matches!(before, DiskLevel::Ample)) {
        DiskLevel::Low
    } else {
        DiskLevel::Ample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_begin_at_their_marks_and_end_with_a_quarter_more() {
        use DiskLevel::{Ample, Full, Low};
        let level = |available, before| level_of(available, (100, 200), before);
        assert_eq!([level(200, Ample), level(199, Ample), level(99, Ample)], [Ample, Low, Full]);
        assert_eq!(
            [level(249, Low), level(250, Low), level(100, Low), level(99, Low)],
            [Low, Ample, Low, Full]
        );
        assert_eq!([level(124, Full), level(125, Full), level(250, Full)], [Full, Low, Ample]);
    }

    #[test]
    fn looks_come_the_sooner_the_less_room_there_is_until_nothing_is_let_in() {
        let after = |free, level| rest_us(free, 12 << 20, level);
        assert_eq!(after(1 << 40, DiskLevel::Ample), 1_000_000);
        assert_eq!(after((12 << 20) + 25_600_000, DiskLevel::Low), 100_000);
        assert_eq!([after(13 << 20, DiskLevel::Low), after(0, DiskLevel::Low)], [10_000; 2]);
        assert_eq!(after(0, DiskLevel::Full), 1_000_000);
    }

    #[test]
    fn marks_are_shares_of_small_disks_and_bounded_on_large_ones() {
        assert_eq!(DiskMarks::default().of(96 << 20), ((96 << 20) / 20, (96 << 20) / 10));
        assert_eq!(DiskMarks::default().of(2 << 40), (1 << 30, 2 << 30));
        let asked = DiskMarks { low: Some(7), full: Some(9) };
        assert_eq!(asked.of(1 << 30), (9, 9), "what is full is low");
        assert_eq!(DiskMarks { full: Some(0), low: Some(0) }.of(1 << 30), (0, 0));
    }
}

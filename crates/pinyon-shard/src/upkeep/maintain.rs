//! Background steps: which one is next. Seals come first, because writers wait for them; then merges; and what can wait is left
//! for when nobody writes.

use crate::{
    DiskLevel, ShardError,
    derived::codes,
    inner::Inner,
    rows::snapshot::Snapshot,
    suspicion::unwinding,
    upkeep::{
        maintenance::{Maintenance, Step},
        merge, reclaim, seal,
    },
};
use pinyon_types::{SegmentId, SeqNo};
use std::{
    path::PathBuf,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
};

/// A smaller log takes less than a segment's file and what else a seal writes.
const LOG_WORTH_BYTES: u64 = 256 << 10;

impl Inner {
    pub(crate) fn step(&self) -> Result<Step, ShardError> {
        self.run(|maintenance| match self.take_seal() {
            true => self.seal_or_make_room(maintenance),
            false => match merge::merge_next(self, maintenance)? {
                Step::Idle => self.erase_due(maintenance),
                merged => Ok(merged),
            },
        })
    }

    /// The next step if it is a seal.
    pub(crate) fn seal_step(&self) -> Result<Step, ShardError> {
        self.run(|maintenance| match self.take_seal() {
            true => self.seal_or_make_room(maintenance),
            false => Ok(Step::Idle),
        })
    }

    /// A seal needs room before it makes some: what gives some back goes first where that is scarce, or where the seal finds none.
    fn seal_or_make_room(&self, maintenance: &mut Maintenance) -> Result<Step, ShardError> {
        match reclaim::reclaim(self, maintenance)? {
            Step::Idle => {}
            made => return Ok(made),
        }
        match seal::seal(self, maintenance) {
            Err(error) if error.is_disk_full() => match reclaim::reclaim_anyhow(self, maintenance)? {
                Step::Idle => Err(error),
                made => Ok(made),
            },
            sealed => sealed,
        }
    }

    /// Whether a memtable is full or is to be sealed early, or a seal was begun and not finished.
    pub(crate) fn wants_seal(&self) -> bool {
        let bytes = self.snapshot.load().memtable.bytes;
        let is_early = bytes > 0 && self.seals_early.load(Ordering::Acquire);
        is_early || self.is_full(bytes) || seal::has_frozen(self) || self.has_log_to_give()
    }

    /// Whether a memtable of so many bytes is to be sealed: where there is little room a smaller one.
    pub(crate) fn is_full(&self, bytes: usize) -> bool {
        let by_disk = self.options.disk.as_ref().map_or(usize::MAX, |disk| disk.memtable_bytes_max());
        bytes >= self.options.seal_bytes.min(by_disk)
    }

    /// Whether the disk has no room for what is not a deletion.
    pub(crate) fn has_no_room(&self) -> bool {
        self.options.disk.as_ref().is_some_and(|disk| disk.level() == DiskLevel::Full)
    }

    /// Lets in a file of so many bytes that can be done without, where that leaves room for what cannot.
    pub(crate) fn check_spare(&self, bytes: u64) -> Result<(), ShardError> {
        match self.options.disk.as_ref().map(|disk| disk.spare_bytes()) {
            Some(spare) if bytes > spare => Err(ShardError::DiskFull { free_mib: spare >> 20 }),
            _ => Ok(()),
        }
    }

    /// Whether a seal would let go of a log that is worth it, while there is no room.
    fn has_log_to_give(&self) -> bool {
        let is_worth = || {
            let writer = self.writer.try_lock();
            writer.is_ok_and(|writer| writer.log.file_bytes() >= LOG_WORTH_BYTES)
        };
        self.has_no_room() && !self.snapshot.load().memtable.is_empty() && is_worth()
    }

    fn take_seal(&self) -> bool {
        let wants_seal = self.wants_seal();
        self.seals_early.store(false, Ordering::Release);
        wants_seal
    }

    /// Has the memtable sealed however small it is: by the keepers, if there are any, so that nobody waits here for a merge.
    pub(crate) fn seal_early(&self) -> Result<(), ShardError> {
        if !self.bell.has_keepers() {
            return self.seal_now().map(drop);
        }
        self.seals_early.store(true, Ordering::Release);
        self.ask_for_seal();
        Ok(())
    }

    /// Lets go of what a shard needs only while it is written to.
    pub(crate) fn rest(&self) {
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.log.rest();
        }
        self.place.rest();
    }

    /// A step that panicked counts as failed.
    pub(crate) fn step_panicked(&self) {
        let failure = "a background step panicked: the log says where".to_owned();
        *self.step_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    /// What is left for when nobody writes: sealing a memtable that is not full, then bringing tenants' rows together. Nothing if
    /// somebody has written since the position `since`.
    pub(crate) fn quiet_step(&self, since: SeqNo) -> Result<Step, ShardError> {
        self.run(|maintenance| {
            let state = self.snapshot.load_full();
            if state.seq != since {
                return Ok(Step::Idle);
            }
            if state.memtable.bytes >= self.options.quiet_seal_bytes {
                return seal::seal(self, maintenance);
            }
            merge::gather(self, maintenance)
        })
    }

    pub(crate) fn seal_now(&self) -> Result<Step, ShardError> {
        self.run(|maintenance| seal::seal(self, maintenance))
    }

    /// One of the steps that would be done if nobody wrote for long. The memtable is sealed however small it is, because what
    /// lies in it has no codes.
    pub(crate) fn settle_step(&self) -> Result<Step, ShardError> {
        self.run(|maintenance| {
            let sealed = seal::seal(self, maintenance)?;
            let merged = if sealed == Step::Idle { merge::merge_next(self, maintenance)? } else { sealed };
            if merged == Step::Idle { merge::gather(self, maintenance) } else { Ok(merged) }
        })
    }

    pub(crate) fn compact_now(&self) -> Result<Step, ShardError> {
        self.run(|maintenance| {
            while seal::seal(self, maintenance)? != Step::Idle {}
            merge::merge_all(self, maintenance)
        })
    }

    pub(crate) fn run(
        &self,
        step: impl FnOnce(&mut Maintenance) -> Result<Step, ShardError>,
    ) -> Result<Step, ShardError> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let mut maintenance = self.lock_maintenance();
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        if self.is_given_up.load(Ordering::Acquire) {
            return Ok(Step::Idle);
        }
        if self.has_no_room() {
            codes::drop_files(self);
        }
        let done = unwinding(|| step(&mut maintenance));
        drop(maintenance);
        if done.as_ref().is_ok_and(|step| *step != Step::Idle) {
            // There may be more to do, and room for who waits.
            self.bell.note();
            self.bell.ring();
        }
        if let (Err(error), Some(disk)) = (&done, &self.options.disk)
            && error.is_disk_full()
        {
            // The next try finds it.
            disk.make_room();
        }
        let failure = done.as_ref().err().map(ToString::to_string);
        *self.step_failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        done
    }

    /// Whether the step that runs should leave for later what can be done later: another one waits for it, or the shard's end does,
    /// or writers have filled half of the room after which they wait. A memtable that is merely full is no hurry: under steady
    /// writes there nearly always is one.
    pub(crate) fn is_in_a_hurry(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
            || self.bell.is_ending()
            || self.snapshot.load().memtable.bytes >= self.options.backlog_bytes_max / 2
    }

    /// Does something that is no step while none runs; nothing once the shard's files are left as they are.
    pub(crate) fn between_steps<T>(&self, work: impl FnOnce(&mut Maintenance) -> T) -> Option<T> {
        let mut maintenance = self.lock_maintenance();
        let is_given_up = self.is_given_up.load(Ordering::Acquire);
        (!is_given_up).then(|| work(&mut maintenance))
    }

    /// Waits for the step that runs.
    pub(crate) fn wait_for_step(&self) {
        drop(self.lock_maintenance());
    }

    /// A step that panicked has changed nothing durable that its successor would not find in the manifest.
    fn lock_maintenance(&self) -> MutexGuard<'_, Maintenance> {
        self.maintenance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn segment_path(&self, id: SegmentId) -> PathBuf {
        self.dir.join(pinyon_storage::segment::segment_file_name(id))
    }

    /// Publishes a changed snapshot under the writer's lock, so that no commit in between is lost.
    pub(crate) fn replace_snapshot(&self, change: impl FnOnce(&mut Snapshot)) -> Result<(), ShardError> {
        let _writer = self.writer.lock().map_err(|_| self.poisoned_error())?;
        let mut state = Snapshot::clone(&self.snapshot.load());
        change(&mut state);
        self.snapshot.store(Arc::new(state));
        Ok(())
    }
}

//! Reading again what is served: files that somebody changed are read at once, all others once in a settable time. A shard whose files
//! are damaged is kept out while everything else is served.

use super::{Inner, Member, QuarantineReason};
use crate::{EngineError, ErrorCode};
use pinyon_shard::{Implausible, Pace, Shard, ShardError, Verified};
use pinyon_types::{SegmentId, ShardId};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

/// What reading again has found, since the engine was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scrubbed {
    /// Bytes of files that were read again.
    pub bytes: u64,
    /// Files that were damaged and have been written again from memory.
    pub mended: u64,
    /// Shards that were found damaged, and were kept out since.
    pub quarantined: u64,
    /// Times that all files were looked at for changes; of several indexes, of the one that was looked at least.
    pub looks: u64,
}

/// The same while it is counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    bytes: AtomicU64,
    mended: AtomicU64,
    quarantined: AtomicU64,
    looks: AtomicU64,
}

/// Does something with what an engine has found. Records are read from their files only then: where these hold bytes that cannot be,
/// because somebody wrote to them, there is an error instead of an answer.
///
/// # Errors
/// [`ErrorCode::Quarantined`], or those of `work`.
pub fn reading<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|unwound| match Implausible::of(&*unwound) {
        Some(what) => Err(EngineError::new(ErrorCode::Quarantined, what.to_string())),
        None => resume_unwind(unwound),
    })
}

impl super::Engine {
    /// What reading again has found.
    pub fn scrubbed(&self) -> Scrubbed {
        let counters = &self.inner.scrubbed;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Scrubbed {
            bytes: read(&counters.bytes),
            mended: read(&counters.mended),
            quarantined: read(&counters.quarantined),
            looks: read(&counters.looks),
        }
    }
}

impl Inner {
    /// Verifies what nobody has read yet of what was sealed before the start. Returns whether `pace` ended that before its end.
    pub(crate) fn verify_rest(&self, pace: Pace<'_>) -> bool {
        for (number, shard) in self.fleet.local() {
            for segment in shard.unverified_segments() {
                let found = shard.verify_rest(segment, pace);
                if matches!(found, Ok(Verified::Stopped)) {
                    return true;
                }
                if !self.judge_segment((number, &shard), segment, found) {
                    break;
                }
            }
        }
        false
    }

    /// Whether every byte of what is served was verified. What could not be read is tried again.
    pub(crate) fn is_verified(&self) -> bool {
        self.fleet.local().all(|(_, shard)| shard.unverified_segments().is_empty())
    }

    /// Asks the file system which segments were changed since they were verified, and reads those again; all of a shard in which bytes
    /// were met that cannot be. The same of manifests, if these are to be looked at too. Takes as long as a look at the names where
    /// there is nothing. `pace` may end it.
    pub(crate) fn look_at_files(&self, with_manifests: bool, pace: Pace<'_>) {
        for (number, shard) in self.fleet.local() {
            let is_suspect = shard.take_suspicion();
            let mut segments =
                if is_suspect { shard.segments() } else { shard.changed_segments() }.into_iter();
            let is_served = segments.all(|segment| {
                let found = shard.verify_segment(segment, pace);
                self.judge_segment((number, &shard), segment, found)
            });
            if is_served && with_manifests && shard.is_manifest_changed() {
                self.verify_others((number, &shard), pace);
            }
        }
        self.scrubbed.looks.fetch_add(1, Ordering::Release);
    }

    /// Bytes of the segments that are served.
    pub(crate) fn file_bytes(&self) -> u64 {
        let shards = self.fleet.local();
        shards.map(|(_, shard)| shard.stats().segments.iter().map(|one| one.bytes).sum::<u64>()).sum()
    }

    pub(crate) fn count_scrubbed(&self, bytes: u64) {
        self.scrubbed.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Does what is to be done about a segment that was read again. Returns whether the shard is served still.
    pub(crate) fn judge_segment(
        &self,
        (number, shard): (ShardId, &Shard),
        segment: SegmentId,
        found: Result<Verified, ShardError>,
    ) -> bool {
        match found.or_else(|problem| shard.mend_segment(segment, problem)) {
            Ok(found) => self.note_mended(number, found),
            Err(error) => return self.keep_out(number, shard, error),
        }
        true
    }

    /// Reads the files of a shard again that are no segments.
    pub(crate) fn verify_others(&self, (number, shard): (ShardId, &Shard), pace: Pace<'_>) {
        match shard.verify_others(pace) {
            Ok(found) => found.into_iter().for_each(|one| self.note_mended(number, one)),
            Err(error) => drop(self.keep_out(number, shard, error)),
        }
    }

    fn note_mended(&self, number: ShardId, found: Verified) {
        let Verified::Mended(problem) = found else { return };
        self.scrubbed.mended.fetch_add(1, Ordering::Relaxed);
        let shard = self.index_name(number);
        tracing::error!(shard, "{problem}; it was whole in memory and has been written again");
    }

    /// Serves a shard no longer whose files are damaged. What could not be read or written for other reasons is tried again later.
    /// Returns whether the shard is served still.
    fn keep_out(&self, number: ShardId, shard: &Shard, error: ShardError) -> bool {
        let name = self.index_name(number);
        let Some(reason) = QuarantineReason::of(&error) else {
            tracing::warn!(shard = name, error = %error, "files were not read again, or not written again");
            return true;
        };
        // Whoever opens a shard again waits for this thread: not the other way round too.
        let Ok(_one_at_a_time) = self.reopening.try_lock() else {
            shard.suspect();
            return true;
        };
        let served = self.fleet.member(number).ok();
        let is_served = |member: &&Member| member.local().is_some_and(|served| served.is_same(shard));
        // Somebody opened it again meanwhile.
        let Some(member) = served.filter(is_served) else { return false };
        let problem = self.relative(error.into()).message;
        tracing::error!(
            shard = name,
            "quarantined ({}): {problem}; everything else is served",
            reason.name()
        );
        member.become_as(&Member::kept_out(reason, problem.clone(), &self.clock));
        self.scrubbed.quarantined.fetch_add(1, Ordering::Relaxed);
        shard.give_up(&format!("the shard is quarantined: {problem}"));
        false
    }

    /// The same, with files named relative to the index's directory.
    pub(super) fn relative(&self, error: EngineError) -> EngineError {
        match &self.places {
            Some(places) => error.relative_to(&places.home),
            None => error,
        }
    }
}

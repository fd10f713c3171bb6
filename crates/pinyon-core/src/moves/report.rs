//! What people are told of a move.

use super::{
    movers::{Movers, Worked},
    pace::Throttled,
    planning::Entered,
    progress::Progress,
    record::{KIND, MovePhase},
};
use crate::catalog::{Job, JobId, RoutingTable};
use pinyon_types::{ShardId, TenantId};
use std::sync::atomic::Ordering::Relaxed;

/// A move, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveReport {
    /// Its number.
    pub id: u64,
    /// What its asker calls it; empty if nothing.
    pub request_id: String,
    /// Which tenant.
    pub tenant: TenantId,
    /// From where.
    pub from: ShardId,
    /// To where.
    pub to: ShardId,
    /// How far it is.
    pub phase: MovePhase,
    /// When it was asked for, in microseconds since 1970.
    pub began_us: u64,
    /// When its phase began.
    pub changed_us: u64,
    /// What went wrong last.
    pub error: Option<String>,
    /// What has been done for it in this process, if anything.
    pub work: Option<MoveWork>,
}

/// What has been done for a move since the engine was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MoveWork {
    /// Records that were read at the source, when comparing too.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Records that the source had at first.
    pub rows_in_all: u64,
    /// Rounds of catching up that found something.
    pub rounds: u64,
    /// Microseconds for which the tenant's writers waited at the switch.
    pub closed_us: u64,
    /// Microseconds for which each of their writes waits now, because the target cannot keep up.
    pub slowed_us: u64,
    /// What the copy waits for between two steps.
    pub throttled: Throttled,
    /// Whether a request that began earlier is waited for.
    pub waits_for_readers: bool,
    /// Microseconds from when it was taken up to now, or to its end.
    pub work_us: u64,
}

/// What has been done for all moves since the engine was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MoveTotals {
    /// Moves that ended with the tenant at its new place.
    pub done: u64,
    /// Moves that somebody turned back.
    pub aborted: u64,
    /// Moves that could not be done, or were stopped.
    pub failed: u64,
    /// Records that were read at sources.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Microseconds for which writers waited at switches, all together.
    pub closed_us: u64,
    /// The longest of these waits.
    pub closed_us_max: u64,
}

impl MoveTotals {
    /// Adds one move: what was done, and how it ended if it did.
    pub(super) fn add(&mut self, progress: &Progress, phase: Option<MovePhase>) {
        let closed_us = progress.closed_us.load(Relaxed);
        self.rows += progress.rows.load(Relaxed);
        self.bytes += progress.bytes.load(Relaxed);
        self.closed_us += closed_us;
        self.closed_us_max = self.closed_us_max.max(closed_us);
        match phase {
            Some(MovePhase::Done) => self.done += 1,
            Some(MovePhase::Aborted) => self.aborted += 1,
            Some(MovePhase::Failed | MovePhase::Stopped) => self.failed += 1,
            _ => {}
        }
    }

    /// Those of two engines.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            done: self.done + other.done,
            aborted: self.aborted + other.aborted,
            failed: self.failed + other.failed,
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
            closed_us: self.closed_us + other.closed_us,
            closed_us_max: self.closed_us_max.max(other.closed_us_max),
        }
    }
}

/// The moves that there are, and those that ended not long ago; the latest last.
pub(crate) fn all(routing: &RoutingTable, movers: Option<&Movers>) -> Vec<MoveReport> {
    let routes = routing.routes();
    let moves = routes.jobs().iter().filter(|(_, job)| job.kind == KIND);
    moves.filter_map(|(id, job)| report(id, job, movers)).collect()
}

/// One of them.
pub(crate) fn one(routing: &RoutingTable, movers: Option<&Movers>, id: JobId) -> Option<MoveReport> {
    report(id, routing.routes().jobs().get(id)?, movers)
}

fn report(id: JobId, job: &Job, movers: Option<&Movers>) -> Option<MoveReport> {
    let Entered { job, record, phase, .. } = Entered::of(id, job)?;
    let worked = movers.and_then(|movers| movers.worked(id));
    let trouble = worked.as_ref().and_then(|worked| worked.progress.trouble());
    let work = worked.map(|Worked { progress, work_us }| MoveWork {
        rows: progress.rows.load(Relaxed),
        bytes: progress.bytes.load(Relaxed),
        rows_in_all: progress.rows_in_all.load(Relaxed),
        rounds: progress.rounds.load(Relaxed),
        closed_us: progress.closed_us.load(Relaxed),
        slowed_us: progress.slowed_us.load(Relaxed),
        throttled: progress.throttled(),
        waits_for_readers: progress.waits_for_readers.load(Relaxed),
        work_us,
    });
    Some(MoveReport {
        id: id.get(),
        request_id: job.request_id,
        tenant: TenantId::new(&job.tenant).ok()?,
        from: record.source.shard,
        to: record.target.shard,
        phase,
        began_us: job.began_us,
        changed_us: job.changed_us,
        error: trouble.or(job.error),
        work,
    })
}

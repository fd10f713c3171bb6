//! What people are told of a move.

use super::{movers::Movers, planning::Entered, record::KIND, record::MovePhase};
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
    /// What has been done for it, if somebody works at it in this process.
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
    /// Whether a request that began earlier is waited for.
    pub waits_for_readers: bool,
    /// Microseconds since it was taken up.
    pub work_us: u64,
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
    let mover = movers.and_then(|movers| movers.at(id));
    let work_us = mover.as_ref().map_or(0, |mover| mover.worked_us());
    let progress = mover.map(|mover| mover.progress.clone());
    let work = progress.as_ref().map(|progress| MoveWork {
        rows: progress.rows.load(Relaxed),
        bytes: progress.bytes.load(Relaxed),
        rows_in_all: progress.rows_in_all.load(Relaxed),
        rounds: progress.rounds.load(Relaxed),
        closed_us: progress.closed_us.load(Relaxed),
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
        error: progress.and_then(|progress| progress.trouble()).or(job.error),
        work,
    })
}

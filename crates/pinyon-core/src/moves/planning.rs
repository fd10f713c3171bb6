//! The changes of the catalog that a move consists of. Each is one commit under conditions: of a switch and an abort that meet, one wins.

use super::record::{CopyPlace, KIND, MovePhase, MoveRecord};
use crate::catalog::{
    Assignment, CopyToDrop, Draft, Job, JobError, JobId, Jobs, Leftover, NotCommitted, Pin, RoutingTable,
};
use pinyon_types::{Epoch, ShardId, TenantId};

/// Why a change of a move was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    /// The tenant was never placed.
    #[error("there is no such tenant")]
    UnknownTenant,
    /// It is where it was to go.
    #[error("the tenant lives there already")]
    AlreadyThere,
    /// Another move of the tenant has not ended.
    #[error("move {} of the tenant has not ended", .0.get())]
    AlreadyMoving(JobId),
    /// A request of the same name asked for another move.
    #[error("move {} was asked for by the same request, and is another one", .0.get())]
    OtherRequest(JobId),
    /// There is no such move.
    #[error("there is no such move")]
    UnknownMove,
    /// The move is not in a phase in which that can be.
    #[error("the move is {}", .0.name())]
    WrongPhase(MovePhase),
    /// The tenant is not where it was when the move was planned.
    #[error("the tenant was assigned anew")]
    Reassigned,
    /// The table of jobs.
    #[error(transparent)]
    Job(#[from] JobError),
    /// What was to be stored cannot be.
    #[error("{0}")]
    Encoding(String),
}

/// What somebody asked for.
#[derive(Debug, Clone)]
pub(crate) struct MoveRequest {
    pub(crate) tenant: TenantId,
    pub(crate) to: ShardId,
    /// Empty where the asker has none.
    pub(crate) request_id: String,
}

/// A move as the table of jobs has it.
#[derive(Debug, Clone)]
pub(super) struct Entered {
    pub(super) id: JobId,
    pub(super) job: Job,
    pub(super) record: MoveRecord,
    pub(super) phase: MovePhase,
}

impl Entered {
    pub(super) fn of(id: JobId, job: &Job) -> Option<Self> {
        Some(Self { id, job: job.clone(), record: MoveRecord::of(job)?, phase: MovePhase::of(job)? })
    }

    /// The move with a number.
    pub(super) fn find(routing: &RoutingTable, id: JobId) -> Option<Self> {
        Self::of(id, routing.routes().jobs().get(id)?)
    }

    fn in_draft(draft: &Draft, id: JobId) -> Result<Self, PlanError> {
        let job = draft.view().jobs().get(id).ok_or(PlanError::UnknownMove)?;
        Self::of(id, job).ok_or(PlanError::UnknownMove)
    }

    fn check_phase(&self, among: &[MovePhase]) -> Result<(), PlanError> {
        if among.contains(&self.phase) { Ok(()) } else { Err(PlanError::WrongPhase(self.phase)) }
    }

    fn put(self, draft: &mut Draft, phase: MovePhase, now_us: u64) -> Result<Self, PlanError> {
        let job = self.record.job(phase, Job { changed_us: now_us, ..self.job });
        draft.put_job(self.id, job.clone())?;
        Ok(Self { job, phase, ..self })
    }
}

/// The move of a tenant that has not ended, if there is one.
pub(crate) fn open_move_of(jobs: &Jobs, tenant: &str) -> Option<JobId> {
    let is_it = |job: &Job| job.kind == KIND && !job.is_ended && job.tenant == tenant;
    jobs.iter().find(|(_, job)| is_it(job)).map(|(id, _)| id)
}

pub(crate) type Changed<T> = Result<T, NotCommitted<PlanError>>;

/// Enters a move and its target's copy; the same again for a request that was heard before.
pub(crate) fn enter(routing: &RoutingTable, request: &MoveRequest, now_us: u64) -> Changed<JobId> {
    routing.change(|draft| {
        let MoveRequest { tenant, to, request_id } = request;
        if let Some(known) = of_request(draft, request)? {
            return Ok(known);
        }
        let home = draft.view().get(tenant.as_str()).ok_or(PlanError::UnknownTenant)?;
        if let Some(open) = open_move_of(draft.view().jobs(), tenant.as_str()) {
            return Err(PlanError::AlreadyMoving(open));
        }
        if home.shard == *to {
            return Err(PlanError::AlreadyThere);
        }
        let (id, epoch) = (draft.job_id(), draft.epoch());
        let record = MoveRecord {
            source: CopyPlace { shard: home.shard, number: home.namespace },
            target: CopyPlace { shard: *to, number: draft.fresh_number() },
            source_epoch: epoch,
            switched: Epoch::ZERO,
        };
        let job = Job {
            request_id: request_id.clone(),
            tenant: tenant.as_str().to_owned(),
            began_us: now_us,
            changed_us: now_us,
            ..Job::default()
        };
        draft.put_job(id, record.job(MovePhase::Copying, job))?;
        // The source adopts its copy anew at this epoch: then its shard tells of a table that went back behind it, which would give the
        // target's number to somebody else.
        draft.assign(tenant.clone(), Assignment { epoch, ..home });
        put_leftover(draft, record.target, tenant.as_str(), (Leftover::Incoming, id, epoch, now_us))?;
        Ok(id)
    })
}

/// The move that a request asked for before.
fn of_request(draft: &Draft, request: &MoveRequest) -> Result<Option<JobId>, PlanError> {
    let MoveRequest { tenant, to, request_id } = request;
    let Some((id, job)) = draft.view().jobs().of_request(KIND, request_id).filter(|_| !request_id.is_empty())
    else {
        return Ok(None);
    };
    let is_same =
        job.tenant == tenant.as_str() && MoveRecord::of(job).is_some_and(|record| record.target.shard == *to);
    if is_same { Ok(Some(id)) } else { Err(PlanError::OtherRequest(id)) }
}

fn put_leftover(
    draft: &mut Draft,
    place: CopyPlace,
    tenant: &str,
    (leftover, job, epoch, since_us): (Leftover, JobId, Epoch, u64),
) -> Result<(), PlanError> {
    let tenant = tenant.to_owned();
    let copy = CopyToDrop { tenant, leftover, epoch: epoch.get(), since_us, job: job.get() };
    draft.put_copy(place.shard, place.number, copy).map_err(PlanError::Encoding)
}

/// What a switch is made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Switch {
    /// What its clients' positions begin with at the target, so that none is lower than one that they have seen.
    pub(super) position_base: u64,
    pub(super) now_us: u64,
}

/// Makes the target's copy the tenant's and the source's one to drop, at the epoch that is given.
pub(super) fn switch(
    routing: &RoutingTable,
    id: JobId,
    Switch { position_base, now_us }: Switch,
) -> Changed<Epoch> {
    routing.change(|draft| {
        let mut entered = Entered::in_draft(draft, id)?;
        entered.check_phase(&[MovePhase::Copying])?;
        let (record, name) = (entered.record, entered.job.tenant.clone());
        let home = draft.view().get(&name).ok_or(PlanError::Reassigned)?;
        if (home.shard, home.namespace, home.epoch)
            != (record.source.shard, record.source.number, record.source_epoch)
        {
            return Err(PlanError::Reassigned);
        }
        let (tenant, epoch) =
            (TenantId::new(&name).map_err(|error| PlanError::Encoding(error.to_string()))?, draft.epoch());
        let CopyPlace { shard, number } = record.target;
        draft.remove_copy(shard, number);
        put_leftover(draft, record.source, &name, (Leftover::Left, id, epoch, now_us))?;
        let pin = Pin::Explicit;
        draft.assign(tenant, Assignment { namespace: number, shard, epoch, pin, position_base });
        entered.record.switched = epoch;
        entered.job.error = None;
        entered.put(draft, MovePhase::Cleaning, now_us)?;
        Ok(epoch)
    })
}

/// Turns a move back that has not switched.
pub(super) fn turn_back(
    routing: &RoutingTable,
    id: JobId,
    (phase, error): (MovePhase, Option<String>),
    now_us: u64,
) -> Changed<()> {
    routing.change(|draft| {
        let mut entered = Entered::in_draft(draft, id)?;
        if entered.phase == phase || entered.phase == phase.end() {
            return Ok(());
        }
        entered.check_phase(&[MovePhase::Copying])?;
        entered.job.error = error.map(shortened).or(entered.job.error);
        entered.put(draft, phase, now_us)?;
        Ok(())
    })
}

/// Turns a move back because somebody asked for that.
pub(crate) fn abort(routing: &RoutingTable, id: JobId, now_us: u64) -> Changed<()> {
    turn_back(routing, id, (MovePhase::Aborting, None), now_us)
}

/// Ends a move whose other copy is gone.
pub(super) fn end(routing: &RoutingTable, id: JobId, now_us: u64) -> Changed<()> {
    routing.change(|draft| {
        let entered = Entered::in_draft(draft, id)?;
        entered.check_phase(&[MovePhase::Cleaning, MovePhase::Aborting, MovePhase::Failing])?;
        let gone = match entered.phase {
            MovePhase::Cleaning => entered.record.source,
            _ => entered.record.target,
        };
        draft.remove_copy(gone.shard, gone.number);
        let phase = entered.phase.end();
        entered.put(draft, phase, now_us)?;
        Ok(())
    })
}

/// Keeps both copies of a move that switched, and says why.
pub(super) fn stop(routing: &RoutingTable, id: JobId, error: String, now_us: u64) -> Changed<()> {
    routing.change(|draft| {
        let mut entered = Entered::in_draft(draft, id)?;
        entered.check_phase(&[MovePhase::Cleaning])?;
        entered.job.error = Some(shortened(error));
        entered.put(draft, MovePhase::Stopped, now_us)?;
        Ok(())
    })
}

/// A text of which the table takes the beginning.
pub(super) fn shortened(mut text: String) -> String {
    const BYTES_MAX: usize = 1_000;
    text.truncate(text.floor_char_boundary(BYTES_MAX));
    text
}

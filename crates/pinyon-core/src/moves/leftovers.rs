//! Moves that do not go on, and copies that are left of them: what the doctor finds and mends.

use super::{
    ground::Ground,
    planning::{Changed, Entered, PlanError, shortened},
    record::{KIND, MovePhase, MoveRecord},
};
use crate::{
    EngineError,
    catalog::{Assignment, Job, JobId, RoutingTable, View},
};
use pinyon_backend::{Namespace, Until};
use pinyon_types::{NamespaceId, ShardId, TenantId};

/// A move that does not go on by itself.
#[derive(Debug, Clone)]
pub(crate) struct StuckMove {
    pub(crate) id: JobId,
    pub(crate) tenant: String,
    pub(crate) problem: String,
}

/// The moves that do not go on: those that were stopped for people to look at, and those that the table or the fleet contradicts.
pub(crate) fn stuck(routes: &View, is_there: impl Fn(ShardId) -> bool) -> Vec<StuckMove> {
    let open = routes.jobs().iter().filter(|(_, job)| job.kind == KIND && !job.is_ended);
    let of = |(id, job): (JobId, &Job)| {
        let problem = match Entered::of(id, job) {
            None => Some("this version cannot read it".to_owned()),
            Some(entered) => contradiction(&entered, routes, &is_there),
        };
        Some(StuckMove { id, tenant: job.tenant.clone(), problem: problem? })
    };
    open.filter_map(of).collect()
}

fn contradiction(entered: &Entered, routes: &View, is_there: impl Fn(ShardId) -> bool) -> Option<String> {
    let MoveRecord { source, target, .. } = entered.record;
    if entered.phase == MovePhase::Stopped {
        return entered.job.error.clone().or_else(|| Some("it was stopped".to_owned()));
    }
    if let Some(place) = [source, target].into_iter().find(|place| !is_there(place.shard)) {
        return Some(format!("there is no shard {}", place.shard));
    }
    let (owner, other) = match entered.phase {
        MovePhase::Cleaning => (target, source),
        _ => (source, target),
    };
    // A table that was made anew has other epochs: the move would never switch.
    let is_new =
        |home: Assignment| entered.phase == MovePhase::Copying && home.epoch != entered.record.source_epoch;
    let is_elsewhere = |home: Assignment| (home.shard, home.namespace) != (owner.shard, owner.number);
    let home = routes.get(&entered.job.tenant);
    if home.is_none_or(|home| is_elsewhere(home) || is_new(home)) {
        return Some("the tenant was assigned to another place meanwhile".to_owned());
    }
    let is_known = routes.copies_to_drop().get(other.shard, other.number).is_some();
    (!is_known)
        .then(|| format!("its copy on shard {} is not among those that are to be dropped", other.shard))
}

/// Ends a move that does not go on. Its copies stay as they are, and known as none of a move's.
pub(crate) fn give_up(routing: &RoutingTable, stuck: &StuckMove, now_us: u64) -> Changed<()> {
    routing.change(|draft| {
        let job = draft.view().jobs().get(stuck.id).ok_or(PlanError::UnknownMove)?.clone();
        let phase = match MovePhase::of(&job) {
            Some(MovePhase::Stopped) => MovePhase::Done,
            _ => MovePhase::Failed,
        };
        let error = Some(shortened(format!("a repair ended it: {}", stuck.problem)));
        let job = Job { phase: phase.name().to_owned(), is_ended: true, changed_us: now_us, error, ..job };
        Ok(draft.put_job(stuck.id, job)?)
    })
}

/// Drops a copy that is no tenant's, and has its room back.
pub(crate) fn drop_leftover(
    ground: &dyn Ground,
    (shard, number): (ShardId, NamespaceId),
    tenant: &TenantId,
) -> Result<(), EngineError> {
    let backend = ground.backend(shard)?;
    let namespace = Namespace::routed(number, tenant.clone(), ground.routing().epoch());
    backend.drop_copy(&namespace, Until::NEVER)?;
    Ok(backend.reclaim(&namespace)?)
}

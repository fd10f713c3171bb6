//! Moves of tenants from one shard to another, as an engine offers them.

use super::{Engine, Generation, Inner, Member, older::keep_out_of_moves, open::data_dir_of_index};
use crate::{
    EngineError, ErrorCode,
    catalog::{JobId, NotCommitted, RoutingTable},
    environment::Environment,
    moves::{self, CopyHold, Ground, MoveReport, MoveRequest, MoveTotals, Movers, SearchLatency},
};
use pinyon_backend::ShardBackend;
use pinyon_types::{Invalid, NamespaceId, SeqNo, ShardId, TenantId};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const LOOK: Duration = Duration::from_millis(20);

impl Engine {
    /// Begins to move a tenant to another shard; durable when this returns. Its clients read and write meanwhile. Who asks again with the
    /// same request id, which may be empty for none, is told of the same move.
    ///
    /// # Errors
    /// No such tenant or shard; a shard that is kept out; the tenant is there, or is being moved; no room; the catalog's.
    pub fn move_tenant(&self, tenant: &str, to: u32, request_id: &str) -> Result<MoveReport, EngineError> {
        let (inner, tenant, to) = (&self.inner, TenantId::new(tenant)?, ShardId::new(to));
        if to.get() >= inner.settings.shards {
            let problem = format!("must be 0 to {}, is {to}", inner.settings.shards - 1);
            return Err(Invalid::new("shard_id", problem).into());
        }
        Ground::check_room(&**inner)?;
        // Nobody is sent to a shard that cannot take them in.
        Inner::backend(inner, to)?;
        if let Some(places) = &inner.places {
            keep_out_of_moves(inner.settings.environment.io(), &data_dir(inner, &places.home)?)?;
        }
        let request = MoveRequest { tenant, to, request_id: request_id.to_owned() };
        let entered = {
            let _one_at_a_time = inner.lock_rerouting();
            moves::enter(&inner.routing, &request, inner.clock.now_us())
        };
        if matches!(entered, Err(NotCommitted::Unknown(_))) {
            // It may have been entered: then it goes on.
            let _ = inner.routing.read_again();
        }
        self.wake_movers();
        self.move_report(entered?)
    }

    /// The moves that have not ended, and those that ended not long ago; the latest last.
    pub fn moves(&self) -> Vec<MoveReport> {
        self.upkeep.with_movers(|movers| moves::all(&self.inner.routing, movers))
    }

    /// What was done for all moves since the engine was opened.
    pub fn move_totals(&self) -> MoveTotals {
        self.upkeep.with_movers(|movers| movers.map(Movers::totals).unwrap_or_default())
    }

    /// One move, if it is known still.
    pub fn find_move(&self, id: u64) -> Option<MoveReport> {
        self.upkeep.with_movers(|movers| moves::one(&self.inner.routing, movers, JobId::new(id)))
    }

    /// Turns a move back; durable when this returns. The tenant stays where it is, and what was copied is dropped.
    ///
    /// # Errors
    /// No such move; it switched already; the catalog's.
    pub fn abort_move(&self, id: u64) -> Result<MoveReport, EngineError> {
        let id = JobId::new(id);
        moves::abort(&self.inner.routing, id, self.inner.clock.now_us())?;
        self.upkeep.with_movers(|movers| movers.map_or((), |movers| movers.interrupt(id)));
        self.move_report(id)
    }

    /// Waits until a move is over, or the time is; says how it is then.
    ///
    /// # Errors
    /// No such move.
    pub fn await_move(&self, id: u64, longest: Duration) -> Result<MoveReport, EngineError> {
        let began_us = self.inner.clock.now_us();
        loop {
            let report = self.move_report(JobId::new(id))?;
            let waited = Duration::from_micros(self.inner.clock.now_us().saturating_sub(began_us));
            if !report.phase.is_worked_at() || waited >= longest {
                return Ok(report);
            }
            self.inner.settings.environment.pause(LOOK);
        }
    }

    fn move_report(&self, id: JobId) -> Result<MoveReport, EngineError> {
        let unknown = || EngineError::new(ErrorCode::NotFound, format!("there is no move {}", id.get()));
        self.find_move(id.get()).ok_or_else(unknown)
    }

    fn wake_movers(&self) {
        self.upkeep.with_movers(|movers| movers.map_or((), Movers::wake));
    }
}

impl Inner {
    /// Refuses what cannot be done to a tenant that is being moved.
    pub(super) fn check_at_rest(&self, tenant: &TenantId) -> Result<(), EngineError> {
        match moves::open_move_of(self.routing.routes().jobs(), tenant.as_str()) {
            None => Ok(()),
            Some(id) => {
                let message = format!(
                    "tenant {tenant} is being moved (move {}): wait until that has ended, or abort it",
                    id.get()
                );
                Err(EngineError::new(ErrorCode::FailedPrecondition, message))
            }
        }
    }

    /// The position of a copy's shard as readers of the copy are told of it.
    pub(super) fn position_of(&self, shard: &dyn ShardBackend, copy: NamespaceId) -> SeqNo {
        let now = shard.position().unwrap_or_default();
        match self.holds.load().get(&copy) {
            Some(CopyHold::Closed(frozen)) => now.min(*frozen),
            Some(CopyHold::Slowed(_)) | None => now,
        }
    }

    /// What is asked of a tenant's writers now.
    pub(super) fn hold_of(&self, tenant: &str) -> Option<CopyHold> {
        let holds = self.holds.load();
        if holds.is_empty() {
            return None;
        }
        holds.get(&self.routing.lookup(tenant)?.namespace).copied()
    }
}

impl Ground for Inner {
    fn routing(&self) -> &RoutingTable {
        &self.routing
    }

    fn backend(&self, shard: ShardId) -> Result<Arc<dyn ShardBackend>, EngineError> {
        Self::backend(self, shard)
    }

    fn hold(&self, copy: NamespaceId, hold: Option<CopyHold>) {
        self.holds.rcu(|holds| {
            let mut holds = BTreeMap::clone(holds);
            match hold {
                Some(hold) => holds.insert(copy, hold),
                None => holds.remove(&copy),
            };
            holds
        });
    }

    fn check_room(&self) -> Result<(), EngineError> {
        self.settings.check_disk()?;
        let disk = self.settings.shard_options.disk.as_ref();
        let Some((free, needed)) = disk.and_then(|disk| disk.lacks_for_copies()) else { return Ok(()) };
        let message = format!(
            "a copy needs {} MiB of the disk to stay free, and {} MiB are: delete what is not needed, or make the disk larger",
            needed >> 20,
            free >> 20
        );
        Err(EngineError::new(ErrorCode::StorageFull, message))
    }

    fn latency(&self, shard: ShardId) -> SearchLatency {
        let of = |member: &Member| SearchLatency {
            usual_us: member.latency.quantiles().p99_us,
            recent_us: member.recent.quantiles().p99_us,
        };
        self.fleet.member(shard).map(of).unwrap_or_default()
    }

    fn environment(&self) -> &Environment {
        &self.settings.environment
    }
}

/// The data directory in which an engine's home lies.
fn data_dir(inner: &Inner, home: &Path) -> Result<PathBuf, EngineError> {
    let dir = Generation::dir_of(home);
    Ok(data_dir_of_index(inner.settings.environment.io(), dir)?.unwrap_or(dir).to_owned())
}

//! Background work by hand, for tests: an engine whose environment has no threads does nothing but what it is asked for.

use super::Engine;
use crate::{
    EngineError,
    moves::{CopyHold, Ground},
};
use pinyon_backend::Until;
use pinyon_shard::Step;
use pinyon_types::TenantId;

impl Engine {
    /// Does the next piece of background work that is due by the environment's clock, in this thread: a step of a shard, or else codes or
    /// a graph that are missing, or else an attempt at a move, or else a turn
    /// of what reads files again. Whether there was one.
    ///
    /// # Panics
    /// The environment has threads for it.
    pub fn step(&self) -> bool {
        assert!(self.inner.settings.environment.is_stepped(), "threads do the steps of this engine");
        let upkeep = &self.upkeep;
        upkeep.keepers.step()
            || !matches!(upkeep.keepers.derive_step(), Step::Idle | Step::Stopped)
            || upkeep.with_movers(|movers| movers.is_some_and(crate::moves::Movers::step))
            || upkeep.scrubber.step()
    }

    /// Closes a tenant that was placed to its writers, as a move does for its switch.
    ///
    /// # Errors
    /// No such tenant; its shard's.
    pub fn close_tenant(&self, tenant: &str) -> Result<(), EngineError> {
        self.hold_tenant(tenant, true)
    }

    /// Lets them in again.
    ///
    /// # Errors
    /// As [`Self::close_tenant`].
    pub fn open_tenant(&self, tenant: &str) -> Result<(), EngineError> {
        self.hold_tenant(tenant, false)
    }

    fn hold_tenant(&self, tenant: &str, is_held: bool) -> Result<(), EngineError> {
        let inner = &*self.inner;
        let home = inner.view().home(&TenantId::new(tenant)?)?;
        let home = home.ok_or_else(|| EngineError::new(crate::ErrorCode::NotFound, "no such tenant"))?;
        let (shard, copy) = (inner.backend(home.assignment.shard)?, &home.namespace);
        if is_held {
            let frozen = shard.close(copy, Until::NEVER)?;
            inner.hold(copy.id(), Some(CopyHold::Closed(frozen.seq)));
        } else {
            shard.open(copy)?;
            inner.hold(copy.id(), None);
        }
        Ok(())
    }
}

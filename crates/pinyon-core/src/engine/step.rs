//! Background work by hand, for tests: an engine whose environment has no threads does nothing but what it is asked for.

use super::Engine;
use pinyon_shard::Step;

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
}

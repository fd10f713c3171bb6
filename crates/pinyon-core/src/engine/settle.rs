//! Settling: waiting until everything is done that background threads do with what was written. A measurement of what was just
//! written would be one of scans, not of codes and graphs.

use super::{Engine, Upkeep};
use crate::{EngineError, Environment};
use pinyon_shard::Step;
use pinyon_types::SeqNo;
use std::time::Duration;

/// How often to look whether codes and graphs are there.
const LOOK_REST: Duration = Duration::from_millis(20);
/// The graph builder's looks that have to find nothing missing: the first may have begun before the last merge ended.
const IDLE_LOOKS: u64 = 2;

/// What settling waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettlingStage {
    /// Memtables are sealed, and segments merged.
    Segments,
    /// Codes and graphs are made.
    CodesAndGraphs,
}

/// How far settling has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settling {
    /// What is waited for.
    pub stage: SettlingStage,
    /// How long it has taken so far.
    pub waited: Duration,
}

impl Engine {
    /// Seals all memtables, merges what there is to merge, and waits until all codes and graphs are made that are going to be.
    /// Returns whether that is so, or the time was up before; whoever writes meanwhile delays it. `progress` is called after
    /// every step, and many times a second while there is nothing to do but wait.
    ///
    /// # Errors
    /// A shard takes no writes, the disk's.
    pub fn settle(&self, longest: Duration, progress: &mut dyn FnMut(Settling)) -> Result<bool, EngineError> {
        let began_us = self.inner.clock.now_us();
        let mut goes_on = |stage| {
            let waited = Duration::from_micros(self.inner.clock.now_us().saturating_sub(began_us));
            progress(Settling { stage, waited });
            waited < longest
        };
        loop {
            let seen = self.positions();
            if !self.settle_segments(&mut goes_on)?
                || !self.upkeep.await_codes_and_graphs(&self.inner.settings.environment, &mut goes_on)
            {
                return Ok(false);
            }
            if self.positions() == seen {
                return Ok(true);
            }
        }
    }

    fn positions(&self) -> Vec<SeqNo> {
        self.inner.fleet.local().map(|(_, shard)| shard.last_seq()).collect()
    }

    /// Whether all of it was done before the time was up.
    fn settle_segments(&self, goes_on: &mut impl FnMut(SettlingStage) -> bool) -> Result<bool, EngineError> {
        for (_, shard) in self.inner.fleet.local() {
            while shard.settle_step()? != Step::Idle {
                if !goes_on(SettlingStage::Segments) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

impl Upkeep {
    /// Whether nothing is missing any more before the time was up.
    fn await_codes_and_graphs(
        &self,
        environment: &Environment,
        goes_on: &mut impl FnMut(SettlingStage) -> bool,
    ) -> bool {
        // An engine that was closed is as settled as it will ever be.
        let looks = || self.lock().as_ref().map(|work| work.deriving.idle_looks());
        let Some(enough) = looks().map(|looks| looks + IDLE_LOOKS) else { return true };
        while looks().is_some_and(|looks| looks < enough) {
            if !goes_on(SettlingStage::CodesAndGraphs) {
                return false;
            }
            if let Some(work) = &*self.lock() {
                work.deriving.nudge();
            }
            environment.await_look(&self.keepers, LOOK_REST);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::*, *};

    const LONG: Duration = Duration::from_secs(600);

    fn has_codes(engine: &Engine) -> bool {
        let derived = |shard: &super::super::EngineStats| {
            shard.stats.segments.iter().map(|segment| segment.derived.byte_codes).sum::<u64>()
        };
        engine.shards().iter().any(|shard| derived(shard) > 0)
    }

    fn rows_in_memtables(engine: &Engine) -> usize {
        engine.shards().iter().map(|shard| shard.stats.memtable_rows).sum()
    }

    #[test]
    fn what_was_just_written_has_codes_once_it_is_settled() {
        let dir = scratch("settle");
        let engine = Engine::open(&dir, settings()).unwrap();
        fill(&engine, 4, 300);
        assert!(rows_in_memtables(&engine) > 0 && !has_codes(&engine));
        // The time is up before anything could be done.
        assert!(!engine.settle(Duration::ZERO, &mut |_| ()).unwrap());
        let mut stages = Vec::new();
        assert!(engine.settle(LONG, &mut |now| stages.push(now.stage)).unwrap());
        assert_eq!(rows_in_memtables(&engine), 0);
        assert!(has_codes(&engine), "{:?}", engine.shards());
        assert!(stages.is_sorted_by_key(|stage| *stage == SettlingStage::CodesAndGraphs), "{stages:?}");
        assert!(stages.contains(&SettlingStage::Segments) && stages.contains(&SettlingStage::CodesAndGraphs));
        // Again, and after a restart, which has to make the codes anew.
        assert!(
            engine.settle(LONG, &mut |now| assert_eq!(now.stage, SettlingStage::CodesAndGraphs)).unwrap()
        );
        drop(engine);
        let engine = Engine::open(&dir, settings()).unwrap();
        assert!(engine.settle(LONG, &mut |_| ()).unwrap() && has_codes(&engine));
        engine.close().unwrap();
        let refused = engine.settle(LONG, &mut |_| ()).unwrap_err();
        assert_eq!(refused.code, crate::ErrorCode::WritesRefused);
        drop(engine);
        remove(&dir);
    }

    #[test]
    fn an_empty_engine_is_settled() {
        let dir = scratch("settle-empty");
        let engine = Engine::open(&dir, settings()).unwrap();
        assert!(engine.settle(LONG, &mut |_| ()).unwrap());
        drop(engine);
        remove(&dir);
    }
}

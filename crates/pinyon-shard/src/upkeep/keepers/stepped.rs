//! Keepers without threads, for tests: whoever holds them takes their steps one by one.

use super::{Keepers, KeepersOptions};
use crate::Step;

impl Keepers {
    /// Starts nothing: a step is done where [`Self::step`] or [`Self::derive_step`] is called, and no writer waits for one.
    pub fn stepped(options: KeepersOptions) -> Self {
        Self::new(options, false)
    }

    /// Does the step of a shard that is due first; `false` if none is due.
    pub fn step(&self) -> bool {
        let turn = self.shared.lock().agenda.next(true, self.shared.clock.now_us());
        turn.inspect(|turn| self.shared.take(turn, true)).is_some()
    }

    /// When the next step of a shard is due, in microseconds of the clock.
    pub fn next_due_us(&self) -> Option<u64> {
        self.shared.lock().agenda.next_due(true)
    }

    /// Makes what is missing first of all codes and graphs.
    pub fn derive_step(&self) -> Step {
        self.derivers.step()
    }
}

//! Opening a shard again while everything else is served: one that is kept out, whose files were put back, or one that takes no writes
//! since its log failed.

use super::{Engine, Member, shards::check_there};
use crate::{EngineError, ErrorCode};
use pinyon_types::{Epoch, ShardId};

/// What became of a shard that was to be opened again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReopenedShard {
    /// Its name.
    pub index_name: String,
    /// Whether it was opened again; one that is well is left as it is.
    pub was_opened: bool,
}

impl Engine {
    /// Opens a shard again that is kept out or takes no writes. Readers of a shard that takes no writes go on with what they see. What
    /// is well is left alone, so that this may be asked for twice.
    ///
    /// # Errors
    /// No shard of that name; it is kept out still, and why; the engine is kept out as a whole.
    pub fn reopen(&self, name: &str) -> Result<ReopenedShard, EngineError> {
        let _one_at_a_time = self.inner.lock_reopening();
        let number = self.number_of(name)?;
        let Some(places) = &self.inner.places else {
            let problem = self.inner.lost.as_ref().map(|lost| lost.problem.clone()).unwrap_or_default();
            let message = format!("the index is kept out as a whole: {problem}. Mend it and restart");
            return Err(EngineError::new(ErrorCode::FailedPrecondition, message));
        };
        let member = self.inner.fleet.member(number)?;
        if member.local().is_some_and(|shard| shard.poisoned().is_none()) {
            return Ok(ReopenedShard { index_name: name.to_owned(), was_opened: false });
        }
        check_there(self.inner.settings.environment.io(), &places.home, number.get()).map_err(|error| {
            let message = format!("shard {name}: {}", error.relative_to(&places.home).message);
            EngineError::new(ErrorCode::Quarantined, message)
        })?;
        // Nobody merges or seals what another opens.
        self.upkeep.end();
        // Who asks wants to know whether it is whole now.
        let settings = self.inner.settings.clone().verified_at_open();
        let opened = places.open(&settings, &self.inner.clock, number.get(), places.identity.birth);
        let became = Member::of(opened, &places.home, &self.inner.clock).and_then(|became| {
            let seen = became.backend().map_or(Epoch::ZERO, |shard| shard.epoch_seen());
            // It was not there when the others were asked.
            self.inner.routing.check_epoch(seen)?;
            Ok(became)
        });
        if let Ok(became) = became.as_ref() {
            member.become_as(became);
        }
        self.upkeep.begin_again(&self.inner);
        became?;
        self.inner.fleet.backend(number)?;
        tracing::info!(shard = name, "opened again");
        Ok(ReopenedShard { index_name: name.to_owned(), was_opened: true })
    }

    fn number_of(&self, name: &str) -> Result<ShardId, EngineError> {
        let mut numbers = self.inner.fleet.members().map(|(number, _)| number);
        numbers.find(|number| self.inner.index_name(*number) == name).ok_or_else(|| {
            let message = format!("{name} is no shard of this index");
            EngineError::new(ErrorCode::NotFound, message)
        })
    }
}

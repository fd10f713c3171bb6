//! Advice on the running engine, and on numbers that it fills.

use super::Engine;
use crate::{
    Advice, AdviceInput, GivenNumbers, HealthReport,
    advise::{self, LiveCounts},
};
use std::{cmp::Reverse, sync::atomic::Ordering};

impl Engine {
    /// What the running system would be advised on: the numbers of all shards together, as far as enough was measured.
    pub fn advice_input(&self) -> AdviceInput {
        advise::measured(&self.live_counts(), &self.health())
    }

    /// Advice from the running system's own numbers and its health.
    pub fn advise(&self) -> Advice {
        self.advise_on(&GivenNumbers::default()).1
    }

    /// Advice on given numbers, with what is missing filled in; on the running system, if none is given. Also the numbers that
    /// it is based on.
    pub fn advise_on(&self, given: &GivenNumbers) -> (AdviceInput, Advice) {
        let (counts, health): (LiveCounts, HealthReport) = (self.live_counts(), self.health());
        let input = given.filled(advise::measured(&counts, &health));
        let advice = if *given == GivenNumbers::default() {
            advise::advise_live(&counts, &health, &self.inner.settings.thresholds)
        } else {
            advise::advise_filled(given, input)
        };
        (input, advice)
    }

    fn live_counts(&self) -> LiveCounts {
        let inner = &self.inner;
        let mut sizes: Vec<u64> = inner.owned_copies().map(|(_, copy)| copy.records).collect();
        sizes.sort_unstable_by_key(|records| Reverse(*records));
        let across = self.cross_shard_counts().queries;
        LiveCounts {
            shards: inner.settings.shards,
            tenants: inner.routing.len() as u64,
            namespaces: sizes.len() as u64,
            vectors: sizes.iter().sum(),
            vectors_of_top_10: sizes.iter().take(10).sum(),
            queries: inner.single_tenant_queries.load(Ordering::Relaxed) + across,
            queries_across: across,
        }
    }
}

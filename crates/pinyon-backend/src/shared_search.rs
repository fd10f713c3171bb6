//! What searches of several shards for one query have in common: the query's codes, and how far results may be.

use pinyon_index::{Bound, CodedQuery};
use pinyon_types::{Distance, TopK};
use std::sync::OnceLock;

/// Shared by the searches of one query, each of other records, whichever threads they run on.
#[derive(Debug)]
pub struct SharedSearch {
    codes: OnceLock<CodedQuery>,
    bound: Bound,
}

impl SharedSearch {
    /// For a query of which nothing is known yet.
    pub fn new(top_k: TopK) -> Self {
        Self { codes: OnceLock::new(), bound: Bound::new(top_k.get()) }
    }

    /// For the same query, whose records are searched once more.
    #[must_use]
    pub fn again(&self, top_k: TopK) -> Self {
        Self { codes: self.codes.clone(), bound: Bound::new(top_k.get()) }
    }

    /// Tells searches to come how far results are that have arrived, each of them once: what is farther than the last of them is
    /// left out from now on. Results that may still be lost on their way would take others with them.
    pub fn arrived(&self, distances: impl Iterator<Item = Distance>) {
        self.bound.add(distances);
    }

    /// How far results may be; [`Distance::FARTHEST`] until as many as are wanted have arrived.
    pub fn bound(&self) -> Distance {
        self.bound.get()
    }

    /// The query's codes, made by the first search that needs them.
    pub const fn codes(&self) -> &OnceLock<CodedQuery> {
        &self.codes
    }
}

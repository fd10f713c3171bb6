//! What searches of several places for one query have in common: the query's codes, and how far results may be.

use pinyon_index::{Bound, CodedQuery, DenseQuery};
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

    pub(super) fn query<'a>(&'a self, vector: &'a [f32]) -> DenseQuery<'a> {
        DenseQuery { bound: self.bound(), ..DenseQuery::new(vector, &self.codes) }
    }

    pub(super) fn bound(&self) -> Distance {
        self.bound.get()
    }

    pub(super) fn add(&self, distances: impl Iterator<Item = Distance>) {
        self.bound.add(distances);
    }
}

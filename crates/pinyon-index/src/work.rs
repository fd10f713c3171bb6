//! What a search cost, in counts that do not depend on the machine.

/// Work counters of one search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Distances computed between the query and a stored row.
    pub distances: u64,
    /// Distances estimated from codes of a byte a component.
    pub code_distances: u64,
    /// Distances estimated from codes of a bit a component.
    pub sign_distances: u64,
    /// Rows whose links a walk followed.
    pub hops: u64,
    /// Rows held against a metadata filter.
    pub rows_filtered: u64,
    /// Postings of sparse vectors read.
    pub postings: u64,
    /// Graphs walked.
    pub graph_walks: u64,
}

impl Work {
    /// What was done since there was `before` of it.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            distances: self.distances - before.distances,
            code_distances: self.code_distances - before.code_distances,
            sign_distances: self.sign_distances - before.sign_distances,
            hops: self.hops - before.hops,
            rows_filtered: self.rows_filtered - before.rows_filtered,
            postings: self.postings - before.postings,
            graph_walks: self.graph_walks - before.graph_walks,
        }
    }
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        let Self { distances, code_distances, sign_distances, hops, rows_filtered, postings, graph_walks } =
            other;
        self.distances += distances;
        self.code_distances += code_distances;
        self.sign_distances += sign_distances;
        self.hops += hops;
        self.rows_filtered += rows_filtered;
        self.postings += postings;
        self.graph_walks += graph_walks;
    }
}

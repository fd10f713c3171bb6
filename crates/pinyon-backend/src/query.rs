//! What a shard is searched for, and what it finds.

use crate::{Explanation, Located, Namespace, SharedSearch};
use pinyon_index::Work;
use pinyon_types::{
    Clock, Distance, Effort, Filter, Metadata, NamespaceId, RecordId, SparseVector, TopK, Vector,
};
use std::cmp::Ordering;

/// Which namespaces a query looks at.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// These.
    Namespaces(&'a [Namespace]),
    /// Every namespace of the shard.
    All,
    /// Every namespace but these: copies that are no tenant's take no place among the results, and shorten nobody's bound.
    AllBut(&'a [NamespaceId]),
}

impl Scope<'_> {
    /// Whether it is the shard as a whole, or most of it.
    pub const fn is_whole(&self) -> bool {
        matches!(self, Self::All | Self::AllBut(_))
    }

    /// Whether the scope names no namespace at all.
    pub const fn is_empty(&self) -> bool {
        matches!(self, Self::Namespaces([]))
    }

    /// Whether a namespace is in the scope.
    pub fn contains(&self, namespace: NamespaceId) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(left_out) => !left_out.contains(&namespace),
            Self::Namespaces(namespaces) => namespaces.iter().any(|one| one.id() == namespace),
        }
    }
}

/// A query.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The dense vector to be near to; none in an index of sparse ones.
    pub vector: Option<&'a Vector>,
    /// The sparse vector to be near to; scores of dense and sparse parts are added.
    pub sparse: Option<&'a SparseVector>,
    /// Only records whose sparse vector has all of these indices.
    pub required: &'a [u32],
    /// How many results.
    pub top_k: TopK,
    /// How many of them are expected from here: all, or fewer where others are searched beside this shard. Walks of graphs are
    /// the shorter for it and may miss some of those beyond.
    pub expected: usize,
    /// What it has in common with the same query's searches of other shards: records that are too far to be among the results of all
    /// may be missing from what is found.
    pub shared: Option<&'a SharedSearch>,
    /// Only records that pass this.
    pub filter: Option<&'a Filter>,
    /// How hard to try where codes or a graph answer.
    pub effort: Effort,
    /// A clock, if the answer is to say how it was found.
    pub explain: Option<&'a dyn Clock>,
}

impl<'a> Query<'a> {
    /// The records nearest to a dense vector.
    pub const fn dense(vector: &'a Vector, top_k: TopK) -> Self {
        Self {
            vector: Some(vector),
            sparse: None,
            required: &[],
            top_k,
            expected: top_k.get(),
            shared: None,
            filter: None,
            effort: Effort::NORMAL,
            explain: None,
        }
    }
}

/// One result. Its payload is read only when asked for.
#[derive(Debug, Clone)]
pub struct Hit {
    namespace: Namespace,
    distance: Distance,
    record: Located,
}

impl Hit {
    /// A record of a namespace, and how near it is.
    pub const fn new(namespace: Namespace, distance: Distance, record: Located) -> Self {
        Self { namespace, distance, record }
    }

    /// The namespace it belongs to.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// How near it is; smaller is nearer.
    pub const fn distance(&self) -> Distance {
        self.distance
    }

    /// Its id.
    pub fn id(&self) -> RecordId {
        self.record.id()
    }

    /// Its metadata.
    pub fn metadata(&self) -> Metadata {
        self.record.metadata()
    }

    /// How many bytes it takes in an answer, about, with its vectors and its metadata where these are wanted.
    pub fn bytes(&self, with_values: bool, with_metadata: bool) -> usize {
        self.record.answer_bytes(with_values, with_metadata)
    }

    /// Its vector's components.
    pub fn components(&self) -> &[f32] {
        self.record.components()
    }

    /// Its sparse vector, if it has one.
    pub fn sparse(&self) -> Option<SparseVector> {
        self.record.sparse()
    }

    /// The order of results: nearest first; equals by namespace number, then by id.
    pub fn cmp_rank(&self, other: &Self) -> Ordering {
        let key = |hit: &Self| (hit.distance, hit.namespace.id());
        key(self).cmp(&key(other)).then_with(|| self.record.id_text().cmp(other.record.id_text()))
    }
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// The nearest records, nearest first.
    pub hits: Vec<Hit>,
    /// What it cost.
    pub work: Work,
    /// Whether every row was considered; false when the search was stopped (QRY-1).
    pub complete: bool,
    /// How it was found, if the query asked.
    pub explanation: Option<Box<Explanation>>,
}

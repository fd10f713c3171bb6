//! Search: a snapshot, a plan per namespace by what is cheapest, and one merge. Holds no lock.

mod coded;
mod explain;
pub(crate) mod filtering;
mod layers;
mod plan;
mod scorer;
mod shared;
mod sparse;
mod walk;

pub(crate) use coded::rows_scanned;
pub use explain::{BytesRead, Explanation, PartExplanation, PartPlace, Way};
pub use plan::Reason;
pub(crate) use plan::{Price, is_walk_chosen};
pub use shared::SharedSearch;

use crate::{
    ShardError, ShardShape,
    memtable::Tail,
    namespace::Namespace,
    read,
    snapshot::{Place, Snapshot},
};
use explain::Recorder;
use filtering::rows_passing;
use pinyon_distance::QueryScorer;
use pinyon_index::{Bound, CodedQuery, DenseQuery, TopK as BestK, Work};
use pinyon_types::{
    Clock, Distance, Effort, Filter, Invalid, Metadata, Metric, NamespaceId, RecordId, SparseVector, TopK,
    Vector,
};
use scorer::RowScorer;
use std::sync::{Arc, OnceLock};

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
    place: Place,
}

impl Hit {
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
        read::record_id(self.place.id())
    }

    /// Its metadata.
    pub fn metadata(&self) -> Metadata {
        self.place.metadata().to_metadata()
    }

    /// How many bytes it takes in an answer, about, with its vectors and its metadata where these are wanted.
    pub fn bytes(&self, with_values: bool, with_metadata: bool) -> usize {
        read::bytes(&self.place, with_values, with_metadata)
    }

    /// Its vector's components.
    pub fn components(&self) -> &[f32] {
        self.place.row().vector
    }

    /// Its sparse vector, if it has one.
    pub fn sparse(&self) -> Option<SparseVector> {
        SparseVector::stored(self.place.row().sparse)
    }

    /// The order of results: nearest first; equals by namespace number, then by id.
    pub fn cmp_rank(&self, other: &Self) -> std::cmp::Ordering {
        let key = |hit: &Self| (hit.distance, hit.namespace.id());
        key(self).cmp(&key(other)).then_with(|| self.place.id().cmp(other.place.id()))
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
    /// Whether it went over rows that are to have a graph.
    pub(crate) met_many: bool,
}

/// What a shard's searches have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SearchSettings {
    pub(crate) metric: Metric,
    pub(crate) scan_ms_max: usize,
    /// Rows that are to have a graph.
    pub(crate) graph_rows_min: u32,
    /// What uses are noted with, where memory has a limit.
    pub(crate) tick: Option<u32>,
}

/// What every step of one search needs.
struct Search<'a> {
    settings: SearchSettings,
    scorer: RowScorer<'a>,
    query: Query<'a>,
    stop: &'a dyn Fn() -> bool,
    work: Work,
    complete: bool,
    met_many: bool,
    hits: Vec<Hit>,
    codes: &'a OnceLock<CodedQuery>,
    /// How far results may be, by what was found in this shard; `None` where all of it lies in one layer.
    bound: Option<Bound>,
    /// What is noted for who asks how; nothing usually.
    recorder: Option<Recorder<'a>>,
}

/// Searches a snapshot. `stop` is asked every thousand rows or so.
pub(crate) fn search(
    state: &Snapshot,
    settings: SearchSettings,
    scope: Scope<'_>,
    query: Query<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Found, ShardError> {
    let scorer = RowScorer {
        dense: query.vector.map(|vector| QueryScorer::new(settings.metric, vector.as_slice())),
        sparse: query.sparse.map(SparseVector::as_ref),
        required: query.required,
    };
    let (work, hits, own_codes) = (Work::default(), Vec::new(), OnceLock::new());
    let codes = query.shared.map_or(&own_codes, SharedSearch::codes);
    let bound = (state.layers.len() > 1).then(|| Bound::new(query.top_k.get()));
    let recorder = query.explain.map(Recorder::new);
    let mut search = Search {
        settings,
        scorer,
        query,
        stop,
        work,
        complete: true,
        met_many: false,
        hits,
        codes,
        bound,
        recorder,
    };
    search.memtable(state, scope);
    for view in &state.layers {
        search.layer(view, scope);
    }
    let Search { mut hits, work, complete, met_many, recorder, .. } = search;
    hits.sort_unstable_by(Hit::cmp_rank);
    hits.truncate(query.top_k.get());
    let explanation = recorder.map(|recorder| Box::new(recorder.into_explanation(query.effort)));
    Ok(Found { hits, work, complete, explanation, met_many })
}

/// Refuses a query of another shape than the shard's: an index has dense vectors and may add sparse ones if their scores
/// can be added, or it has sparse ones alone.
pub(crate) fn check_query(query: Query<'_>, shape: ShardShape) -> Result<(), Invalid> {
    let given = query.vector.map_or(0, |vector| vector.as_slice().len());
    if given != shape.dim.as_usize() {
        let problem =
            format!("Vector dimension {given} does not match the dimension of the index {}", shape.dim);
        return Err(Invalid::new("vector", problem));
    }
    match query.sparse {
        Some(_) if shape.metric != Metric::DotProduct => Err(Invalid::new(
            "sparse_vector",
            format!("is for the metric dotproduct, the index has {}", shape.metric),
        )),
        None if shape.dim.is_none() => {
            Err(Invalid::new("sparse_vector", "is missing: the index has sparse vectors only"))
        }
        None if !query.required.is_empty() => Err(Invalid::new("match_terms", "needs a sparse vector")),
        _ => Ok(()),
    }
}

impl<'a> Search<'a> {
    /// The query with what is known of it by now; `None` of a sparse one.
    fn dense_query(&self) -> Option<DenseQuery<'a>> {
        let query = |vector: &'a Vector| DenseQuery::new(vector.as_slice(), self.codes);
        self.query.vector.map(|vector| DenseQuery { bound: self.bound(), ..query(vector) })
    }

    /// How far results may be, by what was found so far in this shard and in those whose results have arrived.
    fn bound(&self) -> Distance {
        let here = self.bound.as_ref().map_or(Distance::FARTHEST, Bound::get);
        here.min(self.query.shared.map_or(Distance::FARTHEST, SharedSearch::bound))
    }

    /// Notes how far the records of one place are that may be results.
    fn note_found(&self, distances: impl Iterator<Item = Distance>) {
        if let Some(bound) = &self.bound {
            bound.add(distances);
        }
    }
}

impl Search<'_> {
    fn memtable(&mut self, state: &Snapshot, scope: Scope<'_>) {
        self.part_begins();
        let mut rows = 0;
        let mut search = |tail: &Tail| {
            rows += tail.records.size() as u64;
            self.tail(tail);
        };
        match scope {
            Scope::All | Scope::AllBut(_) => state.memtable.tails().for_each(search),
            Scope::Namespaces(namespaces) => {
                let tails = namespaces.iter().filter_map(|namespace| state.memtable.tail(namespace.id()));
                tails.for_each(&mut search);
            }
        }
        self.memtable_ends(rows);
    }

    fn tail(&mut self, tail: &Tail) {
        self.note_way(Way::MemtableScan);
        let mut passed = 0;
        let mut best: BestK<(Distance, &str)> = BestK::new(self.query.top_k.get());
        for (visited, stored) in rows_passing(tail, self.query.filter).enumerate() {
            if visited % 1024 == 1023 && (self.stop)() {
                self.complete = false;
                break;
            }
            passed += 1;
            let row = stored.row();
            if !self.scorer.wants(row.sparse) {
                continue;
            }
            best.push((self.scorer.distance(&row), row.id));
            self.work.distances += 1;
        }
        if self.query.filter.is_some() {
            let began_us = self.filter_begins();
            self.filter_ends(began_us, passed);
        }
        let found = best.into_sorted();
        self.note_found(found.iter().map(|one| one.0));
        for (distance, id) in found {
            if let Some(stored) = tail.records.get(id) {
                let place = Place::Memtable(Arc::clone(stored));
                self.hits.push(Hit { namespace: tail.namespace.clone(), distance, place });
            }
        }
    }

    fn is_stopped(&mut self) -> bool {
        if self.complete && (self.stop)() {
            self.complete = false;
        }
        !self.complete
    }
}

impl Scope<'_> {
    /// Whether it is the shard as a whole, or most of it.
    pub(crate) const fn is_whole(&self) -> bool {
        matches!(self, Self::All | Self::AllBut(_))
    }

    /// The state without what is left out.
    pub(crate) fn seen_in(&self, state: Arc<Snapshot>) -> Arc<Snapshot> {
        match self {
            Self::AllBut(left_out) => state.without(left_out).map_or(state, Arc::new),
            Self::All | Self::Namespaces(_) => state,
        }
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

//! Search: a snapshot, a plan per namespace by what is cheapest, and one merge. Holds no lock.

mod coded;
mod explain;
pub(crate) mod filtering;
mod layers;
mod plan;
pub(crate) mod read;
mod scorer;
mod sparse;
mod walk;

pub(crate) use plan::is_walk_chosen;

use crate::{
    Found, Hit, Query, Scope, ShardShape, SharedSearch, Way,
    rows::{
        memtable::Tail,
        snapshot::{Place, Snapshot},
    },
};
use explain::Recorder;
use filtering::rows_passing;
use pinyon_distance::QueryScorer;
use pinyon_index::{Bound, CodedQuery, DenseQuery, TopK as BestK, Work};
use pinyon_types::{Distance, Invalid, Metric, SparseVector, Vector};
use scorer::RowScorer;
use std::sync::{Arc, OnceLock};

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

/// What a search found, and what the shard learns from it.
pub(crate) struct Searched {
    pub(crate) found: Found,
    /// Whether it went over rows that are to have a graph.
    pub(crate) met_many: bool,
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
) -> Searched {
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
    Searched { found: Found { hits, work, complete, explanation }, met_many }
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
                let record = Place::Memtable(Arc::clone(stored)).located();
                self.hits.push(Hit::new(tail.namespace.clone(), distance, record));
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

/// The state without what a scope leaves out.
pub(crate) fn seen_in(scope: Scope<'_>, state: Arc<Snapshot>) -> Arc<Snapshot> {
    match scope {
        Scope::AllBut(left_out) => state.without(left_out).map_or(state, Arc::new),
        Scope::All | Scope::Namespaces(_) => state,
    }
}

//! Graphs of large namespaces and of whole segments: loaded from the file beside their segment, or built in the background from
//! sealed rows and tested on those rows, then attached to their segment and kept. Until one is there, and wherever one does not
//! pass its test, scans answer.

mod inherit;
mod kept;
mod layout;

pub(crate) use inherit::{Inherited, inherit, inherit_files};
pub(crate) use kept::{remove_of, warn_left};
pub(crate) use layout::{is_graph_file_name, segment_of};

use crate::{
    GraphEngine, ShardOptions, Step,
    codes::block_of,
    part::{Part, Span},
    segment::Segment,
    shard::Inner,
};
use kept::{Place, Verdict};
use pinyon_index::{
    Beginning, Calibration, CodeGraph, CodedRows, Graph, GraphError, GraphOptions, HnswRsGraph, SelfTest,
    calibrate,
};
use pinyon_types::{Effort, SegmentId};
use std::sync::Arc;

/// Links per row and effort of construction: the yardstick's usual settings (RUST-ANN's comparison used the same).
pub(crate) const GRAPH_OPTIONS: GraphOptions = GraphOptions { m: 16, ef_construction: 200 };
/// More than these of the rows that codes call nearest change no result of ten (RUST-ANN, section 2).
const RESCORED_MIN: usize = 30;
/// How the effort grows as the share of wanted rows falls: less than in proportion, because the wanted ones among the nearest
/// are found as surely as the nearest are. On 100,000 embeddings half of the rows took 1.55 times the effort.
const SHARE_EXPONENT: f64 = 0.65;
/// The share of a segment's rows from which on a namespace is searched by the segment's graph.
const NEARLY_ALL: f64 = 0.8;
/// Seed of the self-test's sample: the same rows give the same calibration.
const SELF_TEST_SEED: u64 = 0x5eed;
/// Seed of the order in which rows are put into a graph.
const ORDER_SEED: u64 = 0x6f72;

/// A graph with the effort that its self-test found, or the note that none is fit.
#[derive(Debug, Clone)]
pub(crate) struct GraphEntry {
    fit: Option<(Arc<dyn Graph>, usize)>,
}

impl GraphEntry {
    pub(crate) fn bytes(&self) -> usize {
        self.fit.as_ref().map_or(0, |(graph, _)| graph.bytes())
    }

    pub(crate) fn is_fit(&self) -> bool {
        self.fit.is_some()
    }

    fn graph(&self) -> Option<&dyn Graph> {
        self.fit.as_ref().map(|(graph, _)| &**graph)
    }

    /// The graph and the `ef` of a walk; `None` where the other way is cheaper.
    pub(crate) fn plan(&self, walk: Walk, rows_per_effort: usize) -> Option<(&dyn Graph, usize)> {
        let (graph, ef_for_ten) = self.fit.as_ref()?;
        let Walk { k, expected, wanted_share, rows_otherwise, effort } = walk;
        let for_expected = *ef_for_ten as f64 * effort_share(expected);
        let ef = (for_expected / wanted_share.powf(SHARE_EXPONENT)).ceil() as usize;
        let ef_min = (3 * expected).max(2 * k) as f64 / wanted_share;
        let ef = effort.scaled(ef.max(ef_min.ceil() as usize), k);
        (ef.saturating_mul(rows_per_effort) < rows_otherwise).then_some((&**graph, ef))
    }
}

/// The effort for so many results, as a share of that for the ten of the self-test. More need more in proportion. Fewer need
/// less, but never little, because finding the place costs most: on embeddings of texts the nearest reached 0.992 with
/// 0.55 to 0.65 of the effort, the four nearest with 0.65.
fn effort_share(results: usize) -> f64 {
    let tenths = results as f64 / 10.0;
    if tenths > 1.0 { tenths } else { (0.4 * tenths).mul_add(tenths, 0.6) }
}

/// What a walk is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    /// Results.
    pub(crate) k: usize,
    /// How many of them are expected to be here.
    pub(crate) expected: usize,
    /// The share of the graph's rows that is alive and passes.
    pub(crate) wanted_share: f64,
    /// The other way costs as much as scanning the codes of so many rows.
    pub(crate) rows_otherwise: usize,
    /// How hard to try.
    pub(crate) effort: Effort,
}

impl Walk {
    /// How many of the nearest rows matter: among so many are those that will be rescored.
    pub(crate) fn settled(self) -> usize {
        (self.rescored() as f64 / self.wanted_share).ceil() as usize
    }

    /// How many of the wanted rows that a walk found have their distances computed from the vectors.
    pub(crate) fn rescored(self) -> usize {
        let usual = (3 * self.expected).max(self.k).max(RESCORED_MIN);
        self.effort.capped(self.effort.scaled(usual, self.k), self.k)
    }
}

/// The rows that a graph is of.
struct Site<'a> {
    inner: &'a Inner,
    id: SegmentId,
    segment: &'a Segment,
    span: Span,
}

/// Loads or builds the next missing graph.
pub(crate) fn build_next(inner: &Inner, pool: &rayon::ThreadPool, stop: &dyn Fn() -> bool) -> Step {
    let state = inner.snapshot.load_full();
    let missing = state.layers.iter().find_map(|view| {
        let segment = view.layer.segment()?;
        let lacks_graph = |span: &Span| {
            is_wanted(&inner.options, span, segment.len(), segment.inherited().had_graph(span.part))
                && segment.graph(span.part).is_none()
                && has_room(inner, segment, span)
        };
        let span = Span::all(segment).find(lacks_graph)?;
        Some(Site { inner, id: view.layer.id, segment, span })
    });
    let Some(site) = missing else { return Step::Idle };
    let is_useless = || stop() || inner.snapshot.load().layer(site.id).is_none();
    match inner.options.graph {
        GraphEngine::HnswRs => site.build_hnsw_rs(pool, &is_useless),
        GraphEngine::Codes => site.load_or_build(pool, &is_useless),
    }
}

/// Whether a part of a segment of so many rows is to have a graph. What had one before a merge keeps one down to half of the rows
/// that the first takes: a tenant whose size goes up and down around that would lose it at one merge and build it after the next.
pub(crate) fn is_wanted(options: &ShardOptions, span: &Span, rows: u32, had_graph: bool) -> bool {
    let rows_min = if had_graph { options.graph_rows_min / 2 } else { options.graph_rows_min };
    span.len() >= rows_min && !is_nearly_all(options, span, rows)
}

/// Whether a namespace makes up nearly all of a segment: it needs no graph beside that of the segment.
fn is_nearly_all(options: &ShardOptions, span: &Span, rows: u32) -> bool {
    options.memory.is_none()
        && span.part != Part::Whole
        && span.len() < rows
        && f64::from(span.len()) >= f64::from(rows) * NEARLY_ALL
}

/// Whether the limit on memory has room for a part's graph, and its codes are there; takes the room if so.
fn has_room(inner: &Inner, segment: &Segment, span: &Span) -> bool {
    let (dim, rows) = (inner.shape.dim.as_usize(), span.len() as usize);
    let bytes = CodeGraph::memory_for(inner.shape.metric, dim, rows, GRAPH_OPTIONS);
    inner.options.memory.is_none()
        || (segment.codes(span.part).is_some() && inner.may_take(segment, span, bytes))
}

impl Site<'_> {
    /// Our own graph; none where there are no codes to walk on.
    fn load_or_build(&self, pool: &rayon::ThreadPool, stop: &dyn Fn() -> bool) -> Step {
        // Taken in any case: what is not needed now never will be.
        let beginning = self.segment.inherited().take(self.span.part);
        let Some(Some(coded)) = self.segment.codes(self.span.part) else {
            return self.attach(None, Step::BuiltGraph);
        };
        let place = Place::new(self, &coded);
        if let Some(verdict) = place.load() {
            return self.attach(fit(verdict), Step::LoadedGraph);
        }
        match self.build(&coded, beginning, pool, stop) {
            Ok(verdict) => {
                // Searches need not wait for the disk.
                let step = self.attach(fit(verdict.clone()), Step::BuiltGraph);
                place.keep(&verdict);
                step
            }
            Err(error) => self.give_up(&error, stop),
        }
    }

    /// Builds and tests a graph; from nothing if what it began with spoiled it.
    fn build(
        &self,
        coded: &CodedRows,
        beginning: Option<Beginning>,
        pool: &rayon::ThreadPool,
        stop: &dyn Fn() -> bool,
    ) -> Result<Verdict, GraphError> {
        let inherited = beginning.as_ref().map(Beginning::sound_rows);
        let codes = Arc::clone(coded.bytes_codes());
        let (graph, work) = CodeGraph::build_from(beginning, codes, GRAPH_OPTIONS, ORDER_SEED, stop, pool)?;
        let (shard, rows, distances) = (self.inner.shape.shard.get(), self.span.len(), work.code_distances);
        tracing::info!(shard, rows, inherited = inherited.unwrap_or_default(), distances, "graph built");
        match self.calibrate(&graph, stop)? {
            None if inherited.is_some() => self.build(coded, None, pool, stop),
            effort => Ok(effort.map(|effort| (Arc::new(graph), effort))),
        }
    }

    fn build_hnsw_rs(&self, pool: &rayon::ThreadPool, stop: &dyn Fn() -> bool) -> Step {
        let (block, metric) = (block_of(self.segment, self.span.slots.clone()), self.inner.shape.metric);
        let built = HnswRsGraph::build(block, metric, GRAPH_OPTIONS, stop, pool);
        match built.and_then(|graph| Ok((self.calibrate(&graph, stop)?, graph))) {
            Ok((effort, graph)) => {
                let graph: Arc<dyn Graph> = Arc::new(graph);
                self.attach(effort.map(|effort| (graph, effort)), Step::BuiltGraph)
            }
            Err(error) => self.give_up(&error, stop),
        }
    }

    fn attach(&self, fit: Option<(Arc<dyn Graph>, usize)>, step: Step) -> Step {
        self.segment.attach_graph(self.span.part, &GraphEntry { fit });
        step
    }

    /// A build that was stopped is tried again; any other would fail again.
    fn give_up(&self, error: &GraphError, stop: &dyn Fn() -> bool) -> Step {
        if stop() {
            return Step::Stopped;
        }
        let shard = self.inner.shape.shard.get();
        tracing::warn!(shard, error = %error, "graph not built, scans go on");
        self.attach(None, Step::BuiltGraph)
    }

    /// The effort that a graph needs; `None` if none tried is enough.
    fn calibrate(&self, graph: &dyn Graph, stop: &dyn Fn() -> bool) -> Result<Option<usize>, GraphError> {
        let (shape, options) = (self.inner.shape, &self.inner.options);
        let test = SelfTest { metric: shape.metric, recall_min: options.recall_min, seed: SELF_TEST_SEED };
        match calibrate(graph, block_of(self.segment, self.span.slots.clone()), test, stop) {
            Calibration::Fit { ef, .. } => Ok(Some(ef)),
            Calibration::Unfit { recall, .. } => {
                let shard = shape.shard.get();
                tracing::warn!(shard, recall, "graph misses its recall, scans go on");
                Ok(None)
            }
            Calibration::Stopped => Err(GraphError::Stopped),
        }
    }
}

fn fit(verdict: Verdict) -> Option<(Arc<dyn Graph>, usize)> {
    verdict.map(|(graph, effort)| (graph as Arc<dyn Graph>, effort))
}

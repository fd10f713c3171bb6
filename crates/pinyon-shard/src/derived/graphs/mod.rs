//! Graphs of large namespaces and of whole segments: loaded from the file beside their segment, or built in the background from
//! sealed rows and tested, then attached to their segment and kept. Until one is there scans answer, and where one misses the recall
//! that is demanded they do as long as they take no longer than is bearable.

mod built;
mod inherit;
mod inherited;
mod kept;
mod layout;
mod retest;

pub(crate) use built::{Built, GraphEntry, Walk};
pub(crate) use inherit::{inherit, inherit_files};
pub(crate) use inherited::Inherited;
pub use layout::KeptTest;
pub(crate) use retest::retest_next;

use crate::{
    GraphEngine, Prices, ShardOptions, Step,
    derived::{
        codes::block_of,
        price::{Price, rows_scanned},
    },
    inner::Inner,
    rows::{part::Part, segment::Segment, span::Span},
};
use kept::Place;
use pinyon_index::{
    Asked, Beginning, Building, CodeGraph, CodedRows, Graph, GraphError, GraphOptions, GraphTest, HeldOut,
    HnswRsGraph, RowBlock, SelfTest, calibrate, measure_cost,
};
use pinyon_types::SegmentId;
use std::sync::Arc;

/// Links per row and effort of construction: the yardstick's usual settings (RUST-ANN's comparison used the same).
pub(crate) const GRAPH_OPTIONS: GraphOptions = GraphOptions { m: 16, ef_construction: 200 };
/// The share of a segment's rows from which on a namespace is searched by the segment's graph.
const NEARLY_ALL: f64 = 0.8;
/// Seed of the self-test's sample: the same rows give the same calibration.
const SELF_TEST_SEED: u64 = 0x5eed;
/// Rows that are put in last, so that the graph is tested with them before.
const HELD_OUT: usize = 256;
/// Seed of the order in which rows are put into a graph.
const ORDER_SEED: u64 = 0x6f72;

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
    !options.limits_parts()
        && span.part != Part::Whole
        && span.len() < rows
        && f64::from(span.len()) >= f64::from(rows) * NEARLY_ALL
}

/// Whether the limit on memory has room for a part's graph, and there are codes to walk on, or none to wait for; takes the room if so.
fn has_room(inner: &Inner, segment: &Segment, span: &Span) -> bool {
    let (dim, rows) = (inner.shape.dim.as_usize(), span.len() as usize);
    let bytes = CodeGraph::memory_for(inner.shape.metric, dim, rows, GRAPH_OPTIONS);
    let codes = segment.codes(span.part);
    let has_bytes = codes.as_ref().is_some_and(|codes| codes.has_bytes());
    (has_bytes || (codes.is_none() && !inner.options.limits_parts())) && inner.may_take(segment, span, bytes)
}

impl<'a> Site<'a> {
    /// Our own graph; none where there are no codes to walk on.
    fn load_or_build(&self, pool: &rayon::ThreadPool, stop: &dyn Fn() -> bool) -> Step {
        // Taken in any case: what is not needed now never will be.
        let beginning = self.segment.inherited().take(self.span.part);
        let Some(coded) = self.segment.codes(self.span.part) else {
            return self.attach(None, Step::BuiltGraph);
        };
        if !coded.has_bytes() {
            // Dropped since they were looked at, and only bits came back.
            return Step::Stopped;
        }
        let place = Place::new(self, &coded);
        if let Some(kept) = place.load() {
            return self.attach(Some(kept), Step::LoadedGraph);
        }
        match self.build(&coded, beginning, pool, stop) {
            Ok((graph, test)) => {
                let built = self.built(Arc::clone(&graph) as Arc<dyn Graph>, test);
                // Searches need not wait for the disk.
                let step = self.attach(Some(built.clone()), Step::BuiltGraph);
                place.keep(&graph, &built);
                step
            }
            Err(error) => self.give_up(&error, stop),
        }
    }

    /// Builds and tests a graph; once more from nothing if what it began with may have spoiled it.
    fn build(
        &self,
        coded: &CodedRows,
        beginning: Option<Beginning>,
        pool: &rayon::ThreadPool,
        stop: &dyn Fn() -> bool,
    ) -> Result<(Arc<CodeGraph>, GraphTest), GraphError> {
        let inherited = beginning.as_ref().map(Beginning::sound_rows);
        let codes = Arc::clone(coded.bytes_codes());
        let order = (ORDER_SEED, HELD_OUT);
        let building = Building::start(beginning, codes, GRAPH_OPTIONS, order, stop, pool)?;
        let test = self.calibrate(building.graph(), building.held_out(), None, stop)?;
        let (graph, work) = building.finish(stop, pool)?;
        let (shard, rows, distances) = (self.inner.shape.shard.get(), self.span.len(), work.code_distances);
        tracing::info!(shard, rows, inherited = inherited.unwrap_or_default(), distances, "graph built");
        if inherited.is_some() && !test.is_enough {
            return self.build(coded, None, pool, stop);
        }
        Ok((Arc::new(graph), test))
    }

    fn build_hnsw_rs(&self, pool: &rayon::ThreadPool, stop: &dyn Fn() -> bool) -> Step {
        let (block, metric) = (self.block(), self.inner.shape.metric);
        let built = HnswRsGraph::build(block, metric, GRAPH_OPTIONS, stop, pool);
        match built.and_then(|graph| Ok((self.calibrate(&graph, HeldOut::default(), None, stop)?, graph))) {
            Ok((test, graph)) => self.attach(Some(self.built(Arc::new(graph), test)), Step::BuiltGraph),
            Err(error) => self.give_up(&error, stop),
        }
    }

    fn block(&self) -> RowBlock<'a> {
        block_of(self.segment, self.span.slots.clone())
    }

    fn built(&self, graph: Arc<dyn Graph>, test: GraphTest) -> Built {
        let questions = match test.recall.asked {
            Asked::Questions => self.inner.questions.count(self.asked_as()),
            Asked::Probes => 0,
        };
        let price = self.price(&*graph, test.ef);
        Built { graph, test, questions, since_us: self.inner.now_us(), price }
    }

    /// What walks cost beside scans; the same on every machine where nobody tells the time.
    fn price(&self, graph: &dyn Graph, ef: usize) -> Price {
        let prices = self.inner.options.prices;
        let coded = self.segment.codes(self.span.part).filter(|_| prices == Prices::Measured);
        let clock = self.inner.options.clock.as_deref();
        let measured = coded.as_deref().zip(clock).and_then(|(coded, clock)| {
            let rows = (self.block(), coded);
            measure_cost((graph, ef), rows, self.inner.shape.metric, &self.questions(), clock)
        });
        Price::new(
            (prices, self.inner.options.graph),
            measured,
            rows_scanned(coded.as_deref(), self.span.len(), None),
        )
    }

    fn attach(&self, built: Option<Built>, step: Step) -> Step {
        self.segment.attach_graph(self.span.part, &GraphEntry::new(built));
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

    /// The effort that a graph needs, by what people asked of its rows or else by probes.
    fn calibrate(
        &self,
        graph: &dyn Graph,
        held_out: HeldOut<'_>,
        before: Option<GraphTest>,
        stop: &dyn Fn() -> bool,
    ) -> Result<GraphTest, GraphError> {
        let (shape, recall_min) = (self.inner.shape, self.inner.options.recall_min);
        let (codes, questions) = (self.segment.codes(self.span.part), self.questions());
        let (metric, seed) = (shape.metric, SELF_TEST_SEED);
        let test = SelfTest { metric, recall_min, seed, questions: &questions, held_out, before };
        let found =
            calibrate(graph, (self.block(), codes.as_deref()), test, stop).ok_or(GraphError::Stopped)?;
        let GraphTest { ef, recall, is_enough } = found;
        let (shard, rows) = (shape.shard.get(), self.span.len());
        if is_enough {
            tracing::info!(
                shard,
                rows,
                ef,
                recall = recall.mean,
                queries = recall.queries,
                "graph calibrated"
            );
        } else {
            tracing::warn!(
                shard,
                rows,
                ef,
                recall = recall.mean,
                lower = recall.lower,
                recall_min,
                queries = recall.queries,
                "graph is not sure to reach its recall; scans answer where they are bearable"
            );
        }
        Ok(found)
    }

    /// What people asked of these rows.
    fn questions(&self) -> Vec<Vec<f32>> {
        self.inner.questions.of(self.asked_as())
    }

    /// The part under which most questions about these rows are kept: of a segment that all or nearly all belongs to one namespace those
    /// about the namespace are about all, and the other way round.
    fn asked_as(&self) -> Part {
        let namespaces = self.segment.namespaces();
        let is_like_all = |span: &Span| {
            namespaces.len() == 1 || is_nearly_all(&self.inner.options, span, self.segment.len())
        };
        let largest = namespaces.iter().map(Span::of).max_by_key(Span::len).filter(is_like_all);
        let Some(largest) = largest.filter(|span| [span.part, Part::Whole].contains(&self.span.part)) else {
            return self.span.part;
        };
        let questions = &self.inner.questions;
        if questions.count(Part::Whole) > questions.count(largest.part) { Part::Whole } else { largest.part }
    }
}

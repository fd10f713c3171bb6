//! Graphs of large namespaces: built in the background from sealed rows, tested on those rows, then attached to
//! their segment. Until one is there, and wherever one does not pass its test, scans answer.

use crate::{Step, layer::NamespaceRows, segment::Segment, shard::Inner};
use pinyon_index::{Calibration, Graph, GraphOptions, HnswRsGraph, RowBlock, SelfTest, calibrate};
use pinyon_types::SlotId;
use std::sync::Arc;

/// Links per row and effort of construction: the yardstick's usual settings (RUST-ANN's comparison used the same).
const GRAPH_OPTIONS: GraphOptions = GraphOptions { m: 16, ef_construction: 200 };
/// Seed of the self-test's sample: the same rows give the same calibration.
const SELF_TEST_SEED: u64 = 0x5eed;
/// A graph with the effort that its self-test found, or the note that none is fit.
#[derive(Debug, Clone)]
pub(crate) struct GraphEntry {
    fit: Option<(Arc<dyn Graph>, usize)>,
    rows: usize,
}

impl GraphEntry {
    pub(crate) fn bytes(&self) -> usize {
        self.fit.as_ref().map_or(0, |(graph, _)| graph.bytes())
    }

    pub(crate) fn is_fit(&self) -> bool {
        self.fit.is_some()
    }

    /// The graph and the effort of a walk for `k` results when a share of the rows is dead; `None` where a scan is
    /// the better answer.
    pub(crate) fn plan(
        &self,
        k: usize,
        dead_share: f64,
        rows_per_effort: usize,
    ) -> Option<(&dyn Graph, usize)> {
        let (graph, ef_for_ten) = self.fit.as_ref()?;
        // The self-test measured ten results; more of them need more effort in proportion, dead rows likewise.
        let ef = (*ef_for_ten as f64 * (k as f64 / 10.0).max(1.0) / (1.0 - dead_share)).ceil() as usize;
        let ef = ef.max(2 * k);
        (ef * rows_per_effort < self.rows).then_some((&**graph, ef))
    }
}

/// Builds the next missing graph.
pub(crate) fn build_next(inner: &Inner, pool: &rayon::ThreadPool, stop: &dyn Fn() -> bool) -> Step {
    if inner.shape.dim.is_none() {
        return Step::Idle;
    }
    let state = inner.snapshot.load_full();
    let missing = state.layers.iter().find_map(|view| {
        let segment = view.layer.segment()?;
        let lacks_graph = |entry: &&NamespaceRows| {
            entry.len() >= inner.options.graph_rows_min && segment.graph(entry.namespace.id()).is_none()
        };
        Some((view.layer.id, segment, segment.namespaces().iter().find(lacks_graph)?))
    });
    let Some((id, segment, entry)) = missing else { return Step::Idle };
    let merged_away = || inner.snapshot.load().layer(id).is_none();
    match build(inner, segment, entry, pool, &|| stop() || merged_away()) {
        Some(graph) => {
            segment.attach_graph(entry.namespace.id(), &graph);
            Step::BuiltGraph
        }
        None => Step::Stopped,
    }
}

/// Builds and tests one graph; `None` when stopped.
fn build(
    inner: &Inner,
    segment: &Segment,
    entry: &NamespaceRows,
    pool: &rayon::ThreadPool,
    stop: &dyn Fn() -> bool,
) -> Option<GraphEntry> {
    let block = RowBlock {
        vectors: segment.vectors(entry.slots.clone()),
        inverse_norms: segment.inverse_norms(entry.slots.clone()),
        first_slot: SlotId::new(0),
    };
    let rows = entry.len() as usize;
    let unfit = GraphEntry { fit: None, rows };
    let graph = match HnswRsGraph::build(block, inner.shape.metric, GRAPH_OPTIONS, stop, pool) {
        Ok(graph) => graph,
        Err(_) if stop() => return None,
        Err(error) => {
            tracing::warn!(shard = inner.shape.shard.get(), error = %error, "graph not built, scans go on");
            return Some(unfit);
        }
    };
    let test = SelfTest {
        metric: inner.shape.metric,
        recall_min: inner.options.graph_recall_min,
        seed: SELF_TEST_SEED,
    };
    match calibrate(&graph, block, test) {
        Calibration::Fit { ef, .. } => Some(GraphEntry { fit: Some((Arc::new(graph), ef)), rows }),
        Calibration::Unfit { recall, .. } => {
            tracing::warn!(shard = inner.shape.shard.get(), recall, "graph misses its recall, scans go on");
            Some(unfit)
        }
    }
}

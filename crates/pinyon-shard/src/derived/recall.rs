//! How good the answers are that a shard gives, part by part: what answers there, the recall that its test found, and what it costs.

use crate::{
    Reason, ShardError, Step,
    derived::{
        codes,
        graphs::{Built, Walk},
        price::rows_scanned,
    },
    inner::Inner,
    rows::{layer::LayerView, part::Part, span::Span},
    search,
    upkeep::recover,
};
use pinyon_index::{CodedRows, Recall};
use pinyon_storage::io::SharedIo;
use pinyon_types::{Effort, SegmentId, TenantId};
use std::path::Path;

/// What answers a question for ten records without a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// A scan of vectors, which is exact.
    Vectors,
    /// A scan of codes.
    Codes,
    /// A walk of a graph.
    Graph,
}

impl Tier {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vectors => "vectors",
            Self::Codes => "codes",
            Self::Graph => "graph",
        }
    }
}

/// How good the answers of a part of a segment are.
#[derive(Debug, Clone, PartialEq)]
pub struct PartRecall {
    /// Whose rows; `None` of all rows of a segment of several namespaces, which questions across all of them are about.
    pub namespace: Option<TenantId>,
    /// In which segment.
    pub segment: SegmentId,
    /// Rows, dead ones among them.
    pub rows: u32,
    /// What answers.
    pub tier: Tier,
    /// The recall@10 that it was found to have; `None` where answers are exact.
    pub recall: Option<Recall>,
    /// The recall that is demanded.
    pub target: f64,
    /// Whether it is reached: of a graph as sure as its test is, of codes as measured.
    pub is_enough: bool,
    /// What an answer costs, in rows whose bits are scanned (about 3 ns each at 384 components).
    pub cost: usize,
    /// Candidates that a walk keeps.
    pub ef: Option<usize>,
    /// How many standard deviations below what bits say of a row's distance it is still looked at more closely.
    pub deviations: Option<f32>,
    /// Why a graph that there is does not answer, or does though it is not sure to reach the target.
    pub reason: Option<Reason>,
    /// When the codes or the graph were tested, in microseconds since 1970.
    pub since_us: Option<u64>,
}

impl PartRecall {
    /// What codes of the segments in a directory find: they are made and tested as after a start, in memory, and nothing is written. What
    /// graphs find stands in their files ([`crate::KeptTest`]).
    ///
    /// # Errors
    /// Files that do not read back.
    pub fn of_codes_in(io: &SharedIo, dir: &Path) -> Result<Vec<Self>, ShardError> {
        let Some(inner) = recover::open_to_look(io, dir)? else { return Ok(Vec::new()) };
        if !inner.shape.dim.is_none() {
            while codes::build_next(&inner, &|| false) == Step::BuiltCodes {}
        }
        Ok(collect(&inner))
    }
}

/// Every part that has codes or a graph.
pub(crate) fn collect(inner: &Inner) -> Vec<PartRecall> {
    let state = inner.snapshot.load_full();
    let of_layer = |view: &LayerView| -> Vec<PartRecall> {
        let Some(segment) = view.layer.segment() else { return Vec::new() };
        Span::all(segment).filter_map(|span| of_part(inner, view, &span)).collect()
    };
    state.layers.iter().flat_map(of_layer).collect()
}

fn of_part(inner: &Inner, view: &LayerView, span: &Span) -> Option<PartRecall> {
    let segment = view.layer.segment()?;
    let coded = segment.codes(span.part)?;
    let namespace = match span.part {
        Part::Namespace(id) => Some(view.layer.namespace_rows(id)?.namespace.name().clone()),
        Part::Whole => None,
    };
    let target = inner.options.recall_min;
    let by_codes = of_codes(&coded, view, span, target);
    let part = PartRecall { namespace, segment: view.layer.id, rows: span.len(), ..by_codes };
    let Some(built) = segment.graph(span.part).and_then(|graph| graph.built().cloned()) else {
        return Some(part);
    };
    Some(with_graph(part, &built, inner))
}

fn of_codes(coded: &CodedRows, view: &LayerView, span: &Span, target: f64) -> PartRecall {
    let test = coded.test();
    let is_used = coded.is_worth(RESULTS);
    let scanned = rows_scanned(Some(coded), span.len(), None);
    PartRecall {
        namespace: None,
        segment: view.layer.id,
        rows: span.len(),
        tier: if is_used { Tier::Codes } else { Tier::Vectors },
        recall: is_used.then_some(test.recall),
        target,
        is_enough: !is_used || test.recall.mean >= target,
        cost: if is_used { scanned } else { codes::VECTOR_COST * span.len() as usize },
        ef: None,
        deviations: coded.deviations(Effort::NORMAL).filter(|_| is_used),
        reason: None,
        since_us: Some(coded.since_us()).filter(|since| *since > 0),
    }
}

/// The same where a graph answers, or why it does not.
fn with_graph(part: PartRecall, built: &Built, inner: &Inner) -> PartRecall {
    let walk = Walk { k: RESULTS, expected: RESULTS, wanted_share: 1.0, effort: Effort::NORMAL };
    let (ef, options) = (built.ef(walk), &inner.options);
    let (cost, bearable) = (built.price.of_walk(ef), built.price.rows_in(options.scan_ms_max));
    let (is_chosen, reason) = search::is_walk_chosen((cost, built.test.is_enough), (part.cost, bearable));
    if !is_chosen {
        return PartRecall { reason, ..part };
    }
    PartRecall {
        tier: Tier::Graph,
        recall: Some(built.test.recall),
        is_enough: built.test.is_enough,
        cost,
        ef: Some(ef),
        deviations: None,
        reason,
        since_us: Some(built.since_us).filter(|since| *since > 0),
        ..part
    }
}

/// Results of the question that tests ask.
const RESULTS: usize = 10;

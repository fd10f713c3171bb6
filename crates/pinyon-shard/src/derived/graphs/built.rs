//! A graph and what it is worth: what searches need to know of it.

use crate::derived::price::Price;
use pinyon_index::{Graph, GraphTest};
use pinyon_types::Effort;
use std::sync::Arc;

/// Beyond these of the rows that codes call nearest hardly any is among ten results (RUST-ANN, section 2).
const RESCORED_MIN: usize = 30;
/// How the effort grows as the share of wanted rows falls: less than in proportion, because the wanted ones among the nearest
/// are found as surely as the nearest are. On 100,000 embeddings, where all rows had a recall of 0.9954 at an effort of 176, a half,
/// three tenths and a fifth of them, drawn by lot, had 0.9946 to 0.9962 with an exponent of 0.35 and 0.9956 to 0.9986 with 0.5.
const SHARE_EXPONENT: f64 = 0.4;

/// A graph with what its self-test found, or the note that none could be built.
#[derive(Debug, Clone)]
pub(crate) struct GraphEntry {
    built: Option<Built>,
}

/// A graph and what it is worth.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) graph: Arc<dyn Graph>,
    pub(crate) test: GraphTest,
    /// How many questions it was tested by, in this run.
    pub(crate) questions: usize,
    /// When it was tested, in microseconds since 1970; 0 if nobody told the time.
    pub(crate) since_us: u64,
    /// What it costs, on this machine.
    pub(crate) price: Price,
}

impl GraphEntry {
    pub(crate) const fn new(built: Option<Built>) -> Self {
        Self { built }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.built.as_ref().map_or(0, |built| built.graph.bytes())
    }

    pub(crate) const fn built(&self) -> Option<&Built> {
        self.built.as_ref()
    }
}

impl Built {
    /// The `ef` of a walk.
    pub(crate) fn ef(&self, walk: Walk) -> usize {
        let Walk { k, expected, wanted_share, effort } = walk;
        let for_expected = self.test.ef as f64 * effort_share(expected);
        let ef = (for_expected / wanted_share.powf(SHARE_EXPONENT)).ceil() as usize;
        let ef_min = (3 * expected).max(2 * k) as f64 / wanted_share;
        effort.scaled(ef.max(ef_min.ceil() as usize), k)
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
    /// How hard to try.
    pub(crate) effort: Effort,
}

impl Walk {
    /// How many of the nearest rows matter: among so many are those that will be rescored.
    pub(crate) fn settled(self) -> usize {
        let usual = (3 * self.expected).max(self.k).max(RESCORED_MIN);
        (self.effort.scaled(usual, self.k) as f64 / self.wanted_share).ceil() as usize
    }

    /// How many of the nearest a walk that holds `ef` of them may need for `k` that are wanted. Where rows that pass lie as all others do it
    /// takes `k` over their share; where it takes much more they lie elsewhere than the question, and the walk was not made for that: on
    /// 100,000 embeddings, the fifth of the rows that is farthest from one of them had a recall of 0.991 without this limit, 0.997 with it.
    pub(crate) fn kth_place_max(self, ef: usize) -> usize {
        let usual = (2 * self.k).max(RESCORED_MIN * 2 / 3) as f64;
        ((usual / self.wanted_share).ceil() as usize).min(ef * 2 / 3)
    }
}

//! What a merged segment has from the graphs of those it was merged from: until its own graphs are built, the links that they begin
//! with. A start in between finds nothing of it and builds from nothing.

use super::{GraphEntry, is_wanted};
use crate::{
    GraphEngine,
    layer::LayerView,
    part::{Part, Span},
    segment::Segment,
    shard::Inner,
};
use pinyon_index::Beginning;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// One over the share of a part's rows that a graph must know to be begun with: others save too little.
const KNOWN_PART_MIN: u64 = 4;

/// What parts of a segment have inherited.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    beginnings: Mutex<HashMap<Part, Beginning>>,
}

impl Inherited {
    pub(crate) fn keep(&self, part: Part, beginning: Beginning) {
        self.lock().insert(part, beginning);
    }

    /// Hands out a beginning: nobody needs it twice.
    pub(super) fn take(&self, part: Part) -> Option<Beginning> {
        self.lock().remove(&part)
    }

    #[cfg(test)]
    pub(crate) fn sound_rows(&self) -> Vec<usize> {
        self.lock().values().map(Beginning::sound_rows).collect()
    }

    /// A map of whole values cannot be left half changed, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, HashMap<Part, Beginning>> {
        self.beginnings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A graph among the inputs of a merge that rows of a part are in.
struct Ancestor<'a> {
    view: &'a LayerView,
    graph: GraphEntry,
    /// The slot of its first row.
    first: u32,
    /// Live rows of the part.
    rows: u64,
}

/// Keeps what the graphs of a merged segment will begin with. `slots_of` tells where the rows of an input are now, `u32::MAX` of
/// those that are not. Not under a limit on memory: this would not be counted, and is kept for as long as no graph is built.
pub(crate) fn inherit(
    inner: &Inner,
    inputs: &[LayerView],
    merged: &Segment,
    slots_of: impl Fn(&LayerView) -> Vec<u32>,
) {
    if inner.options.memory.is_some() || inner.options.graph != GraphEngine::Codes {
        return;
    }
    for span in Span::all(merged).filter(|span| is_wanted(&inner.options, span, merged.len())) {
        let Some(ancestor) = ancestor(inputs, &span) else { continue };
        let slots = slots_of(ancestor.view);
        let number = |row: u32| {
            let slot = slots[(ancestor.first + row) as usize];
            span.slots.contains(&slot).then(|| slot - span.slots.start)
        };
        let beginning =
            ancestor.graph.graph().and_then(|graph| graph.beginning(span.len() as usize, &number));
        if let Some(beginning) = beginning {
            merged.inherited().keep(span.part, beginning);
        }
    }
}

/// The graph that most rows of a part are in, if they are enough.
fn ancestor<'a>(inputs: &'a [LayerView], span: &Span) -> Option<Ancestor<'a>> {
    let with_graph = |view: &'a LayerView| {
        let segment = view.layer.segment()?;
        let own = Span::find(segment, span.part)?;
        let rows = view.live_rows(&own.slots);
        // A namespace that makes up nearly all of a segment has its rows in the graph of that.
        let mut spans = [own, Span::whole(segment)].into_iter();
        let (graph, first) = spans.find_map(|one| Some((segment.graph(one.part)?, one.slots.start)))?;
        graph.is_fit().then_some(Ancestor { view, graph, first, rows })
    };
    let largest = inputs.iter().filter_map(with_graph).max_by_key(|ancestor| ancestor.rows);
    largest.filter(|ancestor| ancestor.rows * KNOWN_PART_MIN >= u64::from(span.len()))
}

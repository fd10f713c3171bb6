//! What a merged segment has from the graphs of those it was merged from: that it is to have graphs as well, and until they are built
//! the links that they begin with. A start in between finds nothing of that: graphs are built from nothing, and only where there
//! are rows enough. Once they are built their files say the same.

use super::{is_nearly_all, is_wanted};
use crate::{
    ShardOptions,
    derived::files::{Kind, file_name},
    inner::Inner,
    rows::{layer::LayerView, segment::Segment, span::Span},
};
use pinyon_index::{Beginning, Graph};
use std::sync::Arc;

/// One over the share of a part's rows that a graph must know to be begun with: others save too little.
const KNOWN_PART_MIN: u64 = 4;

/// A graph among the inputs of a merge that rows of a part are in.
struct Ancestor<'a> {
    view: &'a LayerView,
    graph: Arc<dyn Graph>,
    /// The slot of its first row.
    first: u32,
    /// Live rows of the part.
    rows: u64,
}

/// Notes which graphs a merged segment is to have and what they will begin with. `slots_of` tells where the rows of an input are
/// now, `u32::MAX` of those that are not.
pub(crate) fn inherit(
    inner: &Inner,
    inputs: &[LayerView],
    merged: &Segment,
    slots_of: impl Fn(&LayerView) -> Vec<u32>,
) {
    for span in Span::all(merged).filter(|span| is_wanted(&inner.options, span, merged.len(), true)) {
        let Some(ancestor) = ancestor(&inner.options, inputs, &span) else { continue };
        // Links are not counted under a limit on memory, and would be kept for as long as there is no room for the graph.
        let has_room = !inner.options.limits_parts();
        let beginning = has_room.then(|| ancestor.beginning(&span, &slots_of(ancestor.view))).flatten();
        merged.inherited().keep(span.part, beginning);
    }
}

/// Notes for segments of an earlier run which graphs they had, by the names of files that lie beside them.
pub(crate) fn inherit_files(options: &ShardOptions, layers: &[LayerView], names: &[String]) {
    for view in layers {
        let Some(segment) = view.layer.segment() else { continue };
        let kept = Span::all(segment).filter(|span| {
            is_wanted(options, span, segment.len(), true)
                && names.contains(&file_name(Kind::Graph, span.part, view.layer.id))
        });
        kept.for_each(|span| segment.inherited().keep(span.part, None));
    }
}

impl Ancestor<'_> {
    /// What a graph of a part begins with, where the rows of the input are in these slots now.
    fn beginning(&self, span: &Span, slots: &[u32]) -> Option<Beginning> {
        let number = |row: u32| {
            let slot = slots[(self.first + row) as usize];
            span.slots.contains(&slot).then(|| slot - span.slots.start)
        };
        self.graph.beginning(span.len() as usize, &number)
    }
}

/// The graph that most rows of a part are in, if they are enough.
fn ancestor<'a>(options: &ShardOptions, inputs: &'a [LayerView], span: &Span) -> Option<Ancestor<'a>> {
    let with_graph = |view: &'a LayerView| {
        let segment = view.layer.segment()?;
        let own = Span::find(segment, span.part)?;
        let rows = view.live_rows(&own.slots);
        let shared = is_nearly_all(options, &own, segment.len()).then(|| Span::whole(segment));
        let mut spans = std::iter::once(own).chain(shared);
        let (graph, first) = spans.find_map(|one| Some((segment.graph(one.part)?, one.slots.start)))?;
        let graph = Arc::clone(&graph.built()?.graph);
        Some(Ancestor { view, graph, first, rows })
    };
    let largest = inputs.iter().filter_map(with_graph).max_by_key(|ancestor| ancestor.rows);
    largest.filter(|ancestor| ancestor.rows * KNOWN_PART_MIN >= u64::from(span.len()))
}

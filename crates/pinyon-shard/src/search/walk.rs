//! Walks of graphs.

use super::{Search, coded, layers::Best};
use crate::{
    graphs::{GraphEntry, Walk},
    layer::LayerView,
    part::{Part, Span},
    segment::Segment,
};
use pinyon_index::GraphRequest;
use pinyon_types::SlotId;
use roaring::RoaringBitmap;

/// Below this share of rows that are alive and wanted a walk would be spent on rows that do not count.
const WALKED_SHARE_MIN: f64 = 0.15;

/// Rows whose vectors are fetched ahead.
const ROWS_AHEAD: usize = 2;

/// A graph, and the slots of its rows.
struct Walked {
    graph: GraphEntry,
    first: u32,
    rows: u32,
}

impl Walked {
    fn slot_of(&self, row: SlotId) -> SlotId {
        SlotId::new(self.first + row.get())
    }
}

impl Search<'_> {
    /// Walks a graph that a part's rows are in, for some of them only if they are named (numbered from the part's first);
    /// returns false, having added nothing, where there is none, or another way is the better or the only one.
    pub(super) fn walk(
        &mut self,
        view: &LayerView,
        span: &Span,
        passing: Option<&RoaringBitmap>,
        best: &mut Best,
    ) -> bool {
        let (Some(segment), Some(query)) = (view.layer.segment(), self.dense_query()) else { return false };
        let Some(walked) = graph_of(segment, span) else { return false };
        let share = wanted_share(view, span, passing, walked.rows);
        if share < WALKED_SHARE_MIN {
            return false;
        }
        let (k, rows_otherwise) = (self.query.top_k.get(), coded::rows_scanned(view, span, passing));
        let expected = self.query.expected.min(k);
        let plan = Walk { k, expected, wanted_share: share, rows_otherwise, effort: self.query.effort };
        let graph = walked.graph.plan(plan, self.settings.graph_rows_per_effort);
        let Some((graph, ef)) = graph else { return false };
        let request = GraphRequest { k: ef, ef, settled: plan.settled() };
        let found = graph.search(query, request, &mut self.work);
        let is_wanted = |slot: SlotId| {
            let row = slot.get().wrapping_sub(span.slots.start);
            row < span.len() && view.is_live(slot) && passing.is_none_or(|rows| rows.contains(row))
        };
        let slots = found.rows.iter().map(|(distance, row)| (*distance, walked.slot_of(*row)));
        let Some(wanted) = wanted_of(slots, is_wanted, (k, plan.rescored()), ef) else { return false };
        self.note_walk(ef);
        self.rescore(segment, found.close(&wanted, k), best);
        true
    }

    fn rescore(&mut self, segment: &Segment, rows: &[(f32, SlotId)], best: &mut Best) {
        let block = segment.block(0..segment.len());
        for (place, (_, slot)) in rows.iter().enumerate() {
            if let (Some((_, next)), Some(scorer)) = (rows.get(place + ROWS_AHEAD), &self.scorer.dense) {
                scorer.fetch(block.vector(next.get() as usize));
            }
            let at = slot.get() as usize;
            best.push((self.scorer.of_vector(block.vector(at), block.inverse_norms[at]), *slot));
            self.work.distances += 1;
        }
    }
}

/// The part's own graph, or that of the segment.
fn graph_of(segment: &Segment, span: &Span) -> Option<Walked> {
    if let Some(graph) = segment.graph(span.part) {
        return Some(Walked { graph, first: span.slots.start, rows: span.len() });
    }
    Some(Walked { graph: segment.graph(Part::Whole)?, first: 0, rows: segment.len() })
}

/// The first of the slots that are wanted, as many as `most`, after a walk of effort `ef`; `None` where the `k` nearest are not among
/// them (QRY-3), or were found only at the end: then they have neighbours that were not found.
fn wanted_of(
    slots: impl Iterator<Item = (f32, SlotId)>,
    is_wanted: impl Fn(SlotId) -> bool,
    (k, most): (usize, usize),
    ef: usize,
) -> Option<Vec<(f32, SlotId)>> {
    let mut wanted = Vec::with_capacity(most);
    let mut kth_place = None;
    for (place, one) in slots.enumerate().filter(|(_, one)| is_wanted(one.1)).take(most) {
        wanted.push(one);
        if wanted.len() == k {
            kth_place = Some(place);
        }
    }
    (kth_place? <= ef * 2 / 3).then_some(wanted)
}

/// Which share of a graph's rows is alive and wanted.
fn wanted_share(view: &LayerView, span: &Span, passing: Option<&RoaringBitmap>, rows: u32) -> f64 {
    let live = view.live_rows(&span.slots) as f64;
    let passing_share = passing.map_or(1.0, |passing| passing.len() as f64 / f64::from(span.len()));
    live * passing_share / f64::from(rows)
}

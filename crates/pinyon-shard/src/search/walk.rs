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
        let (Some(segment), Some(vector)) = (view.layer.segment(), self.query.vector) else { return false };
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
        let found = graph.search(vector.as_slice(), request, &mut self.work);
        let is_wanted = |slot: SlotId| {
            let row = slot.get().wrapping_sub(span.slots.start);
            row < span.len() && view.is_live(slot) && passing.is_none_or(|rows| rows.contains(row))
        };
        let slot_of = |row: SlotId| SlotId::new(walked.first + row.get());
        let slots = found.rows.iter().map(|(distance, row)| (*distance, slot_of(*row))).enumerate();
        let wanted = slots.filter(|(_, (_, slot))| is_wanted(*slot)).take(plan.rescored());
        let (places, wanted): (Vec<usize>, Vec<(f32, SlotId)>) = wanted.unzip();
        // QRY-3, and: what is found only at the end of a walk has neighbours that were not found.
        if places.get(k - 1).is_none_or(|place| *place > ef * 2 / 3) {
            return false;
        }
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

/// Which share of a graph's rows is alive and wanted.
fn wanted_share(view: &LayerView, span: &Span, passing: Option<&RoaringBitmap>, rows: u32) -> f64 {
    let live = view.live_rows(&span.slots) as f64;
    let passing_share = passing.map_or(1.0, |passing| passing.len() as f64 / f64::from(span.len()));
    live * passing_share / f64::from(rows)
}

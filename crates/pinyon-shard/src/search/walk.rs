//! Walks of graphs.

use super::{Search, coded, layers::Best, plan::is_walk_chosen};
use crate::{
    Reason,
    derived::{
        graphs::{Built, Walk},
        price::rows_scanned,
    },
    rows::{layer::LayerView, part::Part, segment::Segment, span::Span},
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
    built: Built,
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
        let wanted_share = wanted_share(view, span, passing, walked.rows);
        if wanted_share < WALKED_SHARE_MIN {
            self.note_reason(Reason::FewRowsWanted);
            return false;
        }
        let k = self.query.top_k.get();
        let walk = Walk { k, expected: self.query.expected.min(k), wanted_share, effort: self.query.effort };
        let ef = walked.built.ef(walk);
        let coded = coded::of(view, span);
        if !self.is_chosen(&walked.built, ef, rows_scanned(coded.as_deref(), span.len(), passing)) {
            return false;
        }
        let graph = &*walked.built.graph;
        let found = graph.search(query, GraphRequest { k: ef, ef, settled: walk.settled() }, &mut self.work);
        let is_wanted = |row: SlotId| {
            let slot = walked.slot_of(row);
            let row = slot.get().wrapping_sub(span.slots.start);
            row < span.len() && view.is_live(slot) && passing.is_none_or(|rows| rows.contains(row))
        };
        let mut close = found.close(graph, k, is_wanted);
        // Where the k nearest are not among them fewer would be answered than there are (QRY-3); of those that were found only at the
        // end, or later than a walk is tested for, neighbours were not found.
        if close.kth_place.is_none_or(|place| place > walk.kth_place_max(ef)) {
            self.note_reason(Reason::WalkFoundTooFew);
            return false;
        }
        close.rows.truncate(self.query.effort.candidates_max_for(k));
        self.note_walk(ef, walked.built.test.recall);
        self.rescore(segment, &walked, &close.rows, best);
        true
    }

    /// Whether a walk of such an effort is the better way.
    fn is_chosen(&mut self, built: &Built, ef: usize, rows_scanned: usize) -> bool {
        let price = built.price;
        let walk = (price.of_walk(ef), built.test.is_enough);
        let (is_chosen, reason) =
            is_walk_chosen(walk, (rows_scanned, price.rows_in(self.settings.scan_ms_max)));
        if let Some(reason) = reason {
            self.note_reason(reason);
        }
        is_chosen
    }

    fn rescore(&mut self, segment: &Segment, walked: &Walked, rows: &[SlotId], best: &mut Best) {
        let block = segment.block(walked.first..walked.first + walked.rows);
        for (place, row) in rows.iter().enumerate() {
            if let (Some(next), Some(scorer)) = (rows.get(place + ROWS_AHEAD), &self.scorer.dense) {
                scorer.fetch(block.vector(next.get() as usize));
            }
            let at = row.get() as usize;
            let distance = self.scorer.of_vector(block.vector(at), block.inverse_norms[at]);
            best.push((distance, walked.slot_of(*row)));
            self.work.distances += 1;
        }
    }
}

/// The part's own graph, or that of the segment.
fn graph_of(segment: &Segment, span: &Span) -> Option<Walked> {
    let built = |part| segment.graph(part)?.built().cloned();
    if segment.graph(span.part).is_some() {
        return Some(Walked { built: built(span.part)?, first: span.slots.start, rows: span.len() });
    }
    Some(Walked { built: built(Part::Whole)?, first: 0, rows: segment.len() })
}

/// Which share of a graph's rows is alive and wanted.
fn wanted_share(view: &LayerView, span: &Span, passing: Option<&RoaringBitmap>, rows: u32) -> f64 {
    let live = view.live_rows(&span.slots) as f64;
    let passing_share = passing.map_or(1.0, |passing| passing.len() as f64 / f64::from(span.len()));
    live * passing_share / f64::from(rows)
}

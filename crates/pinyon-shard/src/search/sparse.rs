//! Search by sparse vectors in one namespace of a layer, with or without a dense part.

use super::{Search, Way, layers::Best};
use crate::rows::{
    layer::{LayerView, Rows},
    row::NamespaceRows,
    segment::Segment,
};
use pinyon_index::{CombinedRows, DensePart, ScanEnd, SparseRequest, Window, scan_combined, search_postings};
use pinyon_types::{Distance, SparseRef};
use roaring::RoaringBitmap;

/// One over the share of rows below which survivors of a filter are scored one by one.
const SURVIVORS_SHARE: u64 = 16;

impl Search<'_> {
    /// Adds the best rows of a namespace: all live ones, or those that passed a filter.
    pub(super) fn sparse_namespace(
        &mut self,
        view: &LayerView,
        entry: &NamespaceRows,
        query: SparseRef<'_>,
        passing: Option<&RoaringBitmap>,
        best: &mut Best,
    ) {
        let is_live = |slot: u32| match passing {
            Some(passing) => passing.contains(slot),
            None => !view.dead.contains(slot),
        };
        let are_few = |passing: &RoaringBitmap| passing.len() * SURVIVORS_SHARE < u64::from(entry.len());
        match (&view.layer.rows, passing) {
            (_, Some(passing)) if are_few(passing) => {
                self.note_way(Way::SurvivorsByVectors);
                self.score_each(view, passing.iter(), best);
            }
            (Rows::Frozen(_), _) => {
                self.note_way(Way::Combined);
                self.score_each(view, entry.slots.clone().filter(|slot| is_live(*slot)), best);
            }
            (Rows::Sealed(segment), _) => {
                let way = self.sparse_segment(segment, entry, query, &is_live, best);
                self.note_way(way);
            }
        }
    }

    /// Searches a segment's rows; returns the way that answered.
    fn sparse_segment(
        &mut self,
        segment: &Segment,
        entry: &NamespaceRows,
        query: SparseRef<'_>,
        is_live: &dyn Fn(u32) -> bool,
        best: &mut Best,
    ) -> Way {
        let (rows, lists) =
            (segment.sparse_rows(entry.slots.clone()), segment.posting_lists(entry.namespace.id()));
        let is_wanted = |slot: u32| is_live(slot) && self.scorer.wants(rows.row(slot));
        if self.scorer.dense.is_none() {
            let mut above_zero = Best::new(self.query.top_k.get());
            let request = SparseRequest { query, lists, rows };
            let end = search_postings(&request, &is_wanted, &mut above_zero, &mut self.work, self.stop);
            self.complete &= end == ScanEnd::Done;
            let is_enough = above_zero.worst().is_some_and(|(distance, _)| *distance < Distance::new(0.0));
            if is_enough || end == ScanEnd::Stopped {
                above_zero.into_sorted().into_iter().for_each(|item| best.push(item));
                return Way::Postings;
            }
            // QRY-3: rows that share nothing with the query score zero, and fill up what is missing.
        }
        let slots = entry.slots.clone();
        let part = |scorer| DensePart { block: segment.block(slots.clone()), scorer };
        let combined = CombinedRows { slots: slots.clone(), dense: self.scorer.dense.as_ref().map(part) };
        let window = Window::new(query, lists);
        let end = scan_combined(combined, window, &is_wanted, best, &mut self.work, self.stop);
        self.complete &= end == ScanEnd::Done;
        Way::Combined
    }
}

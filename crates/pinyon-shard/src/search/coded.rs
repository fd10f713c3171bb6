//! Searches on codes.

use super::{Search, layers::Best};
use crate::{
    layer::{LayerView, NamespaceRows},
    search::layers::row_block,
    segment::Segment,
};
use pinyon_index::{CodedQuery, CodedRows, ScanEnd, Wanted};
use roaring::RoaringBitmap;
use std::sync::Arc;

/// Survivors of a filter that are scored by their vectors: fewer would not pay for preparing the query.
const SURVIVORS_MIN: u64 = 64;
/// Reading a row's bits where they lie costs this many times less than reading the bytes of a row that lies anywhere.
const BITS_PER_BYTES: u64 = 30;

/// A namespace's codes in a layer.
pub(super) fn of(view: &LayerView, entry: &NamespaceRows) -> Option<Arc<CodedRows>> {
    view.layer.segment()?.codes(entry.namespace.id())?
}

impl Search<'_> {
    /// Scans a namespace's codes, of these rows only if some are named, which are alive; returns false, having added nothing,
    /// where there are none or vectors are the better way.
    pub(super) fn scan_coded(
        &mut self,
        view: &LayerView,
        entry: &NamespaceRows,
        slots: Option<&RoaringBitmap>,
        best: &mut Best,
    ) -> bool {
        let (segment, coded) = match (view.layer.segment(), of(view, entry)) {
            (Some(segment), Some(coded)) if coded.is_worth(self.query.top_k.get()) => (segment, coded),
            _ => return false,
        };
        let rows = u64::from(entry.len());
        match slots {
            Some(slots) if slots.len() < SURVIVORS_MIN => return false,
            Some(slots) if slots.len() * BITS_PER_BYTES < rows => {
                self.score_coded(segment, entry, &coded, slots, best)
            }
            _ => self.scan_all_coded(view, (segment, entry), &coded, slots, best),
        }
        true
    }

    fn score_coded(
        &mut self,
        segment: &Segment,
        entry: &NamespaceRows,
        coded: &CodedRows,
        slots: &RoaringBitmap,
        best: &mut Best,
    ) {
        let Some(query) = self.coded_query(coded) else { return };
        let Some(scorer) = &self.scorer.dense else { return };
        let rows: Vec<u32> = slots.iter().map(|slot| slot - entry.slots.start).collect();
        let block = row_block(segment, entry.slots.clone());
        coded.search_rows((block, scorer), &query, &rows, best, &mut self.work);
    }

    fn scan_all_coded(
        &mut self,
        view: &LayerView,
        (segment, entry): (&Segment, &NamespaceRows),
        coded: &CodedRows,
        slots: Option<&RoaringBitmap>,
        best: &mut Best,
    ) {
        let Some(query) = self.coded_query(coded) else { return };
        let Some(scorer) = &self.scorer.dense else { return };
        let first = entry.slots.start;
        let has_dead = !view.dead.is_empty();
        let is_wanted = |row: u32| match slots {
            Some(slots) => slots.contains(first + row),
            None => !has_dead || !view.dead.contains(first + row),
        };
        let wanted = Wanted { is_wanted: &is_wanted, stop: self.stop };
        let block = row_block(segment, entry.slots.clone());
        let end = coded.search((block, scorer), &query, wanted, best, &mut self.work);
        self.complete &= end == ScanEnd::Done;
    }

    /// One for all namespaces: they share metric and length.
    fn coded_query(&mut self, coded: &CodedRows) -> Option<Arc<CodedQuery>> {
        if self.coded.is_none() {
            self.coded = self.query.vector.map(|vector| Arc::new(coded.query(vector.as_slice())));
        }
        self.coded.clone()
    }
}

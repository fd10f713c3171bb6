//! Searches on codes.

use super::{Search, Way, layers::Best};
use crate::{
    derived::price::{BITS_PER_BYTES, FILTERED_SCAN_TIMES},
    rows::{layer::LayerView, segment::Segment, span::Span},
};
use pinyon_index::{CodedRows, ScanEnd, Vectors, Wanted};
use roaring::RoaringBitmap;
use std::sync::Arc;

/// Survivors of a filter that are scored by their vectors: fewer would not pay for preparing the query.
const SURVIVORS_MIN: u64 = 64;
/// A part's codes in a layer.
pub(super) fn of(view: &LayerView, span: &Span) -> Option<Arc<CodedRows>> {
    view.layer.segment()?.codes(span.part)
}

/// A part's vectors for a search by its codes. Where vectors are read instead of bytes, or lie in a file that was not verified, those that
/// are read are told before.
fn vectors<'a>(
    (segment, span): (&'a Segment, &Span),
    coded: &CodedRows,
    before: &'a dyn Fn(&[u32]),
) -> Vectors<'a> {
    if coded.has_bytes() && segment.file().is_verified() {
        return segment.block(span.slots.clone()).into();
    }
    Vectors { block: segment.block_of_told(span.slots.clone()), before }
}

/// The rows of some, numbered from `first` on, that are alive.
fn alive_rows(view: &LayerView, first: u32, rows: &RoaringBitmap) -> Vec<u32> {
    let mut alive = vec![0; rows.len() as usize];
    // Many at once, because a bitmap that is asked for one after the other took a sixth of a query's time.
    let count = rows.iter().next_many(&mut alive).len();
    alive.truncate(count);
    if !view.dead.is_empty() {
        alive.retain(|row| !view.dead.contains(first + row));
    }
    alive
}

impl Search<'_> {
    /// Scans a part's codes, of these rows only if some are named; returns false, having added nothing, where there are
    /// none or vectors are the better way.
    pub(super) fn scan_coded(
        &mut self,
        view: &LayerView,
        span: &Span,
        passing: Option<&RoaringBitmap>,
        best: &mut Best,
    ) -> bool {
        let (segment, coded) = match (view.layer.segment(), of(view, span)) {
            (Some(segment), Some(coded)) if self.is_worth(&coded) => (segment, coded),
            _ => return false,
        };
        let rows = u64::from(span.len());
        match passing {
            Some(passing) if passing.len() < SURVIVORS_MIN => return false,
            Some(passing)
                if coded.has_signs_apart() || passing.len() * BITS_PER_BYTES < FILTERED_SCAN_TIMES * rows =>
            {
                let first = span.slots.start;
                let rows = alive_rows(view, first, passing);
                self.score_coded((segment, span), &coded, &rows, best);
            }
            _ => self.scan_all_coded(view, (segment, span), &coded, passing, best),
        }
        true
    }

    fn score_coded(
        &mut self,
        (segment, span): (&Segment, &Span),
        coded: &CodedRows,
        rows: &[u32],
        best: &mut Best,
    ) {
        let Some(query) = self.dense_query() else { return };
        let has_bits = coded.has_signs_for(rows.len(), self.query.top_k.get());
        let way = if has_bits { Way::SurvivorsByBits } else { Way::SurvivorsByBytes };
        self.note_scan(way, coded);
        let Some(scorer) = &self.scorer.dense else { return };
        let (asked, first) = ((query, self.query.effort), span.slots.start);
        let before = |rows: &[u32]| segment.read_ahead(first, rows);
        let vectors = (vectors((segment, span), coded, &before), scorer);
        let end = coded.search_rows(vectors, asked, (rows, self.stop), best, &mut self.work);
        self.complete &= end == ScanEnd::Done;
    }

    fn scan_all_coded(
        &mut self,
        view: &LayerView,
        (segment, span): (&Segment, &Span),
        coded: &CodedRows,
        passing: Option<&RoaringBitmap>,
        best: &mut Best,
    ) {
        let Some(query) = self.dense_query() else { return };
        let way = match (passing.is_some(), coded.has_signs()) {
            (false, false) => Way::Bytes,
            (false, true) => Way::Bits,
            (true, false) => Way::SurvivorsByBytes,
            (true, true) => Way::SurvivorsByBits,
        };
        self.note_scan(way, coded);
        let Some(scorer) = &self.scorer.dense else { return };
        let first = span.slots.start;
        let has_dead = !view.dead.is_empty();
        let is_alive = |row: u32| !has_dead || !view.dead.contains(first + row);
        let bits = passing.map(|passing| Bits::of(passing, span.len()));
        let is_wanted = |row: u32| bits.as_ref().is_none_or(|bits| bits.contains(row)) && is_alive(row);
        let wanted = Wanted { is_wanted: &is_wanted, stop: self.stop };
        let asked = (query, self.query.effort);
        let before = |rows: &[u32]| segment.read_ahead(first, rows);
        let vectors = (vectors((segment, span), coded, &before), scorer);
        let end = coded.search(vectors, asked, wanted, best, &mut self.work);
        self.complete &= end == ScanEnd::Done;
    }

    fn is_worth(&self, coded: &CodedRows) -> bool {
        coded.is_worth(self.query.top_k.get())
    }
}

/// Rows that pass, ready to be asked about often.
enum Bits<'a> {
    /// Many, whose containers are bitmaps anyway.
    Many(&'a RoaringBitmap),
    /// Few, whose containers would have to be searched.
    Few(Vec<u64>),
}

impl<'a> Bits<'a> {
    fn of(rows: &'a RoaringBitmap, count: u32) -> Self {
        if rows.len() > u64::from(count) / 4 {
            return Self::Many(rows);
        }
        let mut bits = vec![0; count as usize / 64 + 1];
        rows.iter().for_each(|row| bits[row as usize / 64] |= 1 << (row % 64));
        Self::Few(bits)
    }

    fn contains(&self, row: u32) -> bool {
        match self {
            Self::Many(rows) => rows.contains(row),
            Self::Few(bits) => bits[row as usize / 64] >> (row % 64) & 1 == 1,
        }
    }
}

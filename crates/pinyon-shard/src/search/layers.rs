//! Search in one layer, of namespaces or of all rows at once: a walk of a graph where there is one and it is the cheaper way,
//! otherwise a scan, of codes where there are any. Under a filter the rows that pass are found first, and the same is done for them.

use super::{
    Hit, Scope, Search, Way, coded,
    filtering::{alive_slots, passing},
};
use crate::rows::{
    layer::{LayerView, Rows},
    row::NamespaceRows,
    segment::Segment,
    snapshot::Place,
    span::Span,
};
use pinyon_index::{ScanEnd, TopK as BestK, scan, scan_slots};
use pinyon_types::{Distance, Filter, SlotId};
use roaring::RoaringBitmap;
use std::{ops::Range, sync::Arc};

/// Rows of 384 components and fewer than 2 MiB.
const UNVERIFIED_ROWS_AT_ONCE: u32 = 1024;

pub(super) type Best = BestK<(Distance, SlotId)>;

impl Search<'_> {
    /// Adds the best of one layer to the hits.
    pub(super) fn layer(&mut self, view: &LayerView, scope: Scope<'_>) {
        self.part_begins();
        self.met_many |= scope.is_whole() && view.layer.len() >= self.settings.graph_rows_min;
        let mut best = Best::new(self.query.top_k.get());
        match scope {
            Scope::Namespaces(namespaces) => {
                let entries = namespaces.iter().filter_map(|one| view.layer.namespace_rows(one.id()));
                entries.for_each(|entry| self.namespace(view, entry, &mut best));
            }
            _ if self.scorer.sparse.is_none() => self.whole_layer(view, &mut best),
            _ => view.layer.namespaces().iter().for_each(|entry| self.namespace(view, entry, &mut best)),
        }
        self.layer_ends(view, scope);
        let found = best.into_sorted();
        self.note_found(found.iter().map(|one| one.0));
        let bound = self.bound();
        let found = &found[..found.partition_point(|one| one.0 <= bound)];
        self.hits.reserve(found.len());
        for &(distance, slot) in found {
            let record = Place::Layer(Arc::clone(&view.layer), slot).located();
            self.hits.push(Hit::new(view.layer.namespace_of(slot).clone(), distance, record));
        }
    }

    /// Searches all rows of a layer at once where they have codes in common, else one namespace after the other.
    fn whole_layer(&mut self, view: &LayerView, best: &mut Best) {
        let whole = view.layer.segment().map(Span::whole).filter(|span| coded::of(view, span).is_some());
        match (whole, self.query.filter) {
            (Some(span), None) if self.walk(view, &span, None, best) => {}
            (Some(span), None) if self.scan_coded(view, &span, None, best) => {}
            (Some(span), Some(filter)) => {
                let rows = self.passing_in_all(view, filter);
                self.passing(view, &span, &rows, best);
            }
            (None, Some(_)) => {
                view.layer.namespaces().iter().for_each(|entry| self.namespace(view, entry, best));
            }
            (_, None) => self.namespaces_and_runs(view, best),
        }
    }

    /// Scans every row but those of namespaces that have codes.
    fn namespaces_and_runs(&mut self, view: &LayerView, best: &mut Best) {
        let mut run = 0..0;
        for entry in view.layer.namespaces() {
            self.note_use(entry);
            if coded::of(view, &Span::of(entry)).is_none() {
                run.end = entry.slots.end;
                continue;
            }
            self.scan_run(view, run, best);
            self.namespace(view, entry, best);
            run = entry.slots.end..entry.slots.end;
        }
        self.scan_run(view, run, best);
    }

    /// The slots of all namespaces' rows that pass a filter, dead ones among them.
    fn passing_in_all(&mut self, view: &LayerView, filter: &Filter) -> RoaringBitmap {
        let mut slots = RoaringBitmap::new();
        for entry in view.layer.namespaces() {
            self.note_use(entry);
            let (first, rows) = (entry.slots.start, self.rows_passing(view, entry, filter));
            slots.append(rows.iter().map(|row| first + row)).expect("invariant: slots of namespaces ascend");
            if self.is_stopped() {
                break;
            }
        }
        slots
    }

    /// The rows of a namespace, numbered from 0, that pass a filter, dead ones among them.
    fn rows_passing(&mut self, view: &LayerView, entry: &NamespaceRows, filter: &Filter) -> RoaringBitmap {
        let began_us = self.filter_begins();
        let rows = passing(view, entry, filter);
        self.filter_ends(began_us, rows.len());
        self.work.rows_filtered += u64::from(entry.len());
        rows
    }

    fn namespace(&mut self, view: &LayerView, entry: &NamespaceRows, best: &mut Best) {
        if self.is_stopped() {
            return;
        }
        self.note_use(entry);
        let span = Span::of(entry);
        self.met_many |= span.len() >= self.settings.graph_rows_min;
        if let Some(filter) = self.query.filter {
            let rows = self.rows_passing(view, entry, filter);
            return match self.scorer.sparse {
                Some(query) => {
                    let slots = alive_slots(view, &entry.slots, &rows);
                    self.sparse_namespace(view, entry, query, Some(&slots), best);
                }
                None => self.passing(view, &span, &rows, best),
            };
        }
        if let Some(query) = self.scorer.sparse {
            return self.sparse_namespace(view, entry, query, None, best);
        }
        if !self.walk(view, &span, None, best) && !self.scan_coded(view, &span, None, best) {
            self.scan_run(view, span.slots, best);
        }
    }

    /// Finds the nearest of those of a part's rows that passed a filter.
    fn passing(&mut self, view: &LayerView, span: &Span, rows: &RoaringBitmap, best: &mut Best) {
        if !self.walk(view, span, Some(rows), best) && !self.scan_coded(view, span, Some(rows), best) {
            self.scan_slots(view, &alive_slots(view, &span.slots, rows), best);
        }
    }

    fn note_use(&self, entry: &NamespaceRows) {
        if let Some(tick) = self.settings.tick {
            entry.uses.note(tick);
        }
    }

    fn scan_run(&mut self, view: &LayerView, slots: Range<u32>, best: &mut Best) {
        if slots.is_empty() || self.is_stopped() {
            return;
        }
        self.note_way(Way::Vectors);
        match (&view.layer.rows, &self.scorer.dense) {
            (Rows::Sealed(segment), Some(scorer)) => {
                for slots in pieces(segment, slots) {
                    let block = segment.block(slots);
                    let end = scan(block, scorer, Some(&*view.dead), best, &mut self.work, self.stop);
                    if end == ScanEnd::Stopped {
                        self.complete = false;
                        return;
                    }
                }
            }
            _ => self.score_each(view, slots.filter(|&slot| !view.dead.contains(slot)), best),
        }
    }

    fn scan_slots(&mut self, view: &LayerView, slots: &RoaringBitmap, best: &mut Best) {
        self.note_way(Way::SurvivorsByVectors);
        match (&view.layer.rows, &self.scorer.dense) {
            (Rows::Sealed(segment), Some(scorer)) => {
                let block = segment.block_for(slots);
                let end = scan_slots(block, scorer, slots, best, &mut self.work, self.stop);
                self.complete &= end == ScanEnd::Done;
            }
            _ => self.score_each(view, slots.iter(), best),
        }
    }

    pub(super) fn score_each(&mut self, view: &LayerView, slots: impl Iterator<Item = u32>, best: &mut Best) {
        for (visited, slot) in slots.enumerate() {
            if visited % 1024 == 1023 && self.is_stopped() {
                return;
            }
            let row = view.layer.row(SlotId::new(slot));
            if !self.scorer.wants(row.sparse) {
                continue;
            }
            best.push((self.scorer.distance(&row), SlotId::new(slot)));
            self.work.distances += 1;
        }
    }
}

/// Rows that are scanned one after the other, in pieces where they are verified on the way: what was read to be verified is still in the
/// system's cache then.
fn pieces(segment: &Segment, slots: Range<u32>) -> impl Iterator<Item = Range<u32>> {
    let most = if segment.is_verified() { u32::MAX } else { UNVERIFIED_ROWS_AT_ONCE };
    let mut next = slots.start;
    std::iter::from_fn(move || {
        let start = next;
        next = start.saturating_add(most).min(slots.end);
        (start < next).then_some(start..next)
    })
}

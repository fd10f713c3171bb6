//! Search in one layer: a graph where a namespace has one and it is the cheaper way, otherwise a scan, of codes where there
//! are any. Filters scan the rows that survive them, or all rows and leave out the others.

use super::{
    Hit, Scope, Search, Way, coded,
    filtering::{alive_slots, passing},
};
use crate::{
    graphs::Walk,
    layer::{LayerView, NamespaceRows, Rows},
    segment::Segment,
    snapshot::Place,
};
use pinyon_index::{GraphRequest, RowBlock, ScanEnd, TopK as BestK, scan, scan_slots};
use pinyon_types::{Distance, SlotId};
use roaring::RoaringBitmap;
use std::{ops::Range, sync::Arc};

/// Below this share of rows that are alive and pass a walk would be spent on rows that do not count.
const WALKED_SHARE_MIN: f64 = 0.15;

pub(super) type Best = BestK<(Distance, SlotId)>;

impl Search<'_> {
    /// Adds the best of one layer to the hits.
    pub(super) fn layer(&mut self, view: &LayerView, scope: Scope<'_>) {
        self.part_begins();
        let mut best = Best::new(self.query.top_k.get());
        match scope {
            Scope::All if self.query.filter.is_none() && self.scorer.sparse.is_none() => {
                self.whole_layer(view, &mut best);
            }
            Scope::All => {
                view.layer.namespaces().iter().for_each(|entry| self.namespace(view, entry, &mut best));
            }
            Scope::Namespaces(namespaces) => {
                let entries = namespaces.iter().filter_map(|one| view.layer.namespace_rows(one.id()));
                entries.for_each(|entry| self.namespace(view, entry, &mut best));
            }
        }
        self.layer_ends(view, scope);
        for (distance, slot) in best.into_sorted() {
            let place = Place::Layer(Arc::clone(&view.layer), slot);
            self.hits.push(Hit { namespace: view.layer.namespace_of(slot).clone(), distance, place });
        }
    }

    /// Scans every row but those of namespaces that have codes.
    fn whole_layer(&mut self, view: &LayerView, best: &mut Best) {
        let mut run = 0..0;
        for entry in view.layer.namespaces() {
            if coded::of(view, entry).is_none() {
                if let Some(tick) = self.settings.tick {
                    entry.uses.note(tick);
                }
                run.end = entry.slots.end;
                continue;
            }
            self.scan_run(view, run, best);
            self.namespace(view, entry, best);
            run = entry.slots.end..entry.slots.end;
        }
        self.scan_run(view, run, best);
    }

    fn namespace(&mut self, view: &LayerView, entry: &NamespaceRows, best: &mut Best) {
        if self.is_stopped() {
            return;
        }
        if let Some(tick) = self.settings.tick {
            entry.uses.note(tick);
        }
        if let Some(filter) = self.query.filter {
            let began_us = self.filter_begins();
            let rows = passing(view, entry, filter);
            self.filter_ends(began_us, rows.len());
            self.work.rows_filtered += u64::from(entry.len());
            return match self.scorer.sparse {
                Some(query) => {
                    let slots = alive_slots(view, entry, &rows);
                    self.sparse_namespace(view, entry, query, Some(&slots), best);
                }
                None => self.passing(view, entry, &rows, best),
            };
        }
        if let Some(query) = self.scorer.sparse {
            return self.sparse_namespace(view, entry, query, None, best);
        }
        if !self.walk(view, entry, None, best) && !self.scan_coded(view, entry, None, best) {
            self.scan_run(view, entry.slots.clone(), best);
        }
    }

    /// Finds the nearest of the rows that passed a filter.
    fn passing(&mut self, view: &LayerView, entry: &NamespaceRows, rows: &RoaringBitmap, best: &mut Best) {
        if !self.walk(view, entry, Some(rows), best) && !self.scan_coded(view, entry, Some(rows), best) {
            self.scan_slots(view, &alive_slots(view, entry, rows), best);
        }
    }

    /// Walks a namespace's graph, for these rows only if some are named; returns false, having added nothing, where there is
    /// none, or another way is the better or the only one.
    fn walk(
        &mut self,
        view: &LayerView,
        entry: &NamespaceRows,
        passing: Option<&RoaringBitmap>,
        best: &mut Best,
    ) -> bool {
        let graph = view.layer.segment().and_then(|segment| segment.graph(entry.namespace.id()));
        let (Some(graph), Some(vector)) = (graph, self.query.vector) else { return false };
        let (k, first) = (self.query.top_k.get(), entry.slots.start);
        let rows = f64::from(entry.len());
        let live_share = view.live_rows(&entry.slots) as f64 / rows;
        let share = passing.map_or(1.0, |passing| passing.len() as f64 / rows) * live_share;
        if share < WALKED_SHARE_MIN {
            return false;
        }
        let (rows_otherwise, effort) = (coded::rows_scanned(entry, passing), self.query.effort);
        let walk = Walk { k, wanted_share: share, rows_otherwise, effort };
        let Some((walked, ef)) = graph.plan(walk, self.settings.graph_rows_per_effort) else {
            return false;
        };
        let found = walked.search(vector.as_slice(), GraphRequest { k: ef, ef }, &mut self.work);
        let is_wanted = |row: &SlotId| {
            view.is_live(SlotId::new(first + row.get()))
                && passing.is_none_or(|rows| rows.contains(row.get()))
        };
        let mut wanted = found.iter().enumerate().filter(|(_, row)| is_wanted(row)).peekable();
        let places: Vec<(usize, &SlotId)> = wanted.by_ref().take(walk.rescored()).collect();
        // QRY-3, and: what is found only at the end of a walk has neighbours that were not found.
        if places.get(k - 1).is_none_or(|(place, _)| *place > ef * 2 / 3) {
            return false;
        }
        self.note_walk(ef);
        for (_, row) in places {
            let slot = SlotId::new(first + row.get());
            best.push((self.scorer.distance(&view.layer.row(slot)), slot));
            self.work.distances += 1;
        }
        true
    }

    fn scan_run(&mut self, view: &LayerView, slots: Range<u32>, best: &mut Best) {
        if slots.is_empty() || self.is_stopped() {
            return;
        }
        self.note_way(Way::Vectors);
        match (&view.layer.rows, &self.scorer.dense) {
            (Rows::Sealed(segment), Some(scorer)) => {
                let block = row_block(segment, slots);
                let end = scan(block, scorer, Some(&*view.dead), best, &mut self.work, self.stop);
                self.complete &= end == ScanEnd::Done;
            }
            _ => self.score_each(view, slots.filter(|&slot| !view.dead.contains(slot)), best),
        }
    }

    fn scan_slots(&mut self, view: &LayerView, slots: &RoaringBitmap, best: &mut Best) {
        self.note_way(Way::SurvivorsByVectors);
        match (&view.layer.rows, &self.scorer.dense) {
            (Rows::Sealed(segment), Some(scorer)) => {
                let block = row_block(segment, 0..segment.len());
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

pub(super) fn row_block(segment: &Segment, slots: Range<u32>) -> RowBlock<'_> {
    RowBlock {
        vectors: segment.vectors(slots.clone()),
        inverse_norms: segment.inverse_norms(slots.clone()),
        first_slot: SlotId::new(slots.start),
    }
}

//! Search in one layer: a graph where a namespace has one and it is the cheaper way, otherwise a scan, of codes where there
//! are any. Filters scan the rows that survive them, or all rows and leave out the others.

use super::{
    Hit, Scope, Search, coded,
    filtering::{alive_slots, passing},
};
use crate::{
    graphs::GraphEntry,
    layer::{LayerView, NamespaceRows, Rows},
    segment::Segment,
    snapshot::Place,
};
use pinyon_index::{GraphRequest, RowBlock, ScanEnd, TopK as BestK, scan, scan_slots};
use pinyon_types::{Distance, SlotId};
use roaring::RoaringBitmap;
use std::{ops::Range, sync::Arc};

/// Above this share of dead rows a graph would spend most of its walk on rows that do not count.
const GRAPH_DEAD_SHARE_MAX: f64 = 0.3;

pub(super) type Best = BestK<(Distance, SlotId)>;

impl Search<'_> {
    /// Adds the best of one layer to the hits.
    pub(super) fn layer(&mut self, view: &LayerView, scope: Scope<'_>) {
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
        if let Some(filter) = self.query.filter {
            let rows = passing(view, entry, filter);
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
        let graph = view.layer.segment().and_then(|segment| segment.graph(entry.namespace.id()));
        let walked = graph.is_some_and(|graph| self.walk_graph(view, entry, &graph, best));
        if !walked && !self.scan_coded(view, entry, None, best) {
            self.scan_run(view, entry.slots.clone(), best);
        }
    }

    /// Scans the rows that passed a filter.
    fn passing(&mut self, view: &LayerView, entry: &NamespaceRows, rows: &RoaringBitmap, best: &mut Best) {
        if !self.scan_coded(view, entry, Some(rows), best) {
            self.scan_slots(view, &alive_slots(view, entry, rows), best);
        }
    }

    /// Walks a namespace's graph; returns false, having added nothing, where a scan is the better or the only answer.
    fn walk_graph(
        &mut self,
        view: &LayerView,
        entry: &NamespaceRows,
        graph: &GraphEntry,
        best: &mut Best,
    ) -> bool {
        let (rows, live) = (u64::from(entry.len()), view.live_rows(&entry.slots));
        let dead_share = (rows - live) as f64 / rows as f64;
        let k = self.query.top_k.get();
        let plan = graph
            .plan(k, dead_share, self.settings.graph_rows_per_effort)
            .filter(|_| dead_share <= GRAPH_DEAD_SHARE_MAX);
        let Some(((walked, ef), vector)) = plan.zip(self.query.vector) else { return false };
        let request = GraphRequest { k: graph.rescored(k, dead_share).min(ef), ef };
        let found = walked.search(vector.as_slice(), request, &mut self.work);
        let slots = found.into_iter().map(|row| SlotId::new(entry.slots.start + row.get()));
        let alive: Vec<SlotId> = slots.filter(|&slot| view.is_live(slot)).collect();
        // QRY-3: never fewer than k while more are alive.
        if (alive.len() as u64) < live.min(k as u64) {
            return false;
        }
        for slot in alive {
            let row = view.layer.row(slot);
            best.push((self.scorer.distance(&row), slot));
            self.work.distances += 1;
        }
        true
    }

    fn scan_run(&mut self, view: &LayerView, slots: Range<u32>, best: &mut Best) {
        if slots.is_empty() || self.is_stopped() {
            return;
        }
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

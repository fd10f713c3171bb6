//! What a search did, part by part, for people who ask. A search that nobody asks about has no recorder: every note below is
//! then a look at a `None`.

use super::Search;
use crate::{
    BytesRead, Explanation, PartExplanation, PartPlace, Reason, Scope, Way,
    rows::layer::{LayerView, Rows},
};
use pinyon_distance::codes::{Int8Rows, SignRows};
use pinyon_index::{CodedRows, Recall, Work};
use pinyon_types::{Clock, Effort, Metric};
use std::collections::BTreeSet;

/// Collects what the parts of a search did.
#[derive(Debug)]
pub(super) struct Recorder<'a> {
    clock: &'a dyn Clock,
    began_us: u64,
    before: Work,
    ways: BTreeSet<Way>,
    passed: Option<u64>,
    ef: Option<usize>,
    deviations: Option<f32>,
    recall: Option<Recall>,
    reasons: BTreeSet<Reason>,
    filter_us: u64,
    parts: Vec<PartExplanation>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            began_us: clock.now_us(),
            before: Work::default(),
            ways: BTreeSet::new(),
            passed: None,
            ef: None,
            deviations: None,
            recall: None,
            reasons: BTreeSet::new(),
            filter_us: 0,
            parts: Vec::new(),
        }
    }

    pub(super) fn into_explanation(self, effort: Effort) -> Explanation {
        Explanation { effort, parts: self.parts }
    }

    fn begin(&mut self, before: Work) {
        let parts = std::mem::take(&mut self.parts);
        *self = Self { before, parts, ..Self::new(self.clock) };
    }
}

impl Search<'_> {
    /// A part begins.
    pub(super) fn part_begins(&mut self) {
        let work = self.work;
        self.note(|part| part.begin(work));
    }

    /// The memtable ends; its rows are alive.
    pub(super) fn memtable_ends(&mut self, rows: u64) {
        self.part_ends(PartPlace::Memtable, rows, 0);
    }

    /// A layer ends.
    pub(super) fn layer_ends(&mut self, view: &LayerView, scope: Scope<'_>) {
        if self.recorder.is_none() {
            return;
        }
        let entries = view.layer.namespaces().iter();
        let entries = entries.filter(|entry| scope.contains(entry.namespace.id()));
        let (rows, live) = entries.fold((0, 0), |(rows, live), entry| {
            (rows + u64::from(entry.len()), live + view.live_rows(&entry.slots))
        });
        let place = match view.layer.rows {
            Rows::Frozen(_) => PartPlace::Sealing(view.layer.id),
            Rows::Sealed(_) => PartPlace::Segment(view.layer.id),
        };
        self.part_ends(place, rows, rows - live);
    }

    fn part_ends(&mut self, place: PartPlace, rows: u64, dead_rows: u64) {
        let (metric, after) = (self.settings.metric, self.work);
        let dim = self.query.vector.map_or(0, |vector| vector.as_slice().len());
        let Some(part) = &mut self.recorder else { return };
        if rows == 0 {
            return;
        }
        let work = after.since(part.before);
        let ended = PartExplanation {
            place,
            ways: part.ways.iter().copied().collect(),
            rows,
            dead_rows,
            rows_passed: part.passed,
            ef: part.ef,
            deviations: part.deviations,
            recall: part.recall,
            reasons: part.reasons.iter().copied().collect(),
            work,
            bytes_read: bytes_read(work, metric, dim),
            filter_us: part.filter_us,
            total_us: part.clock.now_us().saturating_sub(part.began_us),
        };
        part.parts.push(ended);
    }

    /// Notes the way that answered.
    pub(super) fn note_way(&mut self, way: Way) {
        self.note(|part| {
            part.ways.insert(way);
        });
    }

    /// Notes that a walk answered.
    pub(super) fn note_walk(&mut self, ef: usize, recall: Recall) {
        self.note_way(Way::Graph);
        self.note(|part| (part.ef, part.recall) = (Some(ef), Some(recall)));
    }

    /// Notes why a graph did not answer, or did in spite of its test.
    pub(super) fn note_reason(&mut self, reason: Reason) {
        self.note(|part| {
            part.reasons.insert(reason);
        });
    }

    /// Notes that a scan of codes answered.
    pub(super) fn note_scan(&mut self, way: Way, coded: &CodedRows) {
        let effort = self.query.effort;
        self.note_way(way);
        self.note(|part| {
            (part.deviations, part.recall) = (coded.deviations(effort), Some(coded.test().recall));
        });
    }

    /// The time, if anybody wants to know.
    pub(super) fn filter_begins(&self) -> u64 {
        self.recorder.as_ref().map_or(0, |part| part.clock.now_us())
    }

    /// Notes how many rows passed the filter.
    pub(super) fn filter_ends(&mut self, began_us: u64, passed: u64) {
        self.note(|part| {
            part.passed = Some(part.passed.unwrap_or(0) + passed);
            part.filter_us += part.clock.now_us().saturating_sub(began_us);
        });
    }

    fn note(&mut self, note: impl FnOnce(&mut Recorder<'_>)) {
        if let Some(part) = &mut self.recorder {
            note(part);
        }
    }
}

fn bytes_read(work: Work, metric: Metric, dim: usize) -> BytesRead {
    let (bytes, bits) = (Int8Rows::bytes_per_row(metric, dim), SignRows::bytes_per_row(metric, dim));
    BytesRead {
        vectors: work.distances * (dim * size_of::<f32>()) as u64,
        bytes: work.code_distances * bytes as u64,
        bits: work.sign_distances * bits as u64,
    }
}

//! Tests that are done again: once people have asked enough about rows whose graph was tested by probes, again as more questions are
//! known, and whenever what is asked lately finds less than was promised.

use super::{Built, Site};
use crate::{Step, inner::Inner, rows::span::Span};
use pinyon_index::{HeldOut, QUESTIONS_SURE, are_enough, missed_by};
use std::sync::Arc;

/// Does the next test that is due.
pub(crate) fn retest_next(inner: &Inner, stop: &dyn Fn() -> bool) -> Step {
    let state = inner.snapshot.load_full();
    for view in &state.layers {
        let Some(segment) = view.layer.segment() else { continue };
        for span in Span::all(segment) {
            let Some(built) = segment.graph(span.part).and_then(|graph| graph.built().cloned()) else {
                continue;
            };
            let site = Site { inner, id: view.layer.id, segment, span };
            let is_useless = || stop() || inner.snapshot.load().layer(site.id).is_none();
            if site.is_due(&built) || site.has_drifted(&built, &is_useless) {
                return site.retest(&built, &is_useless);
            }
        }
    }
    Step::Idle
}

impl Site<'_> {
    /// Whether there are enough questions for the first time, or half as many again as the test knew, or for the first time as many as
    /// are kept.
    fn is_due(&self, built: &Built) -> bool {
        let (questions, known) = (self.inner.questions.count(self.asked_as()), built.questions);
        let are_more = 2 * questions >= 3 * known || questions >= QUESTIONS_SURE;
        are_enough(questions) && questions > known && are_more
    }

    /// Whether questions of late, asked once more and compared with a scan of codes, find too little where a test was sure of more.
    fn has_drifted(&self, built: &Built, stop: &dyn Fn() -> bool) -> bool {
        if !built.test.is_enough {
            return false;
        }
        let part = self.asked_as();
        let Some(codes) = self.segment.codes(self.span.part) else { return false };
        let recent = self.inner.questions.take_recent(part);
        if recent.is_empty() {
            return false;
        }
        let (block, metric) = (self.block(), self.inner.shape.metric);
        let missed = recent.iter().map_while(|question| {
            (!stop()).then(|| missed_by(&*built.graph, built.test.ef, (block, &codes), metric, question))
        });
        let missed: Vec<(usize, usize)> = missed.collect();
        self.inner.questions.has_drifted(part, &missed, self.inner.options.recall_min)
    }

    fn retest(&self, built: &Built, stop: &dyn Fn() -> bool) -> Step {
        match self.calibrate(&*built.graph, HeldOut::default(), Some(built.test), stop) {
            Ok(test) => self.attach(Some(self.built(Arc::clone(&built.graph), test)), Step::Calibrated),
            // Only a stop ends a test early; the graph stays as it is.
            Err(_) => Step::Stopped,
        }
    }
}

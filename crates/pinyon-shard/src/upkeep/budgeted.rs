//! A shard under the limit on memory: what it may make, what it holds, and what it drops.

use crate::{
    inner::Inner,
    rows::{part::Part, segment::Segment, span::Span},
    upkeep::budget::{Droppable, Member},
};
use pinyon_types::{NamespaceId, SegmentId};
use std::collections::BTreeSet;

impl Inner {
    /// Whether codes or a graph of a part may be made; takes the room that they need. Under a limit every namespace has its
    /// own, which can be dropped, and the segment as a whole has none.
    pub(crate) fn may_take(&self, segment: &Segment, span: &Span, bytes: usize) -> bool {
        let Some(budget) = &self.options.memory else { return true };
        if !budget.fits(bytes as u64) {
            return false;
        }
        if !budget.is_asked() {
            return true;
        }
        let Part::Namespace(id) = span.part else { return false };
        let entries = segment.namespaces();
        let at = entries.binary_search_by_key(&id, |entry| entry.namespace.id());
        at.is_ok_and(|at| entries[at].uses.may_derive() && budget.take(bytes as u64, &entries[at].uses))
    }
}

impl Inner {
    /// The sum over all segments.
    fn sum_of_segments(&self, bytes: impl Fn(&Segment) -> u64) -> u64 {
        let state = self.snapshot.load();
        state.layers.iter().filter_map(|view| view.layer.segment()).map(bytes).sum()
    }
}

impl Member for Inner {
    fn memtable_bytes(&self) -> u64 {
        self.snapshot.load().memtable.bytes as u64
    }

    fn derived_bytes(&self) -> u64 {
        self.sum_of_segments(|segment| segment.derived_bytes().total())
    }

    fn question_bytes(&self) -> u64 {
        self.questions.bytes() as u64
    }

    fn forget_questions(&self) {
        self.questions.forget_all();
    }

    fn drop_filter_indexes(&self) -> u64 {
        self.sum_of_segments(Segment::drop_filter_indexes)
    }

    fn give_back_originals(&self) {
        self.sum_of_segments(|segment| {
            segment.file().give_back();
            0
        });
    }

    fn droppable(&self) -> Vec<Droppable> {
        let (state, mut found) = (self.snapshot.load(), Vec::new());
        for view in &state.layers {
            let Some(segment) = view.layer.segment() else { continue };
            found.extend(segment.derived_of_namespaces().into_iter().filter_map(|(namespace, bytes)| {
                let last = view.layer.namespace_rows(namespace)?.uses.last();
                Some(Droppable { segment: view.layer.id, namespace, last, bytes })
            }));
        }
        found
    }

    fn drop_derived(&self, segment: SegmentId, namespaces: &BTreeSet<NamespaceId>) {
        let state = self.snapshot.load();
        // Merged away meanwhile: what was made of it goes with it.
        let Some(layer) = state.layer(segment).map(|view| &view.layer) else { return };
        let entries = namespaces.iter().filter_map(|namespace| layer.namespace_rows(*namespace));
        entries.for_each(|entry| entry.uses.drop_note());
        if let Some(segment) = layer.segment() {
            segment.drop_derived(namespaces);
        }
    }

    fn segments_by_use(&self) -> Vec<(u32, SegmentId)> {
        let state = self.snapshot.load();
        let sealed = state.layers.iter().filter(|view| view.layer.segment().is_some());
        let by_use = sealed.map(|view| {
            let uses = view.layer.namespaces().iter().map(|entry| entry.uses.last());
            (uses.max().unwrap_or(0), view.layer.id)
        });
        by_use.collect()
    }

    fn drop_all_derived(&self, segment: SegmentId) -> u64 {
        let state = self.snapshot.load();
        let Some(segment) = state.layer(segment).and_then(|view| view.layer.segment()) else { return 0 };
        let bytes = segment.derived_bytes().total();
        segment.drop_all_derived();
        bytes
    }

    fn seal_to_make_room(&self) -> bool {
        let sealed = self.seal_early();
        if let Err(error) = &sealed {
            tracing::error!(shard = self.shape.shard.get(), error = %error, "memtable not sealed to make room");
        }
        sealed.is_ok()
    }
}

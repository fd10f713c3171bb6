//! Codes of namespaces: made in the background from sealed rows, tested on those rows, then attached to their segment. Until
//! they are there, and wherever they do not pass their test, scans of the vectors answer.

use crate::{Step, graphs::block_of, layer::NamespaceRows, segment::Segment, shard::Inner};
use pinyon_index::CodedRows;
use pinyon_types::NamespaceId;
use std::sync::Arc;

/// Rows after which the codes made so far are attached: attaching copies a table of all namespaces of the segment.
const ROWS_PER_STEP: u32 = 50_000;

/// A namespace's codes, or the note that none are fit.
pub(crate) type CodesEntry = Option<Arc<CodedRows>>;

/// Makes the next missing codes of one segment.
pub(crate) fn build_next(inner: &Inner, stop: &dyn Fn() -> bool) -> Step {
    let state = inner.snapshot.load_full();
    let lacks_codes = |segment: &Segment, entry: &NamespaceRows| {
        entry.len() >= inner.options.coded_rows_min
            && segment.codes(entry.namespace.id()).is_none()
            && entry.uses.may_derive()
            && has_room(inner, entry)
    };
    let missing = state.layers.iter().find_map(|view| {
        let segment = view.layer.segment()?;
        // No more than a step makes: each takes room.
        let mut rows = 0;
        let is_next = |entry: &&NamespaceRows| {
            let is_next = rows < ROWS_PER_STEP && lacks_codes(segment, entry);
            rows += if is_next { entry.len() } else { 0 };
            is_next
        };
        let entries: Vec<&NamespaceRows> = segment.namespaces().iter().filter(is_next).collect();
        (!entries.is_empty()).then_some((view.layer.id, segment, entries))
    });
    let Some((id, segment, entries)) = missing else { return Step::Idle };
    let is_useless = || stop() || inner.snapshot.load().layer(id).is_none();
    let mut built: Vec<(NamespaceId, CodesEntry)> = Vec::new();
    for entry in entries {
        if is_useless() {
            return Step::Stopped;
        }
        built.push((entry.namespace.id(), build(inner, segment, entry)));
    }
    segment.attach_codes(&built);
    Step::BuiltCodes
}

/// Whether the limit on memory has room for a namespace's codes; takes it if so.
fn has_room(inner: &Inner, entry: &NamespaceRows) -> bool {
    let Some(budget) = &inner.options.memory else { return true };
    let (dim, rows) = (inner.shape.dim.as_usize(), entry.len() as usize);
    let (byte_codes, bit_codes) = CodedRows::memory_for(inner.shape.metric, dim, rows);
    budget.take((byte_codes + bit_codes) as u64, entry)
}

fn build(inner: &Inner, segment: &Segment, entry: &NamespaceRows) -> CodesEntry {
    let block = block_of(segment, entry);
    let coded = CodedRows::build(block, inner.shape.metric, inner.options.recall_min);
    if coded.is_none() {
        let (shard, rows) = (inner.shape.shard.get(), entry.len());
        tracing::warn!(shard, rows, "codes miss their recall, scans of the vectors go on");
    }
    coded.map(Arc::new)
}

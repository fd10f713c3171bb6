//! Codes of namespaces: made in the background from sealed rows, tested on those rows, then attached to their segment. Until
//! they are there, and wherever they do not pass their test, scans of the vectors answer.

use crate::{
    Step,
    graphs::block_of,
    layer::{LayerView, NamespaceRows},
    segment::Segment,
    shard::Inner,
};
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
        entry.len() >= inner.options.coded_rows_min && segment.codes(entry.namespace.id()).is_none()
    };
    let missing = state.layers.iter().find_map(|view| {
        let segment = view.layer.segment()?;
        let entries: Vec<&NamespaceRows> =
            segment.namespaces().iter().filter(|entry| lacks_codes(segment, entry)).collect();
        (!entries.is_empty()).then_some((view.layer.id, segment, entries))
    });
    let Some((id, segment, entries)) = missing else { return Step::Idle };
    let is_useless = || stop() || inner.snapshot.load().layer(id).is_none();
    let (mut built, mut rows): (Vec<(NamespaceId, CodesEntry)>, u32) = (Vec::new(), 0);
    for entry in entries {
        if is_useless() {
            return Step::Stopped;
        }
        built.push((entry.namespace.id(), build(inner, segment, entry)));
        rows += entry.len();
        if rows >= ROWS_PER_STEP {
            break;
        }
    }
    segment.attach_codes(&built);
    Step::BuiltCodes
}

/// Makes codes of the namespaces that had them in every part of a merge, before the merged segment takes the parts' place: the
/// vectors of tenants that only share a segment with one that is written to would be scanned for as long as that goes on.
pub(crate) fn carry_over(inner: &Inner, inputs: &[LayerView], merged: &Segment) {
    let had_codes = |entry: &&NamespaceRows| {
        let id = entry.namespace.id();
        let parts =
            inputs.iter().filter_map(|view| Some((view.layer.segment()?, view.layer.namespace_rows(id)?)));
        let mut large = parts.filter(|(_, rows)| rows.len() >= inner.options.coded_rows_min).peekable();
        large.peek().is_some() && large.all(|(segment, _)| segment.codes(id).is_some())
    };
    let entries = merged.namespaces().iter().filter(|entry| entry.len() >= inner.options.coded_rows_min);
    let built: Vec<(NamespaceId, CodesEntry)> =
        entries.filter(had_codes).map(|entry| (entry.namespace.id(), build(inner, merged, entry))).collect();
    merged.attach_codes(&built);
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

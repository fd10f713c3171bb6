//! Codes of sealed rows: made in the background, a segment's bytes at once and the rest for each of its parts, tested on those
//! rows, then attached to their segment. Until they are there, and wherever they do not pass their test, scans of the vectors
//! answer.

use crate::{
    Step,
    part::{Part, Span},
    segment::Segment,
    shard::Inner,
};
use pinyon_index::{CodedRows, RowBlock};
use pinyon_types::SlotId;
use std::{ops::Range, sync::Arc};

/// Rows after which the codes made so far are attached: attaching copies a table of all parts of the segment.
const ROWS_PER_STEP: u32 = 50_000;

/// A part's codes, or the note that none are fit.
pub(crate) type CodesEntry = Option<Arc<CodedRows>>;

/// Makes the next missing codes of one segment.
pub(crate) fn build_next(inner: &Inner, stop: &dyn Fn() -> bool) -> Step {
    let state = inner.snapshot.load_full();
    let missing = state.layers.iter().find_map(|view| {
        let segment = view.layer.segment()?;
        let spans = missing(inner, segment);
        (!spans.is_empty()).then_some((view.layer.id, segment, spans))
    });
    let Some((id, segment, spans)) = missing else { return Step::Idle };
    let is_useless = || stop() || inner.snapshot.load().layer(id).is_none();
    let (mut built, mut rows) = (Vec::new(), 0);
    for span in spans {
        if is_useless() {
            return Step::Stopped;
        }
        built.push((span.part, build(inner, segment, &span)));
        rows += span.len();
        if rows >= ROWS_PER_STEP {
            break;
        }
    }
    segment.attach_codes(&built);
    Step::BuiltCodes
}

/// The parts of a segment that are large enough for codes and have none.
fn missing(inner: &Inner, segment: &Segment) -> Vec<Span> {
    let rows_min = |part| match part {
        Part::Namespace(_) => inner.options.coded_rows_min,
        Part::Whole => inner.options.coded_whole_rows_min,
    };
    let lacks_codes = |span: &Span| span.len() >= rows_min(span.part) && segment.codes(span.part).is_none();
    Span::all(segment).filter(lacks_codes).collect()
}

fn build(inner: &Inner, segment: &Segment, span: &Span) -> CodesEntry {
    let metric = inner.shape.metric;
    let bytes = segment.bytes_codes(|| CodedRows::bytes_of(block_of(segment, 0..segment.len()), metric));
    let bytes = bytes.part(span.slots.start as usize..span.slots.end as usize);
    let coded =
        CodedRows::build(bytes, block_of(segment, span.slots.clone()), metric, inner.options.recall_min);
    if coded.is_none() {
        let (shard, rows) = (inner.shape.shard.get(), span.len());
        tracing::warn!(shard, rows, "codes miss their recall, scans of the vectors go on");
    }
    coded.map(Arc::new)
}

/// Some of a segment's rows, numbered from 0.
pub(crate) fn block_of(segment: &Segment, slots: Range<u32>) -> RowBlock<'_> {
    RowBlock { first_slot: SlotId::new(0), ..segment.block(slots) }
}

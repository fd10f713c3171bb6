//! Codes of sealed rows: made in the background, a segment's bytes at once and the rest for each of its parts, tested on those
//! rows, then attached to their segment. Until they are there, and wherever they are found to cost more, scans of the vectors
//! answer.

use crate::{
    ShardOptions, Step,
    layer::LayerView,
    part::{Part, Span},
    segment::Segment,
    shard::Inner,
};
use pinyon_index::{CodedRows, Coding, RowBlock};
use pinyon_types::SlotId;
use std::{ops::Range, sync::Arc};

/// Rows after which the codes made so far are attached: attaching copies a table of all parts of the segment.
const ROWS_PER_STEP: u32 = 50_000;

/// What reading a row's vector costs, in rows whose bits are scanned.
pub(crate) const VECTOR_COST: usize = 30;

/// A merge codes fewer new rows than this beside those that had codes, and leaves more to the background.
const NEW_ROWS_MAX: u32 = 256;

/// Makes the next missing codes of one segment.
pub(crate) fn build_next(inner: &Inner, stop: &dyn Fn() -> bool) -> Step {
    let state = inner.snapshot.load_full();
    let missing = state.layers.iter().find_map(|view| {
        let segment = view.layer.segment()?;
        let is_large = |span: &Span| span.len() >= rows_min(&inner.options, span.part);
        let spans = missing(inner, segment, ROWS_PER_STEP, is_large);
        (!spans.is_empty()).then_some((view.layer.id, segment, spans))
    });
    let Some((id, segment, spans)) = missing else { return Step::Idle };
    let is_useless = || stop() || inner.snapshot.load().layer(id).is_none();
    let mut built = Vec::new();
    for span in spans {
        let Some(codes) = build(inner, segment, &span, &is_useless) else { return Step::Stopped };
        built.push((span.part, codes));
    }
    segment.attach_codes(&built);
    Step::BuiltCodes
}

/// The parts of a segment that want codes, have none and may have some: no more than of about `rows_max` rows, because each takes
/// room.
fn missing(inner: &Inner, segment: &Segment, rows_max: u32, wants: impl Fn(&Span) -> bool) -> Vec<Span> {
    let mut rows = 0_u32;
    let is_next = |span: &Span| {
        let is_next = rows < rows_max
            && wants(span)
            && segment.codes(span.part).is_none()
            && has_room(inner, segment, span);
        rows = rows.saturating_add(if is_next { span.len() } else { 0 });
        is_next
    };
    Span::all(segment).filter(is_next).collect()
}

/// Rows from which on a part gets codes.
pub(crate) const fn rows_min(options: &ShardOptions, part: Part) -> u32 {
    match part {
        Part::Namespace(_) => options.coded_rows_min,
        Part::Whole => options.coded_whole_rows_min,
    }
}

/// Whether the limit on memory has room for a part's codes; takes it if so.
fn has_room(inner: &Inner, segment: &Segment, span: &Span) -> bool {
    let (dim, rows) = (inner.shape.dim.as_usize(), span.len() as usize);
    let (byte_codes, bit_codes) = CodedRows::memory_for(inner.shape.metric, dim, rows);
    inner.may_take(segment, span, byte_codes + bit_codes)
}

/// Makes codes of the parts that had them before a merge, before the merged segment takes its place: the vectors of tenants
/// that only share a segment with one that is written to would be scanned for as long as that goes on. Half of the rows that the
/// first codes take are enough, so that a tenant around that does not have them at one time and not at the next; a start, which
/// makes all codes anew, forgets that: few rows are scanned about as fast.
///
/// Nothing else of the shard is sealed or merged meanwhile, so where that is in a hurry the rest is left to [`build_next`], as
/// after a start.
pub(crate) fn carry_over(inner: &Inner, inputs: &[LayerView], merged: &Segment) {
    let had_codes = |span: &Span| {
        let part_of = |view: &LayerView| {
            let segment = view.layer.segment()?;
            let one = Span::find(segment, span.part)?;
            Some((one.len(), segment.codes(one.part).is_some()))
        };
        let parts: Vec<(u32, bool)> = inputs.iter().filter_map(part_of).collect();
        let rows_min = rows_min(&inner.options, span.part);
        // A large part without codes is still to be looked at; a merge does not wait for that.
        span.len() >= rows_min / 2
            && parts.iter().any(|(_, has_codes)| *has_codes)
            && parts.iter().all(|(rows, has_codes)| *has_codes || *rows < NEW_ROWS_MAX.max(rows_min))
    };
    let wanted = missing(inner, merged, u32::MAX, had_codes).into_iter();
    let built: Vec<(Part, Arc<CodedRows>)> = wanted
        .map_while(|span| Some((span.part, build(inner, merged, &span, &|| inner.is_in_a_hurry())?)))
        .collect();
    merged.attach_codes(&built);
}

/// Codes of a part; `None` if it was stopped.
fn build(inner: &Inner, segment: &Segment, span: &Span, stop: &dyn Fn() -> bool) -> Option<Arc<CodedRows>> {
    let (metric, block) = (inner.shape.metric, block_of(segment, span.slots.clone()));
    let bytes = if inner.options.limits_parts() {
        // Of its own, so that it can be dropped on its own.
        CodedRows::bytes_of(block, metric, stop)?
    } else {
        let all = block_of(segment, 0..segment.len());
        let all = segment.bytes_codes(|| CodedRows::bytes_of(all, metric, stop))?;
        all.part(span.slots.start as usize..span.slots.end as usize)
    };
    match CodedRows::build(bytes, block, metric, stop) {
        Coding::Done(coded) => Some(Arc::new(coded.since(inner.now_us()))),
        Coding::Stopped => None,
    }
}

/// Some of a segment's rows, numbered from 0.
pub(crate) fn block_of(segment: &Segment, slots: Range<u32>) -> RowBlock<'_> {
    RowBlock { first_slot: SlotId::new(0), ..segment.block(slots) }
}

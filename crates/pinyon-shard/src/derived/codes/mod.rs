//! Codes of sealed rows: made in the background, a segment's bytes at once and the rest for each of its parts, tested on those
//! rows, then attached to their segment. Until they are there, and wherever they are found to cost more, scans of the vectors
//! answer. Where there is no room for bytes large parts have bits alone, and until bytes are made after a start those that were kept.

mod files;
mod kept;

pub(crate) use files::Files;
pub use kept::KeptCodes;
pub(crate) use kept::{drop_files, load, note_files};

use crate::{
    Scope, ShardOptions, Step,
    inner::Inner,
    rows::{layer::LayerView, part::Part, segment::Segment, span::Span},
};
use pinyon_distance::codes::Int8Rows;
use pinyon_index::{CodedRows, Coding, RowBlock};
use pinyon_types::SlotId;
use std::{ops::Range, sync::Arc};

/// Rows after which the codes made so far are attached: attaching copies a table of all parts of the segment.
const ROWS_PER_STEP: u32 = 50_000;

/// What reading a row's vector costs, in rows whose bits are scanned.
pub(crate) const VECTOR_COST: usize = 30;

/// A merge codes fewer new rows than this beside those that had codes, and leaves more to the background.
const NEW_ROWS_MAX: u32 = 256;

/// What codes a part is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Bytes, and bits if it is large.
    Both,
    /// Bits alone.
    Bits,
}

/// Says what codes a part gets, if any; takes the room.
type Rule<'a> = &'a dyn Fn(&Segment, &Span) -> Option<Wanted>;

/// Makes the next missing codes, then keeps those that are to be kept.
pub(crate) fn derive_next(inner: &Inner, stop: &dyn Fn() -> bool) -> Step {
    match build_next(inner, stop) {
        Step::Idle => kept::keep_next(inner),
        step => step,
    }
}

/// Reads or makes the next missing codes of one segment: first all that were kept, then of parts that have none, then bytes where there
/// are bits alone.
pub(crate) fn build_next(inner: &Inner, stop: &dyn Fn() -> bool) -> Step {
    let state = inner.snapshot.load_full();
    if kept::load(inner, &state, Scope::All, stop) {
        return Step::LoadedCodes;
    }
    let rules: [Rule<'_>; 2] =
        [&|segment, span| first_for(inner, segment, span), &|segment, span| bytes_for(inner, segment, span)];
    let missing = rules.into_iter().find_map(|rule| {
        state.layers.iter().find_map(|view| {
            let segment = view.layer.segment()?;
            let spans =
                missing(segment, ROWS_PER_STEP, |span| is_large(inner, span).then(|| rule(segment, span))?);
            (!spans.is_empty()).then_some((view.layer.id, segment, spans))
        })
    });
    let Some((id, segment, spans)) = missing else { return Step::Idle };
    let is_useless = || stop() || inner.snapshot.load().layer(id).is_none();
    let mut built = Vec::new();
    for (span, wanted) in spans {
        let Some(codes) = build(inner, segment, (&span, wanted), &is_useless) else { return Step::Stopped };
        built.push((span.part, codes));
    }
    segment.attach_codes(&built);
    Step::BuiltCodes
}

/// The parts of a segment that are to get codes: no more than of about `rows_max` rows, because each takes room.
fn missing(
    segment: &Segment,
    rows_max: u32,
    wanted: impl Fn(&Span) -> Option<Wanted>,
) -> Vec<(Span, Wanted)> {
    let mut rows = 0_u32;
    let next = |span: Span| {
        let wanted = (rows < rows_max).then(|| wanted(&span))??;
        rows = rows.saturating_add(span.len());
        Some((span, wanted))
    };
    Span::all(segment).filter_map(next).collect()
}

fn is_large(inner: &Inner, span: &Span) -> bool {
    span.len() >= rows_min(&inner.options, span.part)
}

/// Rows from which on a part gets codes.
pub(crate) const fn rows_min(options: &ShardOptions, part: Part) -> u32 {
    match part {
        Part::Namespace(_) => options.coded_rows_min,
        Part::Whole => options.coded_whole_rows_min,
    }
}

/// Whether a part is large enough for codes and the limit on memory has room for its bits; takes it.
fn takes_bits(inner: &Inner, segment: &Segment, span: &Span) -> bool {
    is_large(inner, span) && inner.may_take(segment, span, bytes_of(inner, span).1)
}

/// What codes a part without any gets, if the limit on memory has room for some; takes it.
fn first_for(inner: &Inner, segment: &Segment, span: &Span) -> Option<Wanted> {
    if segment.codes(span.part).is_some() {
        return None;
    }
    let (of_bytes, of_bits) = (bytes_to_make(inner, segment, span), bytes_of(inner, span).1);
    if inner.may_take(segment, span, of_bytes + of_bits) {
        return Some(Wanted::Both);
    }
    (of_bits > 0 && inner.may_take(segment, span, of_bits)).then_some(Wanted::Bits)
}

/// Whether a part that has bits alone gets bytes; takes the room.
fn bytes_for(inner: &Inner, segment: &Segment, span: &Span) -> Option<Wanted> {
    let has_none = segment.codes(span.part).is_some_and(|codes| !codes.has_bytes());
    (has_none && inner.may_take(segment, span, bytes_to_make(inner, segment, span))).then_some(Wanted::Both)
}

/// Memory of a part's codes of a byte and of a bit a component.
fn bytes_of(inner: &Inner, span: &Span) -> (usize, usize) {
    CodedRows::memory_for(inner.shape.metric, inner.shape.dim.as_usize(), span.len() as usize)
}

/// Memory of the bytes that have to be made for a part: of the whole segment, unless each part has its own.
fn bytes_to_make(inner: &Inner, segment: &Segment, span: &Span) -> usize {
    if inner.options.limits_parts() {
        return bytes_of(inner, span).0;
    }
    if segment.has_bytes_codes() { 0 } else { bytes_of(inner, &Span::whole(segment)).0 }
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
    let wanted = missing(merged, u32::MAX, |span| had_codes(span).then(|| first_for(inner, merged, span))?);
    let stop = || inner.is_in_a_hurry();
    let built: Vec<(Part, Arc<CodedRows>)> = wanted
        .into_iter()
        .map_while(|(span, wanted)| Some((span.part, build(inner, merged, (&span, wanted), &stop)?)))
        .collect();
    merged.attach_codes(&built);
}

/// Codes of a part; `None` if it was stopped.
fn build(
    inner: &Inner,
    segment: &Segment,
    (span, wanted): (&Span, Wanted),
    stop: &dyn Fn() -> bool,
) -> Option<Arc<CodedRows>> {
    let (metric, block) = (inner.shape.metric, block_of(segment, span.slots.clone()));
    let coding = match wanted {
        Wanted::Bits => CodedRows::build_bits(block, metric, stop)?,
        Wanted::Both => {
            CodedRows::build(bytes_codes(inner, segment, (span, block), stop)?, block, metric, stop)
        }
    };
    match coding {
        Coding::Done(coded) => Some(Arc::new(coded.since(inner.now_us()))),
        Coding::Stopped => None,
    }
}

/// A part's codes of a byte a component; `None` if it was stopped.
fn bytes_codes(
    inner: &Inner,
    segment: &Segment,
    (span, block): (&Span, RowBlock<'_>),
    stop: &dyn Fn() -> bool,
) -> Option<Int8Rows> {
    let metric = inner.shape.metric;
    if inner.options.limits_parts() {
        // Of its own, so that it can be dropped on its own.
        return CodedRows::bytes_of(block, metric, stop);
    }
    let all = block_of(segment, 0..segment.len());
    let all = segment.bytes_codes(|| CodedRows::bytes_of(all, metric, stop))?;
    Some(all.part(span.slots.start as usize..span.slots.end as usize))
}

/// Some of a segment's rows, numbered from 0.
pub(crate) fn block_of(segment: &Segment, slots: Range<u32>) -> RowBlock<'_> {
    RowBlock { first_slot: SlotId::new(0), ..segment.block(slots) }
}

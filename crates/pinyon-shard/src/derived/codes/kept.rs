//! Bits in files beside their segments: a restart searches large parts by them at once, long before it has read the vectors that codes
//! are made from.

use super::{files::Kept, takes_bits};
use crate::{
    DiskLevel, Scope, ShardError, Step,
    derived::files::{
        DerivedFile, Kind, Property, RECALL_NUMBERS, decode_recall, encode_recall, outcome_of, part_of,
        rows_of, segment_of,
    },
    inner::Inner,
    metric_code::metric_code,
    rows::{layer::LayerView, part::Part, segment::Segment, snapshot::Snapshot, span::Span},
};
use pinyon_index::{CodedRows, CodesTest, KeptBits, Recall};
use pinyon_storage::segment::SegmentFile;
use pinyon_types::SegmentId;
use std::sync::{Arc, PoisonError, atomic::Ordering};

/// Tags of the sections; none is another kind's, so that no file can pass for another.
mod tag {
    /// What the codes were made for and what was found of them, numbers of eight bytes.
    pub(super) const PURPOSE: u32 = 121;
    /// The mean of all rotated points, f32.
    pub(super) const MEAN: u32 = 122;
    /// Bits and terms of each row, words of eight bytes.
    pub(super) const WORDS: u32 = 123;
}

/// What is written; a reader knows no other.
const VERSION: u64 = 1;

/// Notes which files there are.
pub(crate) fn note_files(layers: &[LayerView], names: &[String]) {
    for name in names {
        let Some((id, part)) = segment_of(name).zip(part_of(Kind::Bits, name)) else { continue };
        let view = layers.iter().find(|view| view.layer.id == id);
        if let Some(segment) = view.and_then(|view| view.layer.segment()) {
            segment.kept_codes().note(part, Some(Kept::Here));
            segment.kept_codes().wait();
        }
    }
}

/// Reads the codes in a scope that lie in files and were not read yet: a search would go over all vectors otherwise. Returns whether it
/// did, or found that a file is not good. `stop` is asked before each.
pub(crate) fn load(inner: &Inner, state: &Snapshot, scope: Scope<'_>, stop: &dyn Fn() -> bool) -> bool {
    let mut has_loaded = false;
    if inner.is_given_up.load(Ordering::Acquire) {
        return has_loaded;
    }
    for view in &state.layers {
        let waiting = view.layer.segment().filter(|segment| segment.kept_codes().are_waiting());
        let Some(segment) = waiting else { continue };
        // First: what is dropped from now on waits again.
        segment.kept_codes().are_waiting.store(false, Ordering::SeqCst);
        let parts = segment.kept_codes().here();
        let is_left = |part: &Part| segment.codes(*part).is_none();
        if parts.iter().any(is_left) {
            segment.kept_codes().wait();
        }
        for part in parts.into_iter().filter(|part| is_asked(scope, *part)) {
            let _reading = segment.kept_codes().reading.lock().unwrap_or_else(PoisonError::into_inner);
            let span = Span::find(segment, part).filter(|_| is_left(&part) && !stop());
            if let Some(span) = span.filter(|span| takes_bits(inner, segment, span)) {
                load_one(inner, view.layer.id, segment, &span);
                has_loaded = true;
            }
        }
    }
    has_loaded
}

fn is_asked(scope: Scope<'_>, part: Part) -> bool {
    match part {
        Part::Whole => true,
        Part::Namespace(id) => scope.contains(id),
    }
}

/// Reads the codes of a part from their file; if it is not good, it is gone.
fn load_one(inner: &Inner, id: SegmentId, segment: &Segment, span: &Span) {
    let file = DerivedFile::new(inner, Kind::Bits, span.part, id);
    match file.load(|found| read(inner, (segment, span), found, &file)) {
        Some(codes) => segment.attach_codes(&[(span.part, Arc::new(codes))]),
        None => segment.kept_codes().note(span.part, None),
    }
}

fn read(
    inner: &Inner,
    (segment, span): (&Segment, &Span),
    found: &SegmentFile,
    file: &DerivedFile<'_>,
) -> Result<CodedRows, ShardError> {
    let damaged = |what: String| ShardError::damaged(&file.path, what);
    let outcome =
        outcome_of(&properties(inner, segment, span), found.u64s(tag::PURPOSE)?).map_err(damaged)?;
    let (lifted_to, test, since_us) =
        decoded(outcome).ok_or_else(|| damaged("it does not say what was found of its codes".into()))?;
    let kept = KeptBits { lifted_to, test, mean: found.f32s(tag::MEAN)?, words: found.u64s(tag::WORDS)? };
    let (metric, dim, rows) = (inner.shape.metric, inner.shape.dim.as_usize(), span.len() as usize);
    let codes = CodedRows::of_kept(metric, dim, rows, kept);
    Ok(codes.ok_or_else(|| damaged("its codes are not those of so many rows".into()))?.since(since_us))
}

/// Gives the room of all files back to a disk that has none: they are made again once it has.
pub(crate) fn drop_files(inner: &Inner) {
    for view in &inner.snapshot.load().layers {
        let Some(segment) = view.layer.segment() else { continue };
        for part in segment.kept_codes().here() {
            let _reading = segment.kept_codes().reading.lock().unwrap_or_else(PoisonError::into_inner);
            if inner.io.remove(&DerivedFile::new(inner, Kind::Bits, part, view.layer.id).path).is_ok() {
                segment.kept_codes().note(part, None);
            }
        }
    }
}

/// Keeps the next codes that are to be kept and are not, unless room is scarce.
pub(super) fn keep_next(inner: &Inner) -> Step {
    if inner.options.disk.as_ref().is_some_and(|disk| disk.level() != DiskLevel::Ample) {
        return Step::Idle;
    }
    let state = inner.snapshot.load_full();
    for view in &state.layers {
        let Some(segment) = view.layer.segment() else { continue };
        for span in Span::all(segment) {
            if !CodedRows::can_keep(span.len() as usize) || segment.kept_codes().of(span.part).is_some() {
                continue;
            }
            let codes = segment.codes(span.part);
            if let Some((codes, kept)) = codes.as_ref().and_then(|codes| Some((codes, codes.kept()?))) {
                keep(inner, (view.layer.id, segment, &span), kept, codes.since_us());
                return Step::KeptCodes;
            }
        }
    }
    Step::Idle
}

fn keep(inner: &Inner, (id, segment, span): (SegmentId, &Segment, &Span), kept: KeptBits<'_>, since_us: u64) {
    let purpose = properties(inner, segment, span).into_iter().map(|(_, number)| number);
    let purpose: Vec<u64> = purpose.chain(encoded(kept, since_us)).collect();
    let file = DerivedFile::new(inner, Kind::Bits, span.part, id);
    let is_kept = file.keep(size_of_val(kept.words), |writer| {
        writer.begin(tag::PURPOSE)?;
        writer.write(bytemuck::cast_slice(&purpose))?;
        writer.begin(tag::MEAN)?;
        writer.write(bytemuck::cast_slice(kept.mean))?;
        writer.begin(tag::WORDS)?;
        writer.write(bytemuck::cast_slice(kept.words))
    });
    segment.kept_codes().note(span.part, Some(if is_kept { Kept::Here } else { Kept::Not }));
}

/// Everything on which codes depend.
fn properties(inner: &Inner, segment: &Segment, span: &Span) -> Vec<Property> {
    let metric = u64::from(metric_code(inner.shape.metric));
    let rows = rows_of(segment, span, inner.shape.dim.get());
    [("version", VERSION), ("metric", metric)].into_iter().chain(rows).collect()
}

/// How many numbers tell what was found.
const OUTCOME: usize = 6 + RECALL_NUMBERS;

fn encoded(kept: KeptBits<'_>, since_us: u64) -> [u64; OUTCOME] {
    let KeptBits { lifted_to, test, .. } = kept;
    let CodesTest { deviations, recall, bytes_read, vectors_read, is_dear } = test;
    let [mean, lower, upper, queries, asked] = encode_recall(recall);
    let [lifted_to, deviations] = [lifted_to, deviations].map(|number| u64::from(number.to_bits()));
    [
        lifted_to,
        deviations,
        bytes_read,
        vectors_read,
        is_dear.into(),
        mean,
        lower,
        upper,
        queries,
        asked,
        since_us,
    ]
}

/// The same from numbers that nobody vouches for.
fn decoded(numbers: &[u64]) -> Option<(f32, CodesTest, u64)> {
    let [lifted_to, deviations, bytes_read, vectors_read, is_dear, recall @ .., since_us] = numbers else {
        return None;
    };
    let recall = decode_recall(recall.try_into().ok()?)?;
    let number = |bits: u64| u32::try_from(bits).ok().map(f32::from_bits);
    let deviations = number(*deviations).filter(|deviations| (0.0..=DEVIATIONS_MAX).contains(deviations))?;
    let (bytes_read, vectors_read, is_dear) = (*bytes_read, *vectors_read, *is_dear == 1);
    let test = CodesTest { deviations, recall, bytes_read, vectors_read, is_dear };
    Some((number(*lifted_to)?, test, *since_us))
}

/// What a file of codes says of their test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeptCodes {
    /// The number of the namespace whose rows they are; `None` of all rows of a segment.
    pub namespace: Option<u64>,
    /// Rows.
    pub rows: u64,
    /// The recall that was found.
    pub recall: Recall,
    /// When, in microseconds since 1970; 0 if nobody told the time.
    pub since_us: u64,
}

impl KeptCodes {
    /// Reads it.
    ///
    /// # Errors
    /// A file that is none of codes, or of another version.
    pub fn of(file: &SegmentFile) -> Result<Self, String> {
        let section = file.u64s(tag::PURPOSE).map_err(|error| error.to_string())?;
        let [version, _, kind, namespace, _, _, rows, _, outcome @ ..] = section else {
            return Err("it does not say what it is for".into());
        };
        let found = decoded(outcome).filter(|_| *version == VERSION);
        let (_, CodesTest { recall, .. }, since_us) =
            found.ok_or_else(|| format!("its version is {version}, expected {VERSION}"))?;
        Ok(Self { namespace: (*kind == 1).then_some(*namespace), rows: *rows, recall, since_us })
    }
}

/// No self-test asks for more.
const DEVIATIONS_MAX: f32 = 100.0;

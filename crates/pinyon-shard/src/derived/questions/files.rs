//! Questions in files, so that a restart need not learn anew what people ask. Derived, as graphs are: a file that is missing, damaged or
//! of another version is done without, and one that cannot be written changes nothing but what the next start knows.

use crate::{
    QuestionsKept, ShardError, Step,
    inner::Inner,
    rows::{part::Part, segment::remove_leftover},
};
use pinyon_storage::segment::{SegmentError, SegmentHead, SegmentWriter};
use pinyon_types::{NamespaceId, SegmentId};
use std::path::PathBuf;

/// Tags of the sections; none is a segment's or a graph's.
mod tag {
    /// What the file is of, numbers of eight bytes.
    pub(super) const PURPOSE: u32 = 111;
    /// Vectors, f32, one after the other.
    pub(super) const VECTORS: u32 = 112;
}

/// What is written; a reader knows no other.
const VERSION: u64 = 1;
const BEGINNING: &str = "questions.";
const ENDING: &str = ".sample";
const ALL: &str = "all";

/// Whether a file of this name holds a sample of questions.
pub(crate) fn is_sample_file_name(name: &str) -> bool {
    name.ends_with(ENDING)
}

/// Forgets everything about a part, in memory and on disk.
pub(crate) fn forget(inner: &Inner, part: Part) {
    inner.questions.forget(part);
    if inner.options.questions_kept == QuestionsKept::Disk {
        remove(inner, part);
    }
}

/// Writes the next file that is due.
pub(crate) fn keep_next(inner: &Inner) -> Step {
    if inner.options.questions_kept != QuestionsKept::Disk {
        return Step::Idle;
    }
    let Some((part, questions)) = inner.questions.take_due() else { return Step::Idle };
    keep(inner, part, &questions);
    Step::KeptQuestions
}

/// Writes whatever no file has.
pub(crate) fn keep_all(inner: &Inner) {
    if inner.options.questions_kept != QuestionsKept::Disk {
        return;
    }
    while let Some((part, questions)) = inner.questions.take_unsaved(|sample| sample.unsaved > 0) {
        keep(inner, part, &questions);
    }
}

/// Reads what an earlier run kept. Files that nobody wants any longer are removed: of namespaces without records, and all of them where
/// questions are not to be on disk.
pub(crate) fn restore(inner: &Inner, names: &[String]) {
    for (name, part) in names.iter().filter_map(|name| Some((name, part_of(name)?))) {
        let is_wanted = inner.options.questions_kept == QuestionsKept::Disk && has_records(inner, part);
        let read = is_wanted.then(|| read(inner, part));
        if let Some(Err(error)) = &read {
            warn(inner, "kept questions are not good and are left out", name, error);
        }
        if !matches!(read, Some(Ok(()) | Err(ShardError::Segment(SegmentError::Io { .. })))) {
            remove(inner, part);
        }
    }
}

fn keep(inner: &Inner, part: Part, questions: &[Vec<f32>]) {
    if let Err(error) = write(inner, part, questions) {
        warn(inner, "questions not kept for the next start", &file_name(part), &error);
    }
    // Whoever deleted the namespace meanwhile found no file yet.
    if !has_records(inner, part) {
        remove(inner, part);
    }
}

fn write(inner: &Inner, part: Part, questions: &[Vec<f32>]) -> Result<(), ShardError> {
    let path = path_of(inner, part);
    // What is sealed does not take the place of another file.
    remove(inner, part);
    remove_leftover(&inner.io, &path)?;
    let head = SegmentHead { owner: inner.place.owner, segment: NO_SEGMENT };
    inner.check_spare(questions.iter().map(|question| size_of_val(&question[..]) as u64).sum())?;
    let mut writer = SegmentWriter::create(&inner.io, &path, head)?;
    writer.begin(tag::PURPOSE)?;
    writer.write(bytemuck::cast_slice(&purpose(inner, part)))?;
    writer.begin(tag::VECTORS)?;
    questions.iter().try_for_each(|question| writer.write(bytemuck::cast_slice(question)))?;
    writer.finish()?;
    Ok(())
}

fn read(inner: &Inner, part: Part) -> Result<(), ShardError> {
    let path = path_of(inner, part);
    let file = inner.place.open(&inner.io, &path, NO_SEGMENT)?;
    if file.u64s(tag::PURPOSE)? != purpose(inner, part) {
        return Err(ShardError::damaged(path, "it is of another version, namespace or dimension"));
    }
    inner.questions.put_back(part, file.f32s(tag::VECTORS)?, inner.shape.dim.as_usize());
    Ok(())
}

fn remove(inner: &Inner, part: Part) {
    let path = path_of(inner, part);
    let removed = match inner.io.exists(&path) {
        Ok(false) => return,
        Ok(true) => inner.io.remove(&path),
        Err(error) => Err(error),
    };
    if let Err(error) = removed.map_err(ShardError::io(&path)) {
        warn(inner, "a file of questions stays until the next start", &file_name(part), &error);
    }
}

/// Version, kind of part and number of its namespace, components.
fn purpose(inner: &Inner, part: Part) -> [u64; 4] {
    let (kind, namespace) = part.numbers();
    [VERSION, kind, namespace, u64::from(inner.shape.dim.get())]
}

fn has_records(inner: &Inner, part: Part) -> bool {
    let state = inner.snapshot.load();
    match part {
        Part::Namespace(id) => state.has_records(id),
        Part::Whole => state.rows() > 0,
    }
}

/// No segment has the number 0.
const NO_SEGMENT: SegmentId = SegmentId::new(0);

fn path_of(inner: &Inner, part: Part) -> PathBuf {
    inner.dir.join(file_name(part))
}

fn file_name(part: Part) -> String {
    match part {
        Part::Namespace(id) => format!("{BEGINNING}namespace-{:016}{ENDING}", id.get()),
        Part::Whole => format!("{BEGINNING}{ALL}{ENDING}"),
    }
}

/// The part whose questions a file holds, if it holds any.
fn part_of(name: &str) -> Option<Part> {
    let part = name.strip_prefix(BEGINNING)?.strip_suffix(ENDING)?;
    if part == ALL {
        return Some(Part::Whole);
    }
    let id = NamespaceId::new(part.strip_prefix("namespace-")?.parse().ok()?);
    Some(Part::Namespace(id)).filter(|part| file_name(*part) == name)
}

fn warn(inner: &Inner, what: &'static str, file: &str, error: &ShardError) {
    tracing::warn!(shard = inner.shape.shard.get(), file, error = %error, "{what}");
}

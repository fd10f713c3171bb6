//! Files of what is made of a segment's rows: their names, and how they are read, written and removed. Each lies beside its segment. One
//! that is missing, damaged, of another version or made for other rows or settings is removed, and what it held is made as if it had
//! never been there; one that cannot be read now or written is done without.

use crate::{
    ShardError,
    inner::Inner,
    rows::{
        part::Part,
        segment::{Segment, remove_leftover},
        span::Span,
    },
};
use pinyon_index::{Asked, Recall};
use pinyon_storage::{
    io::unfinished_path,
    segment::{SegmentError, SegmentFile, SegmentHead, SegmentWriter},
};
use pinyon_types::{NamespaceId, SegmentId, ShardId};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A graph.
    Graph,
    /// Codes of a bit a component.
    Bits,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Graph, Self::Bits];

    const fn ending(self) -> &'static str {
        match self {
            Self::Graph => ".graph",
            Self::Bits => ".bits",
        }
    }
}

/// The name of the file of something that was made of a part.
pub(crate) fn file_name(kind: Kind, part: Part, segment: SegmentId) -> String {
    let part = match part {
        Part::Namespace(id) => format!("namespace-{:016}", id.get()),
        Part::Whole => "all".into(),
    };
    format!("segment-{:016}.{part}{}", segment.get(), kind.ending())
}

/// Whether a file is of something that was made of a segment's rows.
pub(crate) fn is_derived_file_name(name: &str) -> bool {
    Kind::ALL.iter().any(|kind| name.ends_with(kind.ending()))
}

/// The segment to which a file belongs, if it is of something made of its rows.
pub(crate) fn segment_of(name: &str) -> Option<SegmentId> {
    let stem = Kind::ALL.iter().find_map(|kind| name.strip_suffix(kind.ending()))?;
    number(stem.strip_prefix("segment-")?.split_once('.')?.0).map(SegmentId::new)
}

/// The part of which a file holds this kind of thing, if it does.
pub(crate) fn part_of(kind: Kind, name: &str) -> Option<Part> {
    let (_, part) = name.strip_suffix(kind.ending())?.split_once('.')?;
    match part.strip_prefix("namespace-") {
        Some(digits) => number(digits).map(|id| Part::Namespace(NamespaceId::new(id))),
        None => (part == "all").then_some(Part::Whole),
    }
}

fn number(digits: &str) -> Option<u64> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// Properties of what a file was made for, each with its name.
pub(crate) type Property = (&'static str, u64);

/// What tells the rows of a part from all others.
pub(crate) fn rows_of(segment: &Segment, span: &Span, components: u32) -> [Property; 6] {
    let (kind, namespace) = span.part.numbers();
    let file = segment.file();
    [
        ("part", kind),
        ("namespace", namespace),
        ("segment's length", file.bytes()),
        // Covers every byte of it.
        ("segment's checksum", u64::from(file.checksum())),
        ("number of rows", u64::from(span.len())),
        ("number of components", u64::from(components)),
    ]
}

/// What follows the properties in a file's first section.
///
/// # Errors
/// The first property that is another.
pub(crate) fn outcome_of<'a>(properties: &[Property], section: &'a [u64]) -> Result<&'a [u64], String> {
    let other = properties.iter().zip(section).find(|((_, expected), found)| expected != *found);
    match other {
        Some(((what, expected), found)) => Err(format!("its {what} is {found}, expected {expected}")),
        None => Ok(section.get(properties.len()..).unwrap_or_default()),
    }
}

/// How many numbers tell a recall.
pub(crate) const RECALL_NUMBERS: usize = 5;

/// A recall as numbers.
pub(crate) fn encode_recall(recall: Recall) -> [u64; RECALL_NUMBERS] {
    let Recall { mean, lower, upper, queries, asked } = recall;
    let asked = match asked {
        Asked::Probes => 0,
        Asked::Questions => 1,
    };
    let bits = f64::to_bits;
    [bits(mean), bits(lower), bits(upper), queries as u64, asked]
}

/// The same from numbers that nobody vouches for.
pub(crate) fn decode_recall([mean, lower, upper, queries, asked]: [u64; RECALL_NUMBERS]) -> Option<Recall> {
    let asked = match asked {
        0 => Asked::Probes,
        1 => Asked::Questions,
        _ => return None,
    };
    let share = |bits: u64| Some(f64::from_bits(bits)).filter(|share| (0.0..=1.0).contains(share));
    let queries = usize::try_from(queries).ok()?;
    Some(Recall { mean: share(mean)?, lower: share(lower)?, upper: share(upper)?, queries, asked })
}

/// A file's place.
pub(crate) struct DerivedFile<'a> {
    inner: &'a Inner,
    segment: SegmentId,
    /// What it holds, for people.
    what: &'static str,
    pub(crate) path: PathBuf,
}

impl<'a> DerivedFile<'a> {
    pub(crate) fn new(inner: &'a Inner, kind: Kind, part: Part, segment: SegmentId) -> Self {
        let what = match kind {
            Kind::Graph => "graph",
            Kind::Bits => "codes",
        };
        Self { inner, segment, what, path: inner.dir.join(file_name(kind, part, segment)) }
    }

    /// What is kept here, if it is good. A file that was read and is not good is removed; of one that the system did not let us read
    /// nothing is known, so it stays until what is made instead takes its place.
    pub(crate) fn load<T>(&self, read: impl FnOnce(&SegmentFile) -> Result<T, ShardError>) -> Option<T> {
        let io = &self.inner.io;
        if !io.exists(&self.path).is_ok_and(|exists| exists) {
            return None;
        }
        let file = self.inner.place.open(io, &self.path, self.segment);
        match file.map_err(ShardError::from).and_then(|file| read(&file)) {
            Ok(found) => Some(found),
            Err(error @ ShardError::Segment(SegmentError::Io { .. })) => {
                self.warn("what was kept could not be read and is made again", &error);
                None
            }
            Err(error) => {
                self.warn("what was kept is not good and is made again", &error);
                // If it stays, the new one cannot take its place, and says so.
                let _ = io.remove(&self.path);
                None
            }
        }
    }

    /// Keeps something of about so many bytes; returns whether it did. The shard goes on without the file if it cannot be written.
    pub(crate) fn keep(
        &self,
        bytes: usize,
        write: impl FnOnce(&mut SegmentWriter) -> Result<(), SegmentError>,
    ) -> bool {
        let inner = self.inner;
        let kept = self.write(bytes, write);
        if let Err(error) = &kept {
            self.warn("not kept, a restart will make it again", error);
            // What is unfinished takes room that the disk may lack; the next start removes it if this does not.
            let _ = inner.io.remove(&unfinished_path(&self.path));
        }
        // A merge removes the files that it finds when its segment has taken the place of this one. So either it has found
        // this file, or the segment is seen to be gone here.
        if inner.snapshot.load().layer(self.segment).is_none() {
            let _ = inner.io.remove(&self.path);
        }
        kept.is_ok()
    }

    fn write(
        &self,
        bytes: usize,
        write: impl FnOnce(&mut SegmentWriter) -> Result<(), SegmentError>,
    ) -> Result<(), ShardError> {
        let (inner, io) = (self.inner, &self.inner.io);
        remove_leftover(io, &self.path)?;
        inner.check_spare(bytes as u64)?;
        let head = SegmentHead { owner: inner.place.owner, segment: self.segment };
        let mut writer = SegmentWriter::create(io, &self.path, head)?;
        write(&mut writer)?;
        writer.finish()?;
        Ok(())
    }

    fn warn(&self, message: &'static str, error: &ShardError) {
        let (shard, file, what) = (self.inner.shape.shard.get(), self.path.display(), self.what);
        tracing::warn!(shard, file = %file, what, error = %error, "{message}");
    }
}

/// Removes what was made of segments that are gone from the manifest (SEG-3). What cannot be removed is at the next start.
pub(crate) fn remove_of(inner: &Inner, gone: &BTreeSet<SegmentId>) {
    let names = match inner.io.list(&inner.dir) {
        Ok(names) => names,
        Err(error) => return warn_left(inner.shape.shard, &inner.dir, &error),
    };
    let is_gone = |name: &&String| segment_of(name).is_some_and(|segment| gone.contains(&segment));
    for path in names.iter().filter(is_gone).map(|name| inner.dir.join(name)) {
        if let Err(error) = inner.io.remove(&path) {
            warn_left(inner.shape.shard, &path, &error);
        }
    }
}

fn warn_left(shard: ShardId, path: &Path, error: &std::io::Error) {
    let shard = shard.get();
    tracing::warn!(shard, file = %path.display(), error = %error, "what was made of merged segments is left until the next start");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_it_is_and_whose() {
        let segment = SegmentId::new(7);
        for kind in Kind::ALL {
            for part in [Part::Namespace(NamespaceId::new(12)), Part::Whole] {
                let name = file_name(kind, part, segment);
                assert!(is_derived_file_name(&name), "{name}");
                assert_eq!(segment_of(&name), Some(segment), "{name}");
                let parts = Kind::ALL.map(|other| part_of(other, &name));
                assert_eq!(parts, Kind::ALL.map(|other| (other == kind).then_some(part)), "{name}");
            }
        }
        assert_eq!(file_name(Kind::Graph, Part::Whole, segment), "segment-0000000000000007.all.graph");
        for other in ["segment-0000000000000007.seg", "segment-.all.graph", "segment-+7.all.bits", "x.graph"]
        {
            assert_eq!(segment_of(other), None, "{other}");
        }
        for other in ["segment-0000000000000007.nobody.bits", "segment-0000000000000007.namespace-.bits"] {
            assert_eq!(part_of(Kind::Bits, other), None, "{other}");
        }
    }
}

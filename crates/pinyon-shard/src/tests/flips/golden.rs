//! The directories whose bytes are damaged, and what must come of each byte.

use super::{
    super::{DIR, shape, sparse_shape},
    answers, derive, disk, open, put,
    world::World,
};
use crate::{Change, ShardShape, Step};
use pinyon_storage::{
    io::SharedIo,
    manifest::MANIFEST_FILE_NAME,
    segment::SegmentFile,
    wal::{self, LogEnd, LogReport},
};
use pinyon_types::{Metric, SeededRng};
use std::{collections::BTreeMap, ops::Range, path::Path};

/// Rows of a namespace that has a graph: no other has so many.
pub(super) const GRAPH_ROWS: u32 = 30;
/// A closing frame.
const END_BYTES: u64 = 32;

/// What damage leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An error that names the file.
    Refused,
    /// The same in everything.
    Same,
    /// The log up to this entry.
    CutTo(u64),
}

impl Outcome {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Same => "the same",
            Self::CutTo(_) => "last batch cut",
        }
    }
}

#[derive(Debug)]
pub(super) struct GoldenFile {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    outcomes: Vec<(Range<u64>, Outcome)>,
}

impl GoldenFile {
    fn new(name: impl Into<String>, bytes: Vec<u8>, outcome: Outcome) -> Self {
        let outcomes = vec![(0..bytes.len() as u64, outcome)];
        Self { name: name.into(), bytes, outcomes }
    }

    pub(super) fn outcome(&self, offset: usize) -> Outcome {
        let found = self.outcomes.iter().find(|(span, _)| span.contains(&(offset as u64)));
        found.expect("every byte has an outcome").1
    }
}

pub(super) struct Golden {
    pub(super) name: &'static str,
    pub(super) shape: ShardShape,
    pub(super) files: Vec<GoldenFile>,
    pub(super) last_seq: u64,
    /// By the last entry of the log: of the whole directory, and of what a cut may leave.
    pub(super) answers: BTreeMap<u64, Vec<String>>,
}

/// What FORMAT.md says of damage to a log that others follow.
fn needed_log(report: &LogReport) -> Vec<(Range<u64>, Outcome)> {
    vec![(0..report.bytes, Outcome::Refused)]
}

/// ... and to the last log: if it was not closed, damage to its last batch cannot be told from a write that was torn;
/// each entry before the damaged one is whole. What is not zero behind its frames is such a write, or was a closing frame.
fn last_log(report: &LogReport, batch: usize) -> Vec<(Range<u64>, Outcome)> {
    let ends = report.frames.iter().skip(1).map(|frame| frame.offset);
    let is_closed = report.end == LogEnd::Closed;
    let entries_end = report.used_bytes - if is_closed { END_BYTES } else { 0 };
    let spans = report.frames.iter().zip(ends.chain([entries_end]));
    let whole = report.frames.len() - if is_closed { 0 } else { batch };
    let mut outcomes = vec![(0..report.frames[0].offset, Outcome::Refused)];
    outcomes.extend(spans.enumerate().map(|(at, (frame, end))| {
        let cut = Outcome::CutTo(frame.seq.get() - 1);
        (frame.offset..end, if at < whole { Outcome::Refused } else { cut })
    }));
    outcomes.push((entries_end..report.bytes, Outcome::Same));
    outcomes
}

/// The directory as a kill would leave it now. `batch` tells how many entries the last write to the log had.
fn leave(name: &'static str, world: &World, batch: usize) -> Golden {
    let logs = world.logs();
    let (last, _) = logs.last().unwrap();
    let mut files: Vec<GoldenFile> = Vec::new();
    for name in world.io.list(Path::new(DIR)).unwrap() {
        let bytes = world.io.read(&Path::new(DIR).join(&name)).unwrap();
        let mut file = GoldenFile::new(&*name, bytes, Outcome::Refused);
        if name.ends_with(".graph") {
            file.outcomes = vec![(0..file.bytes.len() as u64, Outcome::Same)];
        }
        if let Some((_, report)) = logs.iter().find(|(log, _)| *log == name) {
            file.outcomes = if name == *last { last_log(report, batch) } else { needed_log(report) };
        }
        files.push(file);
    }
    let last_seq = world.shard.last_seq().get();
    let mut golden = Golden { name, shape: world.shape, files, last_seq, answers: BTreeMap::new() };
    golden.learn_answers(world);
    golden
}

impl Golden {
    /// A log that ends before an entry of its last batch is what that entry's damage must lead to.
    fn learn_answers(&mut self, world: &World) {
        let shard = open(&disk(&self.files), self.shape).unwrap();
        world.assert_holds(&shard, self.last_seq);
        if self.has_graph() {
            assert_eq!(derive(&shard), [Step::BuiltCodes, Step::LoadedGraph], "the golden graph is good");
        }
        self.answers.insert(self.last_seq, answers::of(&shard));
        let log = self.files.iter().rfind(|file| wal::is_log_file_name(&file.name)).unwrap();
        for (span, outcome) in &log.outcomes {
            let Outcome::CutTo(seq) = *outcome else { continue };
            let io = disk(&self.files);
            put(&io, &log.name, &log.bytes[..span.start as usize]);
            let shard = open(&io, self.shape).unwrap();
            world.assert_holds(&shard, seq);
            self.answers.insert(seq, answers::of(&shard));
        }
    }

    /// Adds a file that nobody needs: no byte of it matters.
    fn add_needless(&mut self, name: &str, bytes: Vec<u8>) {
        assert!(self.files.iter().all(|file| file.name != name), "{name} is there already");
        self.files.push(GoldenFile::new(name, bytes, Outcome::Same));
        self.files.sort_by(|one, other| one.name.cmp(&other.name));
    }

    fn graph(&self) -> Option<&GoldenFile> {
        self.files.iter().find(|file| file.name.ends_with(".graph"))
    }

    pub(super) fn has_graph(&self) -> bool {
        self.graph().is_some()
    }

    /// Whatever became of the graph's file, what lies there now is what lay there before.
    pub(super) fn check_graph(&self, io: &SharedIo) -> Result<(), String> {
        let is_same = self.graph().is_none_or(|file| read(io, &file.name) == file.bytes);
        is_same.then_some(()).ok_or_else(|| "damage to the graph's file was not noticed".into())
    }

    fn file(&self, name: &str) -> &GoldenFile {
        self.files.iter().find(|file| file.name == name).unwrap()
    }
}

fn read(io: &SharedIo, name: &str) -> Vec<u8> {
    io.read(&Path::new(DIR).join(name)).unwrap()
}

/// Overwrites and deletes what lies in segments.
fn kill_records(world: &mut World, space: u64) {
    let ids = world.ids(space, 3);
    world.write(space, Change::DeleteIds(ids[..2].to_vec()));
    world.write_kinds(space, 2..4);
    world.write_some(1);
}

/// Segments that were sealed and one that was merged, with records killed over all of them, and a log that ends with
/// three writes in one. Beside them, what kills in the middle of a merge, a seal and a change of the manifest leave.
pub(super) fn killed() -> Golden {
    let mut world = World::new(shape(Metric::DotProduct), 11);
    let orphan = merge(&mut world);
    for space in 1..3 {
        kill_records(&mut world, space);
        world.shard.seal().unwrap();
    }
    let obsolete = seal(&mut world);
    world.write_some(2);
    let upsert = |seed| super::super::upsert(1, &mut SeededRng::new(seed));
    let deleted = Change::DeleteIds(world.ids(1, 2));
    world.write_together(vec![(0, upsert(1)), (1, deleted), (2, upsert(2))]);
    assert_has_everything(&world);
    let mut golden = leave("killed", &world, 3);
    let manifest = golden.file(MANIFEST_FILE_NAME).bytes.clone();
    let unfinished = ("MANIFEST.tmp".to_owned(), manifest[..manifest.len() / 2].to_vec());
    [orphan, obsolete, unfinished].into_iter().for_each(|(name, bytes)| golden.add_needless(&name, bytes));
    golden
}

/// Merges two segments into one; returns one of the two as a kill before its removal leaves it.
fn merge(world: &mut World) -> (String, Vec<u8>) {
    (0..4).for_each(|space| world.write_kinds(space, 0..3));
    world.write_some(1);
    world.shard.seal().unwrap();
    kill_records(world, 0);
    world.shard.seal().unwrap();
    let name = segments(world).swap_remove(1);
    let bytes = read(&world.io, &name);
    world.shard.compact().unwrap();
    (name, bytes)
}

/// Seals; returns the old log as a kill before its removal leaves it.
fn seal(world: &mut World) -> (String, Vec<u8>) {
    kill_records(world, 3);
    world.seal_half();
    let (name, _) = world.logs().swap_remove(0);
    let bytes = read(&world.io, &name);
    world.shard.seal().unwrap();
    (name, bytes)
}

fn segments(world: &World) -> Vec<String> {
    let names = world.io.list(Path::new(DIR)).unwrap();
    names.into_iter().filter(|name| name.ends_with(".seg")).collect()
}

/// Asserts that the golden directory is worth its name.
fn assert_has_everything(world: &World) {
    let stats = world.shard.stats();
    assert!(stats.segments.len() >= 4 && stats.namespaces.len() == 4 && stats.memtable_rows > 0);
    assert!(stats.segments.iter().filter(|one| one.dead_rows > 0).count() >= 2, "{:?}", stats.segments);
    for name in segments(world) {
        let (file, _) = SegmentFile::open_any(&world.io, &Path::new(DIR).join(name)).unwrap();
        let mut tags: Vec<u32> =
            file.sections().filter(|(_, length)| *length > 0).map(|(tag, _)| tag).collect();
        tags.sort_unstable();
        assert_eq!(tags, (1..=19).collect::<Vec<u32>>(), "sections with something in them");
    }
}

/// The memtable was frozen and its log closed; entries went into the next log, which no manifest names yet.
pub(super) fn killed_while_sealing() -> Golden {
    let mut world = World::new(shape(Metric::Cosine), 12);
    world.write_kinds(0, 0..4);
    world.shard.seal().unwrap();
    kill_records(&mut world, 0);
    world.seal_half();
    world.write_some(3);
    world.write_kinds(1, 0..2);
    leave("killed while sealing", &world, 1)
}

/// Logs that were not closed, one after the other, and nothing in the last one but one entry.
pub(super) fn killed_again_and_again() -> Golden {
    let mut world = World::new(shape(Metric::Euclidean), 13);
    for space in 0..3 {
        world.write_kinds(space, 0..3);
        world.write_some(2);
        world.kill();
    }
    world.write_kinds(3, 0..2);
    leave("killed again and again", &world, 1)
}

/// Closed as it should be, and without dense vectors.
pub(super) fn closed() -> Golden {
    let mut world = World::new(sparse_shape(), 14);
    world.write_kinds(0, 0..5);
    world.write_some(2);
    world.shard.seal().unwrap();
    kill_records(&mut world, 0);
    world.shard.close().unwrap();
    leave("closed", &world, 1)
}

/// A namespace with a graph in a file, some of its rows dead, and another one beside it.
pub(super) fn with_graph() -> Golden {
    let mut world = World::new(shape(Metric::Cosine), 15);
    world.write_kinds(0, 0..u64::from(GRAPH_ROWS));
    world.write_kinds(1, 0..3);
    world.shard.seal().unwrap();
    assert_eq!(derive(&world.shard), [Step::BuiltCodes, Step::BuiltGraph]);
    kill_records(&mut world, 0);
    world.shard.close().unwrap();
    leave("with a graph", &world, 1)
}

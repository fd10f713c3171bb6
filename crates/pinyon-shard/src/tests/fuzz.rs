//! Segments whose sections somebody changed and sealed again, and entries of logs: what opens can be asked everything.

use super::{DIR, flips::answers, id, namespace, open_as, shape, sparse_shape, upsert, without_dense};
use crate::{
    Birth, Change, Namespace, Shard, ShardPlace, ShardShape,
    rows::segment::Segment,
    writing::log_entry::{self, Operation},
};
use pinyon_fuzz::{Seen, Target, bytes};
use pinyon_storage::{
    io::{MemoryIo, SharedIo},
    manifest,
    segment::{SegmentFile, SegmentHead, SegmentWriter, Verify, segment_file_name},
    wal::Frame,
};
use pinyon_types::{Dim, Metadata, Metric, Record, SeededRng, SegmentId, SeqNo, SparseVector, Vector};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Tag and content of every section.
type Sections = Vec<(u32, Vec<u8>)>;

/// The directory of a shard, and one of its segments in pieces.
struct World {
    shape: ShardShape,
    files: Vec<(String, Vec<u8>)>,
    head: SegmentHead,
    sections: Sections,
}

fn disk_of(files: &[(String, Vec<u8>)]) -> SharedIo {
    let io: SharedIo = Arc::new(MemoryIo::new());
    io.create_dir_all(Path::new(DIR)).unwrap();
    for (name, bytes) in files {
        io.create(&Path::new(DIR).join(name)).unwrap().write_at(bytes, 0).unwrap();
    }
    io
}

impl World {
    /// Two segments, of which the later one kills rows of the first, and a log.
    fn new(shape: ShardShape, seed: u64) -> Self {
        let io = disk_of(&[]);
        let shard = open_as(&io, shape).unwrap();
        let mut rng = SeededRng::new(seed);
        let mut write = |count| {
            for space in 0..3 {
                let change = upsert(count, &mut rng);
                let change = if shape.dim.is_none() { without_dense(change) } else { change };
                shard.write(&namespace(space), change).unwrap();
            }
        };
        write(14);
        shard.seal().unwrap();
        write(6);
        shard.write(&namespace(1), Change::DeleteIds(vec![id("r-01"), id("r-07")])).unwrap();
        shard.seal().unwrap();
        write(2);
        shard.close().unwrap();
        drop(shard);
        let names = io.list(Path::new(DIR)).unwrap();
        let files = names.into_iter().map(|name| {
            let bytes = io.read(&Path::new(DIR).join(&name)).unwrap();
            (name, bytes)
        });
        let files: Vec<(String, Vec<u8>)> = files.collect();
        let manifest = manifest::load(&*io, Path::new(DIR)).unwrap().unwrap();
        assert_eq!(manifest.segments.len(), 2, "the world is as it is thought");
        let entry = &manifest.segments[seed as usize % 2];
        let head = SegmentHead { owner: entry.owner, segment: SegmentId::new(entry.id) };
        let file = SegmentFile::open(&io, &path(head), head).unwrap();
        let sections = file.sections().map(|(tag, _)| (tag, file.section(tag).unwrap().to_vec())).collect();
        Self { shape, files, head, sections }
    }

    /// The segment's file, made of other sections.
    fn written(&self, sections: &Sections) -> Vec<u8> {
        let io = disk_of(&[]);
        let mut writer = SegmentWriter::create(&io, &path(self.head), self.head).unwrap();
        for (tag, content) in sections {
            if writer.begin(*tag).is_ok() {
                writer.write(content).unwrap();
            }
        }
        writer.finish().unwrap();
        io.read(&path(self.head)).unwrap()
    }

    fn changed(&self, rng: &mut SeededRng) -> Vec<u8> {
        let mut sections = self.sections.clone();
        let others: Vec<Vec<u8>> = sections.iter().map(|(_, content)| content.clone()).collect();
        for _ in 0..=rng.below(2) {
            let at = bytes::below(rng, sections.len());
            match rng.below(12) {
                0 => drop(sections.remove(at)),
                1 => sections[at].0 = 1 + rng.below(19) as u32,
                2 => sections[at].1 = bytes::pick(rng, &others).clone(),
                3 => sections[at].1.clear(),
                4 => permute(rng, &mut sections[at].1),
                _ => bytes::change(rng, &mut sections[at].1, &others),
            }
        }
        self.written(&sections)
    }

    /// The directory with another file in the place of the segment, and a manifest that names it.
    fn opened_with(&self, segment: &[u8]) -> Result<Shard, String> {
        let name = segment_file_name(self.head.segment);
        let mut files = self.files.clone();
        files.iter_mut().filter(|(file, _)| *file == name).for_each(|(_, bytes)| *bytes = segment.to_vec());
        let io = disk_of(&files);
        let opened = Segment::open(&io, &path(self.head), (self.shape, Verify::AtOpen), self.head);
        let opened = opened.map_err(|error| error.to_string())?;
        let mut manifest = manifest::load(&*io, Path::new(DIR)).unwrap().unwrap();
        let entries = manifest.segments.iter_mut();
        for entry in entries.filter(|entry| entry.id == self.head.segment.get()) {
            entry.bytes = opened.file().bytes();
            entry.checksum = opened.file().checksum();
            entry.rows = opened.len();
        }
        drop(opened);
        manifest::store(&*io, Path::new(DIR), &mut manifest).unwrap();
        let place = ShardPlace { birth: Birth::Made, ..ShardPlace::unknown(self.head.owner.number) };
        let place = ShardPlace { owner: self.head.owner, ..place };
        Shard::open_in(&io, Path::new(DIR), (self.shape, place), super::options())
            .map_err(|error| error.to_string())
    }
}

fn path(head: SegmentHead) -> PathBuf {
    Path::new(DIR).join(segment_file_name(head.segment))
}

/// Swaps two numbers, so that all of them are there and out of order.
fn permute(rng: &mut SeededRng, content: &mut [u8]) {
    let width = *bytes::pick(rng, &[4, 8]);
    let count = content.len() / width;
    let (a, b) = (bytes::below(rng, count) * width, bytes::below(rng, count) * width);
    for at in 0..width.min(content.len()) {
        content.swap(a + at, b + at);
    }
}

#[test]
fn fuzz_segment() {
    let worlds = [
        World::new(shape(Metric::DotProduct), 1),
        World::new(shape(Metric::Cosine), 2),
        World::new(sparse_shape(), 4),
        World::new(shape(Metric::DotProduct), 6),
    ];
    let target = Target { name: "segment", cases: 6_000, bytes_per_byte: 64, bytes_besides: 8 << 20 };
    target.run(
        |rng| {
            let world = bytes::below(rng, worlds.len());
            let mut input = vec![world as u8];
            input.extend(worlds[world].changed(rng));
            input
        },
        |input| {
            let (world, segment) = input.split_first().unwrap();
            let opened = worlds[usize::from(*world)].opened_with(segment);
            match &opened {
                Ok(shard) => drop(answers::of(shard)),
                Err(error) => assert!(error.contains(DIR), "it names the file: {error}"),
            }
            Seen::of(&opened)
        },
    );
}

fn entries() -> Vec<Vec<u8>> {
    let dim = Dim::new(3).unwrap();
    let record = |name: &str, sparse: Option<SparseVector>, metadata: Metadata| {
        let vector = Vector::new(vec![0.5, -1.0, f32::MIN_POSITIVE], dim).unwrap();
        Operation::Put(Record { id: id(name), vector, sparse, metadata })
    };
    let fields = super::random_metadata(&mut SeededRng::new(3));
    let sparse = SparseVector::new(vec![3, u32::MAX], vec![-0.5, 8.0]).unwrap();
    let all = [
        record("r-1", None, fields),
        record("é", Some(sparse), Metadata::empty()),
        Operation::Delete(id("r-2")),
        Operation::Clear,
    ];
    (0..=all.len()).map(|count| encoded(&namespace(7), &all[..count])).collect()
}

fn encoded(namespace: &Namespace, operations: &[Operation]) -> Vec<u8> {
    let mut bytes = log_entry::encode_head(namespace, operations.len());
    bytes.extend(log_entry::encode_operations(operations));
    bytes
}

#[test]
fn fuzz_log_entry() {
    let seeds = entries();
    // A deletion takes four bytes and a record 160 in memory, doubled as the list grows.
    let target = Target { name: "log entry", cases: 300_000, bytes_per_byte: 160, bytes_besides: 16 << 10 };
    target.run(
        |rng| bytes::changed(rng, &seeds),
        |input| {
            let frame = Frame { seq: SeqNo::new(1), kind: log_entry::KIND_OPERATIONS, payload: input };
            let read = log_entry::decode(&frame, Dim::new(3).unwrap(), Path::new("wal"));
            match &read {
                Ok((namespace, operations)) => {
                    let written = encoded(namespace, operations);
                    let frame = Frame { payload: &written, ..frame };
                    let again = log_entry::decode(&frame, Dim::new(3).unwrap(), Path::new("wal")).unwrap();
                    // Components of sparse vectors are put in order.
                    assert!(encoded(&again.0, &again.1) == written, "what is written reads as it is");
                    assert_eq!(written.len(), input.len(), "all of it was read");
                }
                Err(error) => assert!(error.to_string().contains("log entry 1"), "{error}"),
            }
            Seen::of(&read)
        },
    );
}

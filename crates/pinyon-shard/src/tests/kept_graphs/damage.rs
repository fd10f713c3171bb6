//! Files that are not what was written, although their checksums may say so.

use super::{super::rewrite, *};
use crate::Verified;
use pinyon_storage::{
    io::{Fault, FaultDisk, FaultKind, unfinished_path},
    segment::{SegmentFile, SegmentHead},
};
use pinyon_types::SegmentId;

/// The sections of a graph's file.
#[derive(Debug, Clone)]
struct Sections {
    head: SegmentHead,
    purpose: Vec<u64>,
    entries: Vec<u32>,
    links: Vec<u32>,
}

impl Sections {
    fn read(io: &SharedIo) -> Self {
        let (file, head) = SegmentFile::open_any(io, &Path::new(DIR).join(GRAPH_FILE)).unwrap();
        let purpose = file.u64s(101).unwrap().to_vec();
        let (entries, links) = (file.u32s(102).unwrap().to_vec(), file.u32s(103).unwrap().to_vec());
        Self { head, purpose, entries, links }
    }

    /// Writes the file anew; all its checksums are right. Sections without anything are left out.
    fn write(&self, io: &SharedIo) {
        let bytes: [&[u8]; 3] = [
            bytemuck::cast_slice(&self.purpose),
            bytemuck::cast_slice(&self.entries),
            bytemuck::cast_slice(&self.links),
        ];
        rewrite(io, &Path::new(DIR).join(GRAPH_FILE), self.head, (101..).zip(bytes));
    }
}

/// A file that is whole and wrong.
type Spoiler = (&'static str, fn(&mut Sections));

const SPOILERS: [Spoiler; 13] = [
    ("another shard's", |file| file.head.owner.number = 3),
    ("another segment's", |file| file.head.segment = SegmentId::new(2)),
    ("of another version", |file| file.purpose[0] += 1),
    ("of a whole segment", |file| file.purpose[1] = 2),
    ("another namespace's", |file| file.purpose[2] = 2),
    ("made for a segment with another checksum", |file| file.purpose[4] ^= 1),
    ("made for other codes", |file| file.purpose[7] ^= 1),
    ("without an outcome", |file| file.purpose.truncate(11)),
    ("with an effort of nothing", |file| file.purpose[11] = 0),
    ("without a purpose", |file| file.purpose.clear()),
    ("without entries", |file| file.entries.clear()),
    ("with a link to nowhere", |file| file.links[17] = ROWS as u32),
    ("with links of a row less", |file| file.links.truncate(file.links.len() - 32)),
];

#[test]
fn a_file_that_is_whole_and_wrong_is_replaced_by_a_good_one() {
    let io = memory();
    let shard = with_graph(&io, Metric::Cosine);
    let (before, bytes, good) = (answers(&shard), read(&io, GRAPH_FILE), Sections::read(&io));
    for (what, spoil) in SPOILERS {
        let mut file = good.clone();
        spoil(&mut file);
        file.write(&io);
        let shard = open(&io, Metric::Cosine);
        assert_eq!(derive(&shard), [Step::BuiltCodes, Step::BuiltGraph], "{what}");
        assert_eq!(answers(&shard), before, "{what}");
        assert!(read(&io, GRAPH_FILE) == bytes, "{what}: one thread builds the same graph again");
    }
    // What is written by this test itself is as good as the original.
    good.write(&io);
    assert_eq!(derive(&open(&io, Metric::Cosine)), [Step::BuiltCodes, Step::LoadedGraph]);
}

#[test]
fn what_a_test_found_is_remembered() {
    let io = memory();
    drop(with_graph(&io, Metric::Cosine));
    let mut file = Sections::read(&io);
    // Not sure to reach its recall.
    file.purpose[12] = 0;
    file.write(&io);
    let shard = open(&io, Metric::Cosine);
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::LoadedGraph]);
    assert_eq!(shard.stats().segments[0].graphs, 1, "it is not thrown away");
    assert!(answers(&shard).iter().all(|(_, work)| work.graph_walks == 0), "and scans answer");
}

#[test]
fn a_segment_does_not_pass_for_a_graph_nor_a_graph_for_a_segment() {
    let io = memory();
    let shard = with_graph(&io, Metric::Cosine);
    let before = found(&shard);
    drop(shard);
    let (segment, graph) = (files(&io, ".seg").swap_remove(0), read(&io, GRAPH_FILE));
    let rows = read(&io, &segment);
    put(&io, GRAPH_FILE, &rows);
    let shard = open(&io, Metric::Cosine);
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::BuiltGraph]);
    assert_eq!(found(&shard), before);
    put(&io, &segment, &graph);
    let refused = Shard::open(&io, Path::new(DIR), shape(Metric::Cosine), options()).unwrap_err();
    assert!(refused.to_string().contains(&segment), "{refused}");
}

#[test]
fn a_directory_in_the_way_of_the_file_is_no_reason_to_stop() {
    let io = memory();
    let shard = open(&io, Metric::Cosine);
    write(&shard, 0..ROWS, 1);
    shard.seal().unwrap();
    // Nothing can be created under this name, and it cannot be removed.
    let taken = unfinished_path(&Path::new(DIR).join(GRAPH_FILE));
    io.create_dir_all(&taken).unwrap();
    assert_eq!(derive(&shard), [Step::BuiltCodes, Step::BuiltGraph]);
    assert_eq!(files(&io, ".graph"), Vec::<String>::new(), "it could not be kept");
    assert_eq!((shard.poisoned(), shard.stats().segments[0].graphs), (None, 1));
}

#[test]
fn a_file_that_cannot_be_read_now_stays_for_the_next_start() {
    let disk = FaultDisk::new();
    let shared = |disk: &FaultDisk| -> SharedIo { Arc::new(disk.clone()) };
    drop(with_graph(&shared(&disk), Metric::Cosine));
    let bytes = read(&shared(&disk), GRAPH_FILE);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut faults = 0;
    for call in 0.. {
        let shard = open(&shared(&disk), Metric::Cosine);
        assert_eq!(shard.derive(&pool, &|| false), Step::BuiltCodes);
        disk.fail(Some(Fault { call: disk.calls() + call, kind: FaultKind::Broken, lasting: false }));
        // Stopped before another graph could take the file's place.
        let step = shard.derive(&pool, &|| true);
        disk.fail(None);
        assert!(read(&shared(&disk), GRAPH_FILE) == bytes, "call {call}");
        if step == Step::LoadedGraph {
            break;
        }
        assert_eq!(step, Step::Stopped, "call {call}");
        faults += 1;
    }
    assert!(faults > 1, "loading makes calls");
}

#[test]
fn a_leftover_that_cannot_be_removed_stays_for_the_next_start() {
    let disk = FaultDisk::new();
    let io: SharedIo = Arc::new(disk.clone());
    let before = found(&with_graph(&io, Metric::Cosine));
    for leftover in ["segment-0000000000000009.all.graph", "segment-0000000000000001.all.graph.tmp"] {
        let opens_with_it = |call: u64| {
            put(&io, leftover, b"left over");
            disk.fail(Some(Fault { call: disk.calls() + call, kind: FaultKind::Broken, lasting: false }));
            let shard = Shard::open(&io, Path::new(DIR), shape(Metric::Cosine), options());
            disk.fail(None);
            let is_left = io.exists(&Path::new(DIR).join(leftover)).unwrap();
            shard.ok().filter(|_| is_left)
        };
        let shard = (0..60).find_map(opens_with_it).expect("a shard that opened and could not remove it");
        derive(&shard);
        assert_eq!(found(&shard), before);
        drop(shard);
        drop(open(&io, Metric::Cosine));
        assert!(!io.exists(&Path::new(DIR).join(leftover)).unwrap(), "the next start removes {leftover}");
    }
}

/// Reading again removes what is damaged, and nothing that the system did not give for a moment.
#[test]
fn a_graph_that_could_not_be_read_for_a_moment_stays_and_a_damaged_one_goes() {
    let disk = FaultDisk::new();
    let io: SharedIo = Arc::new(disk.clone());
    let shard = with_graph(&io, Metric::Cosine);
    let name = super::GRAPH_FILE;
    for call in 0..40 {
        disk.fail(Some(Fault { call: disk.calls() + call, kind: FaultKind::Broken, lasting: false }));
        let _ = shard.verify_others(&mut |_| true);
        disk.fail(None);
        assert!(io.exists(&Path::new(DIR).join(name)).unwrap(), "call {call}");
    }
    let mut bytes = super::read(&io, name);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    put(&io, name, &bytes);
    let found = shard.verify_others(&mut |_| true).unwrap();
    assert!(
        found.iter().any(|one| matches!(one, Verified::Mended(what) if what.contains(name))),
        "{found:?}"
    );
    assert!(!io.exists(&Path::new(DIR).join(name)).unwrap());
}

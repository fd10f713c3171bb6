//! Tests of segment files.

use super::*;
use crate::io::{Fault, FaultDisk, FaultKind, Io, Keep, MemoryIo, SharedIo};
use pinyon_types::{SeededRng, SegmentId, UniqueId};
use std::{path::Path, sync::Arc};

const OWNER: Owner = Owner { number: 3, index: UniqueId::new([7; 16]), shard: UniqueId::new([8; 16]) };
pub(super) const HEAD: SegmentHead = SegmentHead { owner: OWNER, segment: SegmentId::new(7) };

fn written() -> (SharedIo, std::path::PathBuf, SegmentSummary) {
    let io: SharedIo = Arc::new(MemoryIo::new());
    io.create_dir_all(Path::new("/s")).unwrap();
    let path = Path::new("/s").join(segment_file_name(HEAD.segment));
    let mut writer = SegmentWriter::create(&io, &path, HEAD).unwrap();
    for (tag, bytes) in [(1, vec![1_u8; 100]), (2, Vec::new()), (9, vec![7; 4 * 33])] {
        writer.begin(tag).unwrap();
        for piece in bytes.chunks(7) {
            writer.write(piece).unwrap();
        }
    }
    let summary = writer.finish().unwrap();
    (io, path, summary)
}

/// Writes damaged bytes over a copy of the file and tells whether opening it fails.
fn is_refused(io: &SharedIo, bytes: &[u8]) -> bool {
    let path = Path::new("/s/damaged.seg");
    if io.exists(path).unwrap() {
        io.remove(path).unwrap();
    }
    io.create(path).unwrap().write_at(bytes, 0).unwrap();
    SegmentFile::open(io, path, HEAD).is_err()
}

#[test]
fn sections_read_back_aligned_and_the_summary_is_the_files() {
    let (io, path, summary) = written();
    let file = SegmentFile::open(&io, &path, HEAD).unwrap();
    assert_eq!((file.bytes(), file.checksum()), (summary.bytes, summary.checksum));
    assert_eq!(file.sections().collect::<Vec<_>>(), [(1, 100), (2, 0), (9, 132)]);
    assert_eq!(file.section(1).unwrap(), [1_u8; 100]);
    assert_eq!(file.u32s(9).unwrap().len(), 33);
    assert!(file.u64s(9).is_err() && file.f32s(5).is_err());
    assert_eq!(file.section(9).unwrap().as_ptr() as usize % 64, 0);
    assert_eq!(io.list(Path::new("/s")).unwrap(), ["segment-0000000000000007.seg"]);
}

#[test]
fn any_changed_byte_is_an_error() {
    let (io, path, _) = written();
    let whole = io.read(&path).unwrap();
    assert!(!is_refused(&io, &whole));
    for at in 0..whole.len() {
        for flip in [0xff, 1, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            assert!(is_refused(&io, &damaged), "byte {at} ^ {flip}");
        }
    }
    for cut in 0..whole.len() {
        assert!(is_refused(&io, &whole[..cut]), "cut at {cut}");
    }
    let mut longer = whole;
    longer.push(0);
    assert!(is_refused(&io, &longer));
}

#[test]
fn another_segments_file_is_refused_by_name() {
    let (io, path, _) = written();
    let open = |owner, segment| {
        let head = SegmentHead { owner, segment: SegmentId::new(segment) };
        SegmentFile::open(&io, &path, head).unwrap_err()
    };
    assert!(open(OWNER, 8).to_string().contains("its segment number is 7, expected 8"));
    for owner in [Owner { number: 4, ..OWNER }, Owner { shard: OWNER.index, ..OWNER }, Owner::numbered(3)] {
        assert!(
            matches!(open(owner, 7), SegmentError::Foreign { found: OWNER, expected, .. } if expected == owner)
        );
    }
}

/// SEG-1.
#[test]
fn a_finished_file_is_never_written_again() {
    let (io, path, _) = written();
    let refused = SegmentWriter::create(&io, &path, HEAD).unwrap_err();
    assert!(
        matches!(refused, SegmentError::Io { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists)
    );
}

#[test]
fn sections_begin_once_and_bytes_belong_to_one() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    io.create_dir_all(Path::new("/s")).unwrap();
    let mut writer = SegmentWriter::create(&io, Path::new("/s/a.seg"), HEAD).unwrap();
    assert!(matches!(writer.write(b"x"), Err(SegmentError::OutsideSection { .. })));
    writer.begin(1).unwrap();
    assert!(matches!(writer.begin(1), Err(SegmentError::RefusedSection { tag: 1, .. })));
    for tag in 2..=1024 {
        writer.begin(tag).unwrap();
    }
    assert!(matches!(writer.begin(2000), Err(SegmentError::RefusedSection { .. })));
    let summary = writer.finish().unwrap();
    let file = SegmentFile::open(&io, Path::new("/s/a.seg"), HEAD).unwrap();
    assert_eq!((file.sections().count(), file.bytes()), (1024, summary.bytes));
}

/// Pieces of any size, over the size of the writer's buffer, come back as they went in.
#[test]
fn random_sections_read_back_whatever_the_pieces() {
    let mut rng = SeededRng::new(11);
    for round in 0..8 {
        let io: SharedIo = Arc::new(MemoryIo::new());
        io.create_dir_all(Path::new("/s")).unwrap();
        let mut writer = SegmentWriter::create(&io, Path::new("/s/a.seg"), HEAD).unwrap();
        let mut sections = Vec::new();
        for tag in 0..6 {
            writer.begin(tag).unwrap();
            let bytes: Vec<u8> = (0..rng.below(700_000)).map(|_| rng.next_u64() as u8).collect();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((1 + rng.below(300_000) as usize).min(rest.len()));
                writer.write(piece).unwrap();
                rest = after;
            }
            sections.push(bytes);
        }
        writer.finish().unwrap();
        let file = SegmentFile::open(&io, Path::new("/s/a.seg"), HEAD).unwrap();
        for (tag, bytes) in (0..).zip(&sections) {
            assert!(file.section(tag).unwrap() == bytes, "round {round}, section {tag}");
        }
    }
}

fn write_on(disk: &FaultDisk) -> Result<SegmentSummary, SegmentError> {
    let io: SharedIo = Arc::new(disk.clone());
    let mut writer = SegmentWriter::create(&io, Path::new("/s/a.seg"), HEAD)?;
    writer.begin(1)?;
    writer.write(&[5; 3000])?;
    writer.finish()
}

fn opens_on(disk: &FaultDisk) -> bool {
    let io: SharedIo = Arc::new(disk.clone());
    SegmentFile::open(&io, Path::new("/s/a.seg"), HEAD)
        .unwrap()
        .section(1)
        .is_ok_and(|found| found == [5; 3000])
}

/// A name is only ever given to a whole file, and is durable once `finish` returned.
#[test]
fn a_crash_leaves_the_whole_file_or_none() {
    let disk = FaultDisk::new();
    disk.create_dir_all(Path::new("/s")).unwrap();
    write_on(&disk).unwrap();
    let mut there = 0;
    for at in 0..=disk.op_count() {
        let seeds = (0..20).flat_map(|seed| [Keep::Random { seed }, Keep::Torn { seed }]);
        for keep in seeds.chain([Keep::Nothing, Keep::Everything]) {
            let image = disk.crash_image(at, keep);
            let is_there = image.exists(Path::new("/s/a.seg")).unwrap();
            assert!(is_there || at < disk.op_count(), "crash at {at}, {keep:?}");
            assert!(!is_there || opens_on(&image), "crash at {at}, {keep:?}");
            there += usize::from(is_there);
        }
    }
    assert!(there > 42, "some crash before the end left the file");
}

#[test]
fn a_fault_leaves_the_whole_file_or_none() {
    for kind in [FaultKind::Broken, FaultKind::Full, FaultKind::Short] {
        for call in 1.. {
            let disk = FaultDisk::new();
            disk.create_dir_all(Path::new("/s")).unwrap();
            disk.fail(Some(Fault { call, kind, lasting: false }));
            let is_written = write_on(&disk).is_ok();
            disk.fail(None);
            let is_there = disk.exists(Path::new("/s/a.seg")).unwrap();
            assert!(is_there || !is_written);
            assert!(!is_there || opens_on(&disk), "{kind:?} at call {call}");
            if is_written {
                assert!(call > 5, "the sweep tried every call");
                break;
            }
        }
    }
}

//! Tests of what is left of damaged files.

use super::{layout::BLOCK_BYTES, *};
use crate::{
    Owner,
    io::{MemoryIo, SharedIo},
};
use pinyon_types::{SeededRng, SegmentId, UniqueId};
use std::{path::Path, sync::Arc};

const OWNER: Owner = Owner { number: 3, index: UniqueId::new([7; 16]), shard: UniqueId::new([8; 16]) };
const HEAD: SegmentHead = SegmentHead { owner: OWNER, segment: SegmentId::new(7) };
const PATH: &str = "/s/segment-0000000000000007.seg";

/// Sections by tag.
fn sections() -> Vec<(u32, Vec<u8>)> {
    let mut rng = SeededRng::new(5);
    let bytes = |length: usize, rng: &mut SeededRng| (0..length).map(|_| rng.next_u64() as u8).collect();
    vec![
        (1, bytes(100, &mut rng)),
        (2, Vec::new()),
        (3, bytes(5 * BLOCK_BYTES as usize + 77, &mut rng)),
        (9, bytes(300_000, &mut rng)),
    ]
}

fn written(with_blocks: bool) -> (SharedIo, Vec<u8>) {
    let io: SharedIo = Arc::new(MemoryIo::new());
    io.create_dir_all(Path::new("/s")).unwrap();
    let writer = SegmentWriter::create(&io, Path::new(PATH), HEAD).unwrap();
    let mut writer = if with_blocks { writer.with_blocks() } else { writer };
    for (tag, bytes) in sections() {
        writer.begin(tag).unwrap();
        for piece in bytes.chunks(70_001) {
            writer.write(piece).unwrap();
        }
    }
    writer.finish().unwrap();
    let whole = io.read(Path::new(PATH)).unwrap();
    (io, whole)
}

fn rescued(io: &SharedIo, bytes: &[u8]) -> Result<RescuedFile, SegmentError> {
    io.remove(Path::new(PATH)).unwrap();
    io.create(Path::new(PATH)).unwrap().write_at(bytes, 0).unwrap();
    RescuedFile::open(io, Path::new(PATH), HEAD)
}

/// The bytes of a file in which a section begins.
fn place_of(whole: &[u8], tag: u32) -> usize {
    let bytes = sections().into_iter().find(|(one, _)| *one == tag).unwrap().1;
    whole.windows(64).position(|window| window == &bytes[..64]).unwrap()
}

#[test]
fn a_whole_file_gives_all_of_itself() {
    for with_blocks in [true, false] {
        let (io, whole) = written(with_blocks);
        let mut file = rescued(&io, &whole).unwrap();
        assert_eq!(file.damaged().count(), 0);
        for (tag, bytes) in sections() {
            assert!(file.is_whole(tag) && file.length(tag) == Some(bytes.len() as u64));
            assert_eq!(file.bytes(tag, 0..bytes.len() as u64), Some(&bytes[..]));
        }
        assert!(file.bytes(3, 0..u64::MAX).is_none() && file.bytes(4, 0..1).is_none());
    }
}

/// Whatever is flipped, what is given is what was written, and what is not given lies in a block with a flip.
#[test]
fn damage_costs_its_blocks_and_nothing_that_is_given_is_wrong() {
    let (io, whole) = written(true);
    let starts: Vec<(u32, usize)> = [1, 3, 9].map(|tag| (tag, place_of(&whole, tag))).to_vec();
    let mut rng = SeededRng::new(17);
    for _ in 0..60 {
        let flips: Vec<usize> =
            (0..1 + rng.next_u64() % 3).map(|_| rng.next_u64() as usize % whole.len()).collect();
        let mut damaged = whole.clone();
        flips.iter().for_each(|at| damaged[*at] ^= 1 << (rng.next_u64() % 8));
        let Ok(mut file) = rescued(&io, &damaged) else { continue };
        let sums_are_whole = file.is_whole(layout::BLOCKS_TAG);
        for (tag, bytes) in sections().into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
            let start = starts.iter().find(|(one, _)| *one == tag).unwrap().1;
            for from in (0..bytes.len()).step_by(999) {
                let to = (from + 1500).min(bytes.len());
                let block = |at: usize| (start + at) / BLOCK_BYTES as usize;
                let blocks = block(from)..=block(to - 1);
                let is_near = flips.iter().any(|at| blocks.contains(&(at / BLOCK_BYTES as usize)));
                match file.bytes(tag, from as u64..to as u64) {
                    Some(found) => assert_eq!(found, &bytes[from..to], "{tag} {from} {flips:?}"),
                    None => assert!(is_near || !sums_are_whole, "{tag} {from} {flips:?}"),
                }
            }
        }
    }
}

#[test]
fn without_checksums_of_blocks_a_damaged_section_is_lost_and_others_are_not() {
    let (io, whole) = written(false);
    let mut damaged = whole.clone();
    damaged[place_of(&whole, 3) + 1000] ^= 4;
    let mut file = rescued(&io, &damaged).unwrap();
    assert_eq!(file.damaged().collect::<Vec<_>>(), [3]);
    assert!(file.bytes(3, 0..1).is_none() && file.bytes(3, 200_000..200_001).is_none());
    assert_eq!(file.bytes(9, 10..20), Some(&sections()[3].1[10..20]));
}

#[test]
fn without_its_table_nothing_is_told_of_a_file() {
    let (io, whole) = written(true);
    for cut in [0, 63, 1000, whole.len() - 1] {
        assert!(rescued(&io, &whole[..cut]).is_err(), "cut at {cut}");
    }
    let mut other = whole;
    other[13] ^= 1;
    assert!(rescued(&io, &other).is_err());
}

//! Segment files: what opens has the sections that it says, and is the file that our writer makes of them.

use super::{DIR, OWNER, disk_of, mend, mend_header, number_at};
use crate::{
    io::SharedIo,
    segment::{SegmentFile, SegmentHead, SegmentWriter},
};
use pinyon_fuzz::{Seen, Target, bytes};
use pinyon_types::{SeededRng, SegmentId};
use std::path::{Path, PathBuf};

const HEAD: SegmentHead = SegmentHead { owner: OWNER, segment: SegmentId::new(7) };

fn path() -> PathBuf {
    Path::new(DIR).join("it.seg")
}

fn written(sections: &[(u32, Vec<u8>)], head: SegmentHead) -> Vec<u8> {
    let io: SharedIo = disk_of(&[]);
    let mut writer = SegmentWriter::create(&io, &path(), head).unwrap();
    for (tag, content) in sections {
        writer.begin(*tag).unwrap();
        writer.write(content).unwrap();
    }
    writer.finish().unwrap();
    io.read(&path()).unwrap()
}

fn seeds() -> Vec<Vec<u8>> {
    let section = |tag: u32, length: usize| (tag, vec![tag as u8; length]);
    let of = |lengths: &[usize]| {
        let sections: Vec<_> = (1..).zip(lengths).map(|(tag, length)| section(tag, *length)).collect();
        written(&sections, HEAD)
    };
    vec![of(&[24, 5, 640, 0, 64, 1]), of(&[]), of(&[63, 65, 128]), of(&[8; 30])]
}

/// Makes the sums of sections, table and header fit, as far as the footer leads to them.
fn mend_file(file: &mut [u8]) {
    mend_header(file);
    let Some(footer) = file.len().checked_sub(32) else { return };
    let table = number_at::<8>(file, footer).and_then(|table| usize::try_from(table).ok());
    let Some(table) = table.filter(|table| *table <= footer) else { return };
    for entry in (table..footer).step_by(24) {
        let (offset, length) = (number_at::<8>(file, entry + 8), number_at::<8>(file, entry + 16));
        let (Some(offset), Some(length)) = (offset, length) else { continue };
        let (Ok(offset), Ok(length)) = (usize::try_from(offset), usize::try_from(length)) else { continue };
        mend(file, std::slice::from_ref(&(offset..offset.saturating_add(length))), entry + 4);
    }
    mend(file, &[0..64, table..footer + 20], footer + 20);
}

fn make(rng: &mut SeededRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut file = bytes::changed(rng, seeds);
    if bytes::happens(rng, 3, 4) {
        mend_file(&mut file);
    }
    file
}

#[test]
fn fuzz_segment_file() {
    let seeds = seeds();
    let target = Target { name: "segment file", cases: 150_000, bytes_per_byte: 9, bytes_besides: 64 << 10 };
    target.run(
        |rng| make(rng, &seeds),
        |input| {
            let io = disk_of(&[("it.seg", input)]);
            let opened = SegmentFile::open(&io, &path(), HEAD);
            match &opened {
                Err(error) => assert!(error.to_string().contains("it.seg"), "{error}"),
                Ok(file) => {
                    let sections = file.sections().map(|(tag, length)| {
                        let content = file.section(tag).unwrap();
                        assert_eq!(content.len() as u64, length);
                        (tag, content.to_vec())
                    });
                    let again = written(&sections.collect::<Vec<_>>(), HEAD);
                    // The first version's header has no names, so no owner either: this one cannot be it.
                    assert!(again == input, "what opens is what its sections are written as");
                }
            }
            Seen::of(&opened)
        },
    );
}

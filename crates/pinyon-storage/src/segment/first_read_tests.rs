//! Tests of files that are verified when they are first read.

use super::{tests::HEAD, *};
use crate::io::{FaultDisk, MemoryIo, SharedIo};
use pinyon_types::SeededRng;
use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

const PATH: &str = "/s/a.seg";
/// Written to by who holds more files open than others may find held.
static HELD: RwLock<()> = RwLock::new(());

fn few_are_held() -> RwLockReadGuard<'static, ()> {
    HELD.read().unwrap_or_else(PoisonError::into_inner)
}

const BLOCK: u64 = layout::BLOCK_BYTES;

fn random(rng: &mut SeededRng, below: u64) -> Vec<u8> {
    (0..rng.below(below)).map(|_| rng.next_u64() as u8).collect()
}

/// Writes a file with these sections, tagged from 0 on.
fn write(io: &SharedIo, sections: &[Vec<u8>]) {
    io.create_dir_all(Path::new("/s")).unwrap();
    let mut writer = SegmentWriter::create(io, Path::new(PATH), HEAD).unwrap().with_blocks();
    for (tag, bytes) in (0..).zip(sections) {
        writer.begin(tag).unwrap();
        writer.write(bytes).unwrap();
    }
    writer.finish().unwrap();
}

fn open(io: &SharedIo) -> Result<SegmentFile, SegmentError> {
    SegmentFile::open_and(io, Path::new(PATH), HEAD, Verify::OnFirstRead)
}

/// Where a section begins in the file.
fn place(file: &SegmentFile, tag: u32) -> u64 {
    let before = file.sections().take_while(|(one, _)| *one != tag);
    before.fold(64, |end, (_, length)| (end + length).next_multiple_of(64))
}

/// A file with some bits turned over.
struct Damaged {
    io: SharedIo,
    sections: Vec<Vec<u8>>,
    /// Of bytes that are not as they were written.
    places: Vec<u64>,
}

impl Damaged {
    fn random(rng: &mut SeededRng) -> Self {
        let io: SharedIo = Arc::new(MemoryIo::new());
        let sections: Vec<Vec<u8>> = (0..5).map(|_| random(rng, 90_000)).collect();
        write(&io, &sections);
        let whole = io.read(Path::new(PATH)).unwrap();
        let mut damaged = whole.clone();
        for _ in 0..rng.below(3) {
            damaged[rng.below(whole.len() as u64) as usize] ^= 1 << rng.below(8);
        }
        io.remove(Path::new(PATH)).unwrap();
        io.create(Path::new(PATH)).unwrap().write_at(&damaged, 0).unwrap();
        let places = (0..whole.len()).filter(|&at| whole[at] != damaged[at]).map(|at| at as u64).collect();
        Self { io, sections, places }
    }

    /// Reads some of a section; whether it was given.
    fn read_some(&self, rng: &mut SeededRng, file: &SegmentFile) -> bool {
        let tag = rng.below(5) as u32;
        let section = &self.sections[tag as usize];
        let ends = [(); 2].map(|()| rng.below(section.len() as u64 + 1));
        let (from, to) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let start = place(file, tag);
        let touched = (start + from) / BLOCK..(start + to).div_ceil(BLOCK);
        let is_damaged = from < to && self.places.iter().any(|at| touched.contains(&(at / BLOCK)));
        let found = file.part::<u8>(tag, from as usize..to as usize);
        match &found {
            Ok(found) => assert!(*found == &section[from as usize..to as usize]),
            Err(error) => assert!(error.to_string().contains("a.seg"), "{error}"),
        }
        assert_eq!(found.is_err(), is_damaged);
        found.is_ok()
    }
}

#[test]
fn what_is_read_is_what_was_written_or_an_error_that_names_the_file_and_only_where_it_is_damaged() {
    let _held = few_are_held();
    let mut rng = SeededRng::new(20_261_130);
    let (mut opened, mut refused, mut read) = (0, 0, 0);
    for _ in 0..300 {
        let damaged = Damaged::random(&mut rng);
        let is_damaged = !damaged.places.is_empty();
        assert_eq!(SegmentFile::open(&damaged.io, Path::new(PATH), HEAD).is_err(), is_damaged);
        let Ok(file) = open(&damaged.io) else {
            assert!(is_damaged);
            continue;
        };
        opened += 1;
        for _ in 0..30 {
            *(if damaged.read_some(&mut rng, &file) { &mut read } else { &mut refused }) += 1;
        }
        assert_eq!(file.verify_rest(&mut |_| true).is_err(), is_damaged);
        assert_eq!(file.is_verified(), !is_damaged);
    }
    assert!(opened > 200 && refused > 500 && read > 2_000, "{opened} {refused} {read}");
}

#[test]
fn opening_takes_as_many_reads_however_long_the_file_is() {
    let _held = few_are_held();
    let calls = |bytes: usize, verify| {
        let disk = FaultDisk::new();
        let io: SharedIo = Arc::new(disk.clone());
        write(&io, &[vec![7; bytes], vec![8; bytes]]);
        let before = disk.calls();
        SegmentFile::open_and(&io, Path::new(PATH), HEAD, verify).unwrap();
        disk.calls() - before
    };
    assert_eq!(calls(100, Verify::OnFirstRead), calls(40 << 20, Verify::OnFirstRead));
    assert!(calls(40 << 20, Verify::AtOpen) > 80 + calls(100, Verify::OnFirstRead));
}

#[test]
fn a_block_is_read_once_whoever_asks_and_however_often_the_rest_is_ended() {
    let _held = few_are_held();
    let mut rng = SeededRng::new(7);
    let io: SharedIo = Arc::new(MemoryIo::new());
    let section = random(&mut rng, 9 << 20);
    write(&io, std::slice::from_ref(&section));
    let file = open(&io).unwrap();
    let blocks = (64 + section.len() as u64).next_multiple_of(64).div_ceil(BLOCK);
    let asked: Vec<u64> = (0..20).map(|_| rng.below(section.len() as u64)).collect();
    for &at in &asked {
        assert_eq!(file.part::<u8>(0, at as usize..at as usize + 1).unwrap()[0], section[at as usize]);
    }
    let mut known: Vec<u64> = asked.iter().map(|at| (64 + at) / BLOCK).collect();
    known.sort_unstable();
    known.dedup();
    let (mut read, mut ended) = (0, 0);
    loop {
        let mut left = 3;
        let mut pace = |bytes| {
            left -= 1;
            read += if left > 0 { bytes } else { 0 };
            left > 0
        };
        if file.verify_rest(&mut pace).unwrap().is_some() {
            break;
        }
        assert!(!file.is_verified());
        ended += 1;
    }
    assert!(ended > 3 && file.is_verified());
    assert_eq!(read, (blocks - known.len() as u64) * BLOCK);
    assert_eq!(file.section(0).unwrap(), section);
}

/// Threads that ask for the same blocks at once.
#[test]
fn many_may_ask_at_once() {
    let _held = few_are_held();
    let mut rng = SeededRng::new(8);
    let io: SharedIo = Arc::new(MemoryIo::new());
    let section = random(&mut rng, 4 << 20);
    write(&io, std::slice::from_ref(&section));
    let file = open(&io).unwrap();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (file, section) = (&file, &section);
            scope.spawn(move || {
                let mut rng = SeededRng::new(seed);
                for _ in 0..200 {
                    let from = rng.below(section.len() as u64) as usize;
                    let to = (from + rng.below(200_000) as usize).min(section.len());
                    assert!(file.part::<u8>(0, from..to).unwrap() == &section[from..to]);
                }
                file.verify_rest(&mut |_| true).unwrap().unwrap();
            });
        }
    });
    assert!(file.is_verified());
}

#[test]
fn no_more_files_are_held_open_than_a_process_has_descriptors_for() {
    let _alone = HELD.write().unwrap_or_else(PoisonError::into_inner);
    let io: SharedIo = Arc::new(MemoryIo::new());
    write(&io, &[vec![7; 100]]);
    let files: Vec<SegmentFile> = (0..1100).map(|_| open(&io).unwrap()).collect();
    assert!(!files[0].is_verified() && files[1099].is_verified());
    assert!(files.iter().filter(|file| !file.is_verified()).count() <= 1024);
    drop(files);
    assert!(!open(&io).unwrap().is_verified());
}

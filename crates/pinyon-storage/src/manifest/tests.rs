//! Tests of the manifest.

use super::*;
use crate::io::{Fault, FaultDisk, FaultKind, Keep, MemoryIo};
use pinyon_types::{SeededRng, UniqueId};

const DIR: &str = "/m";

fn sample(seed: u64) -> Manifest {
    let mut rng = SeededRng::new(seed);
    let next_segment = 100 + rng.below(1 << 40);
    let owner = Owner { number: 3, index: UniqueId::new([7; 16]), shard: UniqueId::new([8; 16]) };
    let owners = [owner, Owner::numbered(3), Owner { number: 9, ..owner }];
    let entry = |id| SegmentEntry {
        owner: owners[(id % 3) as usize],
        id,
        bytes: rng.next_u64() >> rng.below(64),
        checksum: rng.next_u64() as u32,
        rows: rng.next_u64() as u32,
    };
    let segments = (0..seed % 7).map(entry).collect();
    let (log_floor, epoch_seen) = (rng.next_u64() >> rng.below(64), rng.next_u64() >> rng.below(64));
    let log = |_| LogEntry { first_seq: rng.next_u64(), owner: owners[(seed % 3) as usize] };
    let made_with =
        || MadeWith { shards: 4, placement: "mmh3".into(), embedder: format!("hash-v1/{}", seed * 7) };
    Manifest {
        owner,
        made_with: seed.is_multiple_of(2).then(made_with),
        generation: seed,
        dim: 384,
        metric: seed as u8,
        log_floor,
        next_segment,
        epoch_seen,
        segments,
        logs: (0..seed % 4).map(log).collect(),
    }
}

fn memory() -> MemoryIo {
    let io = MemoryIo::new();
    io.create_dir_all(Path::new(DIR)).unwrap();
    io
}

fn load_bytes(bytes: &[u8]) -> Result<Option<Manifest>, ManifestError> {
    let io = memory();
    io.create(&Path::new(DIR).join(MANIFEST_FILE_NAME)).unwrap().write_at(bytes, 0).unwrap();
    load(&io, Path::new(DIR))
}

/// As it is read back once it was stored.
fn next(seed: u64) -> Manifest {
    Manifest { generation: seed + 1, ..sample(seed) }
}

fn stored(manifest: &Manifest) -> Vec<u8> {
    let io = memory();
    store(&io, Path::new(DIR), &mut manifest.clone()).unwrap();
    io.read(&Path::new(DIR).join(MANIFEST_FILE_NAME)).unwrap()
}

#[test]
fn manifests_survive_a_round_trip_and_replace_each_other() {
    let io = memory();
    assert_eq!(load(&io, Path::new(DIR)).unwrap(), None);
    for seed in 0..200 {
        let mut manifest = sample(seed);
        store(&io, Path::new(DIR), &mut manifest).unwrap();
        assert_eq!(load(&io, Path::new(DIR)).unwrap(), Some(next(seed)));
        assert_eq!(manifest, next(seed));
    }
    assert_eq!(io.list(Path::new(DIR)).unwrap(), [MANIFEST_FILE_NAME]);
}

#[test]
fn any_changed_missing_or_added_byte_is_an_error() {
    let whole = stored(&sample(6));
    for at in 0..whole.len() {
        for flip in 1..=255 {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            assert!(load_bytes(&damaged).is_err(), "byte {at} ^ {flip}");
        }
    }
    for cut in 0..whole.len() {
        assert!(load_bytes(&whole[..cut]).is_err(), "cut at {cut}");
    }
    assert!(load_bytes(&[&whole[..], &[0]].concat()).is_err());
}

/// A body behind a valid checksum may still be hostile: lengths in it must not be believed.
#[test]
fn bodies_that_are_none_are_refused_without_a_panic() {
    let whole = stored(&sample(6));
    let body = &whole[HEADER_BYTES..];
    for cut in 0..body.len() {
        assert!(load_bytes(&frame(&body[..cut])).is_err(), "cut at {cut}");
    }
    assert!(load_bytes(&frame(&[body, &[0]].concat())).is_err(), "a byte is left over");
    let mut rng = SeededRng::new(5);
    for _ in 0..2000 {
        let mut damaged = body.to_vec();
        let at = rng.below(body.len() as u64) as usize;
        damaged[at] = [0xfb, 0xfc, 0xfd, 0xff, 0][rng.below(5) as usize];
        if let Ok(Some(other)) = load_bytes(&frame(&damaged)) {
            assert!(damaged == body || other != next(6), "byte {at} means nothing");
        }
    }
    // Two billion owners that are not there, behind names, number, settings, generation, dimension, metric and three numbers.
    let huge = [&[1; 32][..], &[3, 0, 1, 1, 1, 1, 1, 1, 0xfc, 0xff, 0xff, 0xff, 0x7f][..]].concat();
    assert!(load_bytes(&frame(&huge)).is_err());
}

#[test]
fn another_version_is_refused_by_its_number() {
    let mut bytes = stored(&sample(1));
    bytes[8] = 3;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), &bytes[HEADER_BYTES..]);
    bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
    let refused = load_bytes(&bytes).unwrap_err();
    assert!(matches!(refused, ManifestError::Version { found: 3, expected: 2, .. }));
}

#[test]
fn segments_that_contradict_each_other_are_not_stored() {
    let io = memory();
    let mut manifest = sample(5);
    manifest.segments[1].id = manifest.segments[0].id;
    assert!(matches!(
        store(&io, Path::new(DIR), &mut manifest),
        Err(ManifestError::Segment { segment: 0, .. })
    ));
    let mut manifest = sample(5);
    manifest.next_segment = 4;
    assert!(matches!(
        store(&io, Path::new(DIR), &mut manifest),
        Err(ManifestError::Segment { segment: 4, .. })
    ));
    assert_eq!(load(&io, Path::new(DIR)).unwrap(), None);
}

#[test]
fn too_many_files_are_refused_before_anything_is_written() {
    let io = memory();
    let mut manifest = sample(1);
    let owner = manifest.owner;
    manifest.logs = vec![LogEntry { first_seq: u64::MAX, owner }; 1_000_000];
    assert!(matches!(store(&io, Path::new(DIR), &mut manifest), Err(ManifestError::TooLarge { .. })));
    assert!(io.list(Path::new(DIR)).unwrap().is_empty());
}

#[test]
fn crashes_and_faults_leave_the_old_manifest_or_the_new_one() {
    for call in 0.. {
        let disk = FaultDisk::new();
        disk.put(&Path::new(DIR).join(MANIFEST_FILE_NAME), stored(&sample(5)));
        disk.fail(Some(Fault { call, kind: FaultKind::Short, lasting: true }));
        let is_stored = store(&disk, Path::new(DIR), &mut sample(6)).is_ok();
        for at in 0..=disk.op_count() {
            let seeds = (0..10).flat_map(|seed| [Keep::Random { seed }, Keep::Torn { seed }]);
            for keep in seeds.chain([Keep::Nothing, Keep::Everything]) {
                let found = load(&disk.crash_image(at, keep), Path::new(DIR)).unwrap().unwrap();
                let is_new = found == next(6);
                assert!(is_new || found == next(5), "call {call}, crash at {at}, {keep:?}");
                assert!(is_new || !is_stored || at < disk.op_count());
            }
        }
        if is_stored {
            assert!(call > 4, "the sweep tried every call");
            break;
        }
    }
}

/// What versions before names wrote.
#[test]
fn a_manifest_of_version_1_tells_no_names() {
    let owner = Owner::numbered(3);
    let old = Manifest {
        owner,
        made_with: None,
        generation: 0,
        dim: 384,
        metric: 1,
        log_floor: 70,
        next_segment: 9,
        epoch_seen: 5,
        segments: vec![SegmentEntry { id: 8, bytes: 4096, checksum: 77, rows: 10, owner }],
        logs: vec![LogEntry { first_seq: 71, owner }],
    };
    assert_eq!(load_bytes(&stored_as_v1(&old)).unwrap(), Some(old));
}

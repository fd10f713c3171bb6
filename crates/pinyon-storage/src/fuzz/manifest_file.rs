//! Manifests: what loads is stored again as what it is.

use super::{DIR, OWNER, disk_of, mend};
use crate::{
    Owner,
    manifest::{self, LogEntry, MANIFEST_FILE_NAME, MadeWith, Manifest, SegmentEntry},
};
use pinyon_fuzz::{Seen, Target, bytes};
use pinyon_types::{SeededRng, UniqueId};
use std::path::Path;

const OTHER: Owner = Owner { number: 9, index: UniqueId::new([1; 16]), shard: UniqueId::new([2; 16]) };

fn seeds() -> Vec<Vec<u8>> {
    let made_with = MadeWith { shards: 4, placement: "mmh3".into(), embedder: "hash-v1/8".into() };
    let manifest = |segments: u64, made_with: Option<MadeWith>| Manifest {
        owner: OWNER,
        made_with,
        generation: 41,
        dim: 8,
        metric: 1,
        log_floor: 300,
        next_segment: segments + 1,
        epoch_seen: 7,
        segments: (1..=segments)
            .map(|id| {
                let owner = if id.is_multiple_of(2) { OTHER } else { OWNER };
                SegmentEntry { id, bytes: id * 1_000, checksum: 77, rows: 12, owner }
            })
            .collect(),
        logs: vec![LogEntry { first_seq: 301, owner: OWNER }, LogEntry { first_seq: 9_000, owner: OTHER }],
    };
    let stored = |mut manifest: Manifest| {
        let io = disk_of(&[]);
        manifest::store(&*io, Path::new(DIR), &mut manifest).unwrap();
        io.read(&Path::new(DIR).join(MANIFEST_FILE_NAME)).unwrap()
    };
    vec![
        stored(manifest(3, Some(made_with))),
        stored(manifest(0, None)),
        stored(manifest(90, None)),
        manifest::stored_as_v1(&manifest(5, None)),
    ]
}

fn make(rng: &mut SeededRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut file = bytes::changed(rng, seeds);
    if bytes::happens(rng, 5, 6) && file.len() > 20 {
        let body = (file.len() - 20) as u32;
        file[12..16].copy_from_slice(&body.to_le_bytes());
        let end = file.len();
        mend(&mut file, &[0..16, 20..end], 16);
    }
    file
}

#[test]
fn fuzz_manifest() {
    let seeds = seeds();
    // A length that somebody made up is believed up to the limit of a manifest's body.
    let target = Target { name: "manifest", cases: 100_000, bytes_per_byte: 60, bytes_besides: 9 << 20 };
    target.run(
        |rng| make(rng, &seeds),
        |input| {
            let io = disk_of(&[(MANIFEST_FILE_NAME, input)]);
            let loaded = manifest::load(&*io, Path::new(DIR));
            match &loaded {
                Err(error) => assert!(error.to_string().contains(MANIFEST_FILE_NAME), "{error}"),
                Ok(loaded) => {
                    let mut manifest = loaded.clone().expect("the file is there");
                    manifest::store(&*io, Path::new(DIR), &mut manifest).expect("what loads can be stored");
                    assert_eq!(manifest::load(&*io, Path::new(DIR)).unwrap().as_ref(), Some(&manifest));
                    assert_eq!(manifest.generation, loaded.as_ref().unwrap().generation + 1);
                }
            }
            Seen::of(&loaded)
        },
    );
}

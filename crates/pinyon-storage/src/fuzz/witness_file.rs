//! The witness: whatever the file says, claims only grow, and are there again.

use super::{DIR, OWNER, disk_of, mend, mend_header};
use crate::witness::{Claim, Subject, WITNESS_FILE_NAME, Witness};
use pinyon_fuzz::{Seen, Target, bytes};
use pinyon_types::{SeededRng, UniqueId};
use std::path::Path;

const SUBJECTS: [(Subject, UniqueId); 3] =
    [(Subject::Store, UniqueId::NONE), (Subject::Shard(0), OWNER.shard), (Subject::Shard(3), OWNER.shard)];

fn seeds() -> Vec<Vec<u8>> {
    let of = |raises: u64| {
        let io = disk_of(&[]);
        let witness = Witness::open(&io, Path::new(DIR), OWNER.index).unwrap();
        for number in 1..=raises {
            for (subject, owner) in SUBJECTS {
                let (position, generation, epoch) = (number * 5, number, number + 2);
                witness.raise(subject, Claim { owner, position, generation, epoch });
            }
        }
        io.read(&Path::new(DIR).join(WITNESS_FILE_NAME)).unwrap()
    };
    vec![of(1), of(2), of(9)]
}

fn make(rng: &mut SeededRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut file = bytes::changed(rng, seeds);
    if bytes::happens(rng, 4, 5) {
        mend_header(&mut file);
        for sector in (512..file.len()).step_by(512) {
            mend(&mut file, std::slice::from_ref(&(sector..sector + 508)), sector + 508);
        }
    }
    file
}

#[test]
fn fuzz_witness() {
    let seeds = seeds();
    let target = Target { name: "witness", cases: 60_000, bytes_per_byte: 8, bytes_besides: 16 << 10 };
    target.run(
        |rng| make(rng, &seeds),
        |input| {
            let io = disk_of(&[(WITNESS_FILE_NAME, input)]);
            let open = || Witness::open(&io, Path::new(DIR), OWNER.index).unwrap();
            let witness = open();
            let seen = if witness.is_begun() { Seen::Read } else { Seen::Refused };
            for (subject, owner) in SUBJECTS {
                let before = witness.claim(subject, owner).unwrap_or_default();
                witness.raise(subject, Claim { owner, position: 17, generation: 3, epoch: 1 });
                let now = witness.claim(subject, owner).unwrap();
                assert!(now.position >= before.position.max(17) && now.epoch >= before.epoch.max(1));
                assert_eq!(open().claim(subject, owner), Some(now), "{subject:?}");
            }
            seen
        },
    );
}

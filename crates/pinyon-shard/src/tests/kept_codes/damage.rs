//! Damaged vectors under bits that are whole, and files of bits that are not what was written, although their checksums may say so.

use super::{super::rewrite, *};
use pinyon_storage::segment::SegmentHead;

#[test]
fn a_damaged_block_is_never_searched_by_bits() {
    let io = kept(Metric::Cosine);
    let (segment, whole) = ("segment-0000000000000001.seg", by_vectors(&io, Metric::Cosine));
    let good = read(&io, segment);
    let (mut right, mut refused) = (0, 0);
    for block in 0..good.len() / (64 << 10) {
        let mut damaged = good.clone();
        // The exponent of a component somewhere in it.
        damaged[block * (64 << 10) + 4_003] ^= 0x10;
        put(&io, segment, &damaged);
        let Ok(shard) = try_open(&io, Metric::Cosine, options()) else { continue };
        assert_eq!(next(&shard), Step::LoadedCodes);
        for (seed, (expected, _)) in whole.iter().enumerate() {
            match ask(&shard, seed as u64) {
                Ok((found, work)) => {
                    assert!(found == *expected && work.sign_distances > 0, "block {block}: {found}");
                    right += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains(segment), "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 100 && right > 100, "{right} right, {refused} refused");
}

/// The sections of a file.
#[derive(Debug, Clone)]
struct Sections {
    head: SegmentHead,
    purpose: Vec<u64>,
    mean: Vec<f32>,
    words: Vec<u64>,
}

impl Sections {
    fn read(io: &SharedIo) -> Self {
        let (file, head) = SegmentFile::open_any(io, &Path::new(DIR).join(BITS_FILE)).unwrap();
        let (purpose, words) = (file.u64s(121).unwrap().to_vec(), file.u64s(123).unwrap().to_vec());
        Self { head, purpose, mean: file.f32s(122).unwrap().to_vec(), words }
    }

    /// Writes the file anew; all its checksums are right. Sections without anything are left out.
    fn write(&self, io: &SharedIo) {
        let bytes: [&[u8]; 3] = [
            bytemuck::cast_slice(&self.purpose),
            bytemuck::cast_slice(&self.mean),
            bytemuck::cast_slice(&self.words),
        ];
        rewrite(io, &Path::new(DIR).join(BITS_FILE), self.head, (121..).zip(bytes));
    }
}

/// A file that is whole and wrong.
type Spoiler = (&'static str, fn(&mut Sections));

const SPOILERS: [Spoiler; 13] = [
    ("another shard's", |file| file.head.owner.number = 3),
    ("of another version", |file| file.purpose[0] += 1),
    ("for another metric", |file| file.purpose[1] = 2),
    ("of a whole segment", |file| file.purpose[2] = 2),
    ("another namespace's", |file| file.purpose[3] = 2),
    ("made for a segment with another checksum", |file| file.purpose[5] ^= 1),
    ("of fewer rows", |file| file.purpose[6] -= 1),
    ("without an outcome", |file| file.purpose.truncate(8)),
    ("with bounds that are no numbers", |file| file.purpose[9] = u64::from(f32::NAN.to_bits())),
    ("with a recall of more than all", |file| file.purpose[13] = 2.0f64.to_bits()),
    ("without a purpose", |file| file.purpose.clear()),
    ("with a mean of fewer components", |file| file.mean.truncate(DIM - 1)),
    ("with words of a row less", |file| file.words.truncate(file.words.len() - 8)),
];

#[test]
fn a_file_that_is_whole_and_wrong_is_replaced_by_a_good_one() {
    let io = kept(Metric::Cosine);
    let by_vectors = by_vectors(&io, Metric::Cosine);
    let good = Sections::read(&io);
    for (what, spoil) in SPOILERS {
        let mut file = good.clone();
        spoil(&mut file);
        file.write(&io);
        let shard = open(&io, Metric::Cosine);
        assert_eq!(derive(&shard), [Step::LoadedCodes, Step::BuiltCodes, Step::KeptCodes], "{what}");
        assert_eq!(found(&answers(&shard)), found(&by_vectors), "{what}");
        assert!(Sections::read(&io).words == good.words, "{what}: the same rows have the same codes");
    }
    good.write(&io);
    assert_eq!(next(&open(&io, Metric::Cosine)), Step::LoadedCodes);
}

#[test]
fn whatever_is_done_to_a_file_costs_no_more_than_making_it_again() {
    let io = kept(Metric::Cosine);
    let by_vectors = by_vectors(&io, Metric::Cosine);
    let (bytes, segment) = (read(&io, BITS_FILE), read(&io, "segment-0000000000000001.seg"));
    let mut damaged: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("a segment".into(), segment),
        ("twice itself".into(), bytes.repeat(2)),
    ];
    for at in (0..bytes.len()).step_by(bytes.len() / 12) {
        let (mut flipped, mut zeroed) = (bytes.clone(), bytes.clone());
        flipped[at] ^= 1;
        let end = bytes.len().min(at + 512);
        zeroed[at..end].fill(0);
        damaged.extend([(format!("flipped {at}"), flipped), (format!("cut at {at}"), bytes[..at].to_vec())]);
        damaged.extend(Some((format!("zeroed from {at}"), zeroed)).filter(|(_, zeroed)| *zeroed != bytes));
    }
    for (what, damaged) in damaged {
        put(&io, BITS_FILE, &damaged);
        let shard = open(&io, Metric::Cosine);
        assert_eq!(found(&answers(&shard)), found(&by_vectors), "{what}");
        assert_eq!(files(&io), Vec::<String>::new(), "{what}");
        put_new(&io, &bytes);
    }
}

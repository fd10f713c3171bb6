//! Changes to bytes: bits, bytes, numbers that could be lengths, pieces that are cut, doubled, moved, or come from elsewhere.

use pinyon_types::SeededRng;

/// Changes in one input, at most.
const CHANGES_MAX: u64 = 6;
/// Inputs that doubling has made larger than this are cut.
const BYTES_MAX: usize = 256 << 10;

/// A number below `bound`; 0 if that is 0.
pub fn below(rng: &mut SeededRng, bound: usize) -> usize {
    if bound == 0 { 0 } else { usize::try_from(rng.below(bound as u64)).unwrap_or(0) }
}

/// Whether something happens that does so `of` times in `among`.
pub fn happens(rng: &mut SeededRng, of: u64, among: u64) -> bool {
    rng.below(among) < of
}

/// One of some things.
///
/// # Panics
/// There are none.
pub fn pick<'a, T>(rng: &mut SeededRng, from: &'a [T]) -> &'a T {
    &from[below(rng, from.len())]
}

/// A changed copy of one of the seeds.
///
/// # Panics
/// There are no seeds.
pub fn changed(rng: &mut SeededRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = pick(rng, seeds).clone();
    change(rng, &mut bytes, seeds);
    bytes
}

/// Changes bytes in one place or some. Few changes are likelier than many, and none is possible.
pub fn change(rng: &mut SeededRng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let changes = rng.below(CHANGES_MAX).min(rng.below(CHANGES_MAX + 2));
    for _ in 0..changes {
        change_once(rng, bytes, others);
        bytes.truncate(BYTES_MAX);
    }
}

fn change_once(rng: &mut SeededRng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    match rng.below(16) {
        0..=2 => flip(rng, bytes),
        3 | 4 => overwrite(rng, bytes),
        5..=7 => put_number(rng, bytes),
        8 => add_to_number(rng, bytes),
        9 => drop(take(rng, bytes)),
        10 => double(rng, bytes),
        11 => insert(rng, bytes),
        12 => bytes.truncate(below(rng, bytes.len() + 1)),
        13 => zero(rng, bytes),
        14 => move_piece(rng, bytes),
        _ => splice(rng, bytes, others),
    }
}

fn flip(rng: &mut SeededRng, bytes: &mut [u8]) {
    let (at, bit) = (below(rng, bytes.len()), rng.below(8));
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << bit;
    }
}

fn overwrite(rng: &mut SeededRng, bytes: &mut [u8]) {
    let (at, value) = (below(rng, bytes.len()), rng.next_u64().to_le_bytes()[0]);
    let value = *pick(rng, &[0, 1, 0x7f, 0x80, 0xff, b'"', value, value]);
    if let Some(byte) = bytes.get_mut(at) {
        *byte = value;
    }
}

/// A place for a number of a width: at a multiple of it more often than not, where fields of files are.
fn place(rng: &mut SeededRng, length: usize, width: usize) -> usize {
    let at = below(rng, length.saturating_sub(width - 1));
    if happens(rng, 2, 3) { at / width * width } else { at }
}

fn put_number(rng: &mut SeededRng, bytes: &mut [u8]) {
    let width = *pick(rng, &[2, 4, 4, 8]);
    let (at, length) = (place(rng, bytes.len(), width), bytes.len() as u64);
    let random = rng.next_u64();
    let number = *pick(
        rng,
        &[
            0,
            1,
            random % 300,
            random,
            length,
            length.wrapping_sub(at as u64),
            length + 1,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            u64::MAX / 2,
            u64::MAX,
            u64::MAX - 7,
            f64::NAN.to_bits(),
            u64::from(f32::INFINITY.to_bits()),
        ],
    );
    if let Some(place) = bytes.get_mut(at..at + width) {
        place.copy_from_slice(&number.to_le_bytes()[..width]);
    }
}

fn add_to_number(rng: &mut SeededRng, bytes: &mut [u8]) {
    let at = place(rng, bytes.len(), 4);
    let change = rng.below(33) as u32;
    if let Some(four) = bytes.get_mut(at..at + 4).and_then(<[u8]>::first_chunk_mut::<4>) {
        *four = u32::from_le_bytes(*four).wrapping_add(change).wrapping_sub(16).to_le_bytes();
    }
}

/// A range, more often short than long.
fn range(rng: &mut SeededRng, length: usize) -> std::ops::Range<usize> {
    let start = below(rng, length);
    let most = *pick(rng, &[1, 8, 64, 1024, length]);
    start..(start + below(rng, most + 1)).min(length)
}

fn take(rng: &mut SeededRng, bytes: &mut Vec<u8>) -> Vec<u8> {
    let range = range(rng, bytes.len());
    bytes.drain(range).collect()
}

fn double(rng: &mut SeededRng, bytes: &mut Vec<u8>) {
    let range = range(rng, bytes.len());
    let times = *pick(rng, &[1, 2, 40]);
    let piece = bytes[range.clone()].repeat(times);
    bytes.splice(range.end..range.end, piece);
}

fn insert(rng: &mut SeededRng, bytes: &mut Vec<u8>) {
    let at = below(rng, bytes.len() + 1);
    let count = below(rng, 20);
    let value = rng.next_u64().to_le_bytes();
    bytes.splice(at..at, value.into_iter().cycle().take(count));
}

fn zero(rng: &mut SeededRng, bytes: &mut [u8]) {
    let start = below(rng, bytes.len());
    let end = (start + 512).min(bytes.len());
    bytes[start..end].fill(0);
}

fn move_piece(rng: &mut SeededRng, bytes: &mut Vec<u8>) {
    let piece = take(rng, bytes);
    let at = below(rng, bytes.len() + 1);
    bytes.splice(at..at, piece);
}

fn splice(rng: &mut SeededRng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    if others.is_empty() {
        return;
    }
    let other = pick(rng, others);
    let piece = other[range(rng, other.len())].to_vec();
    let place = range(rng, bytes.len());
    bytes.splice(place, piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_follow_from_the_seed_and_reach_every_byte() {
        let seeds = [vec![7; 100], (0..=255).collect()];
        let made = |seed| changed(&mut SeededRng::new(seed), &seeds);
        let mut touched = [false; 100];
        for seed in 0..20_000 {
            let bytes = made(seed);
            assert_eq!(bytes, made(seed));
            if bytes.len() == 100 {
                touched.iter_mut().zip(&bytes).for_each(|(touched, byte)| *touched |= *byte != 7);
            }
        }
        assert!(touched.iter().all(|touched| *touched), "{touched:?}");
        change(&mut SeededRng::new(1), &mut Vec::new(), &[]);
    }
}

//! One number for all codes of some rows: what was made for these codes can be told from what was made for others.

use super::{Int8Rows, Line, PointSpace};

/// Words of a line, each summed up by itself so that none waits for the other.
const LANES: usize = 8;
/// Odd, and its bits look random: the golden ratio's.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Int8Rows {
    /// A number that other codes do not have but by a chance of one in 2^64: the same for the same codes of the same rows on
    /// every machine. It guards against mistakes, not against somebody who looks for equal numbers. Cost: one pass over the
    /// codes.
    pub fn fingerprint(&self) -> u64 {
        let mut lanes: [u64; LANES] = std::array::from_fn(|lane| lane as u64);
        let (space, norm_squared) = match self.space {
            PointSpace::Unit => (1, 0),
            PointSpace::Plain => (2, 0),
            PointSpace::Lifted { norm_squared } => (3, norm_squared.to_bits()),
        };
        let shape = [space, u64::from(norm_squared), self.rotation.dim() as u64, self.len() as u64];
        shape.into_iter().for_each(|word| mix(&mut lanes[0], word));
        for Line(line) in self.codes() {
            let words: &[[u8; 8]] = bytemuck::cast_slice(line);
            lanes.iter_mut().zip(words).for_each(|(lane, word)| mix(lane, u64::from_le_bytes(*word)));
        }
        for (at, [scale, norm_squared]) in self.scales().iter().enumerate() {
            let word = u64::from(scale.to_bits()) << 32 | u64::from(norm_squared.to_bits());
            mix(&mut lanes[at % LANES], word);
        }
        lanes.into_iter().fold(0, |mut sum, lane| {
            mix(&mut sum, lane);
            sum
        })
    }
}

/// Every bit of the word changes what comes out, and equal words one after the other do not cancel.
const fn mix(sum: &mut u64, word: u64) {
    *sum = (*sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
}

//! The plain reference: what the other sets must compute, bit for bit.

use crate::codes::{Estimate, GROUP, GroupTerms, PLANES, TERM_WORDS};

/// Sum of products. Lengths are equal.
fn int8_dot(query: &[i8], row: &[u8]) -> i32 {
    query.iter().zip(row).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// Of consecutive rows.
pub(super) fn int8_dots(query: &[i8], rows: &[u8], out: &mut [i32]) {
    for (at, out) in out.iter_mut().enumerate() {
        *out = int8_dot(query, &rows[at * query.len()..(at + 1) * query.len()]);
    }
}

/// Of rows in any order.
pub(super) fn int8_dots_at(query: &[i8], codes: &[u8], at: &[u32], out: &mut [i32]) {
    for (row, out) in at.iter().zip(out) {
        let row = *row as usize;
        *out = int8_dot(query, &codes[row * query.len()..(row + 1) * query.len()]);
    }
}

/// Distances of the rows of one group.
#[inline]
pub(crate) fn sign_distances(
    planes: &[u64],
    bits: &[u64],
    terms: &GroupTerms,
    estimate: Estimate,
) -> [f32; GROUP] {
    let (eights, _) = bits.as_chunks::<GROUP>();
    let mut sums = [0_u32; GROUP];
    for (plane, words) in planes.chunks_exact(eights.len().max(1)).enumerate() {
        for (word, eight) in words.iter().zip(eights) {
            for (sum, bits) in sums.iter_mut().zip(eight) {
                *sum += (word & bits).count_ones() << plane;
            }
        }
    }
    estimates(sums, terms, estimate)
}

/// Distances of rows that lie apart: `planes` are four times as many words as are read of a row, which begins every `stride`
/// words and ends with its terms.
#[inline]
pub(crate) fn sign_distances_at(
    planes: &[u64],
    (words, stride): (&[u64], usize),
    at: &[u32],
    estimate: Estimate,
    out: &mut [f32],
) {
    let bits = stride - TERM_WORDS;
    for (row, out) in at.iter().zip(out) {
        let row = &words[*row as usize * stride..][..stride];
        let of_plane = |plane: &[u64]| -> u32 {
            plane.iter().zip(&row[..bits]).map(|(query, row)| (query & row).count_ones()).sum()
        };
        let planes = planes.chunks_exact(planes.len() / PLANES).enumerate();
        let sum: u32 = planes.map(|(plane, words)| of_plane(words) << plane).sum();
        let [norm_squared, factor, ones, _] =
            bytemuck::cast::<[u64; TERM_WORDS], [f32; 4]>([row[bits], row[bits + 1]]);
        *out = estimate_of(sum, [norm_squared, factor, ones], estimate);
    }
}

/// Distances that sums of bits tell of.
#[inline]
pub(super) fn estimates(sums: [u32; GROUP], terms: &GroupTerms, estimate: Estimate) -> [f32; GROUP] {
    let terms = |row: usize| [terms.norm_squared[row], terms.factor[row], terms.ones[row]];
    std::array::from_fn(|row| estimate_of(sums[row], terms(row), estimate))
}

#[inline]
fn estimate_of(sum: u32, [norm_squared, factor, ones]: [f32; 3], estimate: Estimate) -> f32 {
    let product = estimate.of_ones * ones + estimate.of_sum * sum as f32 + estimate.constant;
    norm_squared - factor * product
}

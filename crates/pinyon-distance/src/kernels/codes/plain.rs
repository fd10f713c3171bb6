//! The plain reference: what the other sets must compute, bit for bit.

use crate::codes::{Estimate, GROUP, GroupTerms};

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

/// Distances that sums of bits tell of.
#[inline]
pub(super) fn estimates(sums: [u32; GROUP], terms: &GroupTerms, estimate: Estimate) -> [f32; GROUP] {
    std::array::from_fn(|row| {
        let product =
            estimate.of_ones * terms.ones[row] + estimate.of_sum * sums[row] as f32 + estimate.constant;
        terms.norm_squared[row] + estimate.base - terms.factor[row] * product
    })
}

//! The plain reference: what the other sets must compute, bit for bit.

use crate::codes::{Estimate, GROUP, GroupTerms};

/// Sum of products. Lengths are equal.
pub(crate) fn int8_dot(query: &[i8], row: &[u8]) -> i32 {
    query.iter().zip(row).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
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
    std::array::from_fn(|row| {
        let product =
            estimate.of_ones * terms.ones[row] + estimate.of_sum * sums[row] as f32 + estimate.constant;
        terms.norm_squared[row] + estimate.base - terms.factor[row] * product
    })
}

//! Kernels for AVX2 and POPCNT.

use super::plain;
use crate::codes::{Estimate, GROUP, GroupTerms};
use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_shuffle_epi32, _mm256_add_epi32,
    _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16, _mm256_extracti128_si256,
    _mm256_madd_epi16, _mm256_setzero_si256,
};

/// Sums of products of four rows; lengths are equal and whole lines.
#[target_feature(enable = "avx2")]
pub(super) fn int8_dots(query: &[i8], rows: [&[u8]; 4]) -> [i32; 4] {
    let dot = |row: &[u8]| {
        let mut sum = _mm256_setzero_si256();
        for at in (0..query.len().min(row.len())).step_by(16) {
            // SAFETY: at + 16 does not pass the end of either: lengths are whole lines.
            let (a, b) = unsafe {
                (
                    _mm_loadu_si128(query.as_ptr().add(at).cast::<__m128i>()),
                    _mm_loadu_si128(row.as_ptr().add(at).cast::<__m128i>()),
                )
            };
            // As 16 bits: multiplying bytes directly saturates.
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), _mm256_cvtepu8_epi16(b)));
        }
        let four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b0100_1110>(four));
        _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b1011_0001>(two)))
    };
    [dot(rows[0]), dot(rows[1]), dot(rows[2]), dot(rows[3])]
}

/// As the reference, whose bits are counted by an instruction here.
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn sign_distances(
    planes: &[u64],
    bits: &[u64],
    terms: &GroupTerms,
    estimate: Estimate,
) -> [f32; GROUP] {
    plain::sign_distances(planes, bits, terms, estimate)
}

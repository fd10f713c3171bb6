//! Kernels for AVX2 and POPCNT.

use super::{plain, rows_ahead};
use crate::codes::{Estimate, GROUP, GroupTerms, LINE_BYTES};
use std::arch::x86_64::{
    __m128i, _MM_HINT_T0, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_prefetch, _mm_shuffle_epi32,
    _mm256_add_epi32, _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16,
    _mm256_extracti128_si256, _mm256_madd_epi16, _mm256_setzero_si256,
};

/// Sum of products; lengths are equal and whole lines.
#[inline]
#[target_feature(enable = "avx2")]
fn int8_dot(query: &[i8], row: &[u8]) -> i32 {
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
}

/// Of consecutive rows.
#[target_feature(enable = "avx2")]
pub(super) fn int8_dots(query: &[i8], rows: &[u8], out: &mut [i32]) {
    for (at, out) in out.iter_mut().enumerate() {
        *out = int8_dot(query, &rows[at * query.len()..(at + 1) * query.len()]);
    }
}

/// Of rows in any order.
#[target_feature(enable = "avx2")]
pub(super) fn int8_dots_at(query: &[i8], codes: &[u8], at: &[u32], out: &mut [i32]) {
    let row = |at: u32| &codes[at as usize * query.len()..(at as usize + 1) * query.len()];
    let fetch = |at: &u32| {
        row(*at).chunks(LINE_BYTES).for_each(|line| _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()));
    };
    let ahead = rows_ahead(query.len());
    at.iter().take(ahead).for_each(fetch);
    for (place, out) in out.iter_mut().enumerate() {
        at.get(place + ahead).into_iter().for_each(fetch);
        *out = int8_dot(query, row(at[place]));
    }
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

/// Distances of rows that lie apart.
#[target_feature(enable = "popcnt")]
pub(super) fn sign_distances_at(
    planes: &[u64],
    rows: (&[u64], usize),
    at: &[u32],
    estimate: Estimate,
    out: &mut [f32],
) {
    plain::sign_distances_at(planes, rows, at, estimate, out);
}

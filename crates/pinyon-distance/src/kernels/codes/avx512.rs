//! Kernels for AVX-512 with VNNI and VPOPCNTDQ.

use crate::codes::{Estimate, GROUP, GroupTerms, PLANES};
use std::arch::x86_64::{
    __m512i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_extract_epi32, _mm256_add_epi32, _mm256_add_ps,
    _mm256_castsi256_si128, _mm256_cvtepi32_ps, _mm256_extracti128_si256, _mm256_loadu_ps, _mm256_mul_ps,
    _mm256_set1_ps, _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_epi32, _mm512_add_epi64, _mm512_and_si512,
    _mm512_castsi512_si256, _mm512_cvtepi64_epi32, _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64,
    _mm512_loadu_si512, _mm512_popcnt_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

/// Sums of products of four rows; lengths are equal and whole lines.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn int8_dots(query: &[i8], rows: [&[u8]; 4]) -> [i32; 4] {
    let length = rows.iter().fold(query.len(), |least, row| least.min(row.len()));
    let mut sums = [_mm512_setzero_si512(); 4];
    for at in (0..length).step_by(64) {
        // SAFETY: at + 64 does not pass the end of the query nor of a row: lengths are whole lines.
        let load = |pointer: *const u8| unsafe { _mm512_loadu_si512(pointer.add(at).cast::<__m512i>()) };
        let query = load(query.as_ptr().cast());
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum = _mm512_dpbusd_epi32(*sum, load(row.as_ptr()), query);
        }
    }
    reduce(sums)
}

/// The sums of four vectors' lanes: transposed pair by pair, so that one addition serves all four.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn reduce([a, b, c, d]: [__m512i; 4]) -> [i32; 4] {
    let pairs = |a, b| _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (ab, cd) = (pairs(a, b), pairs(c, d));
    let lanes = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let half = _mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64::<1>(lanes));
    let four = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
    [
        _mm_cvtsi128_si32(four),
        _mm_extract_epi32::<1>(four),
        _mm_extract_epi32::<2>(four),
        _mm_extract_epi32::<3>(four),
    ]
}

/// Distances of the rows of one group: `planes` are four times as many words as a row has, `bits` eight times.
#[target_feature(enable = "avx512f,avx512vl,avx512vpopcntdq")]
pub(super) fn sign_distances(
    planes: &[u64],
    bits: &[u64],
    terms: &GroupTerms,
    estimate: Estimate,
) -> [f32; GROUP] {
    let words = (planes.len() / PLANES).min(bits.len() / GROUP);
    let mut counts = [_mm512_setzero_si512(); PLANES];
    for word in 0..words {
        // SAFETY: word < words, so eight words of the bits are there.
        let rows = unsafe { _mm512_loadu_si512(bits.as_ptr().add(word * GROUP).cast::<__m512i>()) };
        for (plane, count) in counts.iter_mut().enumerate() {
            let query = _mm512_set1_epi64(planes[plane * words + word].cast_signed());
            *count = _mm512_add_epi64(*count, _mm512_popcnt_epi64(_mm512_and_si512(rows, query)));
        }
    }
    let [first, second, third, fourth] = counts;
    let low = _mm512_add_epi64(first, _mm512_slli_epi64::<1>(second));
    let high = _mm512_add_epi64(_mm512_slli_epi64::<2>(third), _mm512_slli_epi64::<3>(fourth));
    let sums = _mm256_cvtepi32_ps(_mm512_cvtepi64_epi32(_mm512_add_epi64(low, high)));
    // SAFETY: each of the terms has eight numbers.
    let load = |terms: &[f32; GROUP]| unsafe { _mm256_loadu_ps(terms.as_ptr()) };
    let of = |factor: f32, value| _mm256_mul_ps(_mm256_set1_ps(factor), value);
    let product = _mm256_add_ps(of(estimate.of_ones, load(&terms.ones)), of(estimate.of_sum, sums));
    let product = _mm256_add_ps(product, _mm256_set1_ps(estimate.constant));
    let norm = _mm256_add_ps(load(&terms.norm_squared), _mm256_set1_ps(estimate.base));
    let mut out = [0.0; GROUP];
    let distances = _mm256_sub_ps(norm, _mm256_mul_ps(load(&terms.factor), product));
    // SAFETY: there is room for eight numbers.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), distances) };
    out
}

//! Kernels for AVX-512 with VNNI and VPOPCNTDQ.

use super::{ahead::rows_ahead, sse::estimates};
use crate::codes::{Estimate, GROUP, GroupTerms, LINE_BYTES, PLANES, TERM_WORDS};
use std::arch::x86_64::{
    __m128i, __m512i, _MM_HINT_T0, _mm_add_epi32, _mm_cvtepi32_ps, _mm_loadu_ps, _mm_prefetch,
    _mm_storeu_si128, _mm256_add_epi32, _mm256_add_ps, _mm256_castsi256_si128, _mm256_cvtepi32_ps,
    _mm256_extracti128_si256, _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_storeu_ps,
    _mm256_sub_ps, _mm512_add_epi32, _mm512_add_epi64, _mm512_and_si512, _mm512_castsi512_si256,
    _mm512_cvtepi64_epi32, _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64, _mm512_loadu_si512,
    _mm512_popcnt_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

/// Sums of products of four rows.
///
/// # Safety
/// From each pointer on there are `query.len()` bytes, which is a multiple of a line.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn four_dots(query: &[i8], rows: [*const u8; 4]) -> [i32; 4] {
    let mut dots = [0; 4];
    let mut sums = [_mm512_setzero_si512(); 4];
    for at in (0..query.len()).step_by(LINE_BYTES) {
        // SAFETY: at + 64 does not pass the end of the query nor of a row.
        let load = |pointer: *const u8| unsafe { _mm512_loadu_si512(pointer.add(at).cast::<__m512i>()) };
        let query = load(query.as_ptr().cast());
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum = _mm512_dpbusd_epi32(*sum, load(row), query);
        }
    }
    // SAFETY: there is room for four numbers.
    unsafe { _mm_storeu_si128((&raw mut dots).cast(), reduce(sums)) };
    dots
}

/// Of consecutive rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn int8_dots(query: &[i8], rows: &[u8], out: &mut [i32]) {
    let row = |at: usize| rows[at * query.len()..(at + 1) * query.len()].as_ptr();
    for (group, out) in out.chunks_mut(4).enumerate() {
        // A group that is not full repeats its last row.
        let picked = [0, 1, 2, 3].map(|place: usize| row(4 * group + place.min(out.len() - 1)));
        // SAFETY: the slices above are whole rows.
        let dots = unsafe { four_dots(query, picked) };
        out.copy_from_slice(&dots[..out.len()]);
    }
}

/// Of rows in any order.
///
/// # Safety
/// Every row of `at` lies in the codes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn int8_dots_at(query: &[i8], codes: &[u8], at: &[u32], out: &mut [i32]) {
    // SAFETY: the caller's promise.
    let row = |at: u32| unsafe { codes.as_ptr().add(at as usize * query.len()) };
    let fetch = |at: &u32| {
        for line in (0..query.len()).step_by(LINE_BYTES) {
            // The address need not be one of ours: a prefetch does not fault.
            _mm_prefetch::<_MM_HINT_T0>(row(*at).wrapping_add(line).cast());
        }
    };
    let ahead = rows_ahead(query.len());
    at.iter().take(ahead).for_each(fetch);
    for (group, (four, out)) in at.chunks(4).zip(out.chunks_mut(4)).enumerate() {
        at[(4 * group + ahead).min(at.len())..].iter().take(4).for_each(fetch);
        let last = four.len() - 1;
        let picked = [0, 1, 2, 3].map(|place: usize| row(four[place.min(last)]));
        // SAFETY: rows that lie in the codes are whole.
        let dots = unsafe { four_dots(query, picked) };
        out.copy_from_slice(&dots[..out.len()]);
    }
}

/// The sums of four vectors' lanes: transposed pair by pair, so that one addition serves all four.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn reduce([a, b, c, d]: [__m512i; 4]) -> __m128i {
    let pairs = |a, b| _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (ab, cd) = (pairs(a, b), pairs(c, d));
    let lanes = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let half = _mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64::<1>(lanes));
    _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half))
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
    let mut out = [0.0; GROUP];
    let distances = _mm256_sub_ps(load(&terms.norm_squared), _mm256_mul_ps(load(&terms.factor), product));
    // SAFETY: there is room for eight numbers.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), distances) };
    out
}

/// Distances of rows that lie apart, each in `stride` of the words.
///
/// # Safety
/// From the first word of every row on there are as many as a plane has, which are whole lines, and at least `stride`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vpopcntdq")]
pub(super) unsafe fn sign_distances_at(
    planes: &[u64],
    (words, stride): (&[u64], usize),
    at: &[u32],
    estimate: Estimate,
    out: &mut [f32],
) {
    for (four, out) in at.chunks(4).zip(out.chunks_mut(4)) {
        let last = four.len() - 1;
        // SAFETY: the caller's promise.
        let rows = [0, 1, 2, 3]
            .map(|place: usize| unsafe { words.as_ptr().add(four[place.min(last)] as usize * stride) });
        // SAFETY: the caller's promise.
        let sums = _mm_cvtepi32_ps(reduce(unsafe { four_sums(planes, rows) }));
        // SAFETY: a row ends with four numbers.
        let terms = rows.map(|row| unsafe { _mm_loadu_ps(row.add(stride - TERM_WORDS).cast::<f32>()) });
        let four = estimates(sums, terms, estimate);
        out.copy_from_slice(&four[..out.len()]);
    }
}

/// What the bits of each row come to, spread over lanes: the counts of a plane are worth twice those of the one before it.
///
/// # Safety
/// From each pointer on there are as many words as a plane has, which are whole lines.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512vpopcntdq")]
unsafe fn four_sums(planes: &[u64], rows: [*const u64; 4]) -> [__m512i; 4] {
    let words = planes.len() / PLANES;
    let mut sums = [_mm512_setzero_si512(); 4];
    for word in (0..words).step_by(GROUP) {
        // SAFETY: word + 8 does not pass the end of a plane nor of what is read of a row.
        let load = |pointer: *const u64| unsafe { _mm512_loadu_si512(pointer.add(word).cast::<__m512i>()) };
        // SAFETY: plane < PLANES.
        let planes = [3, 2, 1, 0].map(|plane| load(unsafe { planes.as_ptr().add(plane * words) }));
        for (sum, row) in sums.iter_mut().zip(rows) {
            let row = load(row);
            let count = |plane| _mm512_popcnt_epi64(_mm512_and_si512(row, plane));
            let [high, low @ ..] = planes;
            let counts = low.into_iter().fold(count(high), |so_far, plane| {
                _mm512_add_epi64(_mm512_add_epi64(so_far, so_far), count(plane))
            });
            *sum = _mm512_add_epi64(*sum, counts);
        }
    }
    sums
}

//! Kernels for AVX2.

use super::{ahead::rows_ahead, plain, sse::estimates};
use crate::codes::{Estimate, GROUP, GroupTerms, LINE_BYTES, LINE_WORDS, PLANES, TERM_WORDS};
use std::arch::x86_64::{
    __m128i, __m256i, _MM_HINT_T0, _mm_add_epi32, _mm_cvtepi32_ps, _mm_loadu_ps, _mm_loadu_si128,
    _mm_prefetch, _mm_storeu_si128, _mm256_add_epi8, _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16,
    _mm256_extracti128_si256, _mm256_hadd_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_or_si256,
    _mm256_sad_epu8, _mm256_set1_epi8, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi64, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_unpackhi_epi64, _mm256_unpacklo_epi64,
};

/// Words of a vector.
const VECTOR_WORDS: usize = 4;
/// How many bits of a number below 16 are set, times what a bit of the plane is worth.
static WORTH: [[u8; 16]; PLANES] = worth();

const fn worth() -> [[u8; 16]; PLANES] {
    let mut worth = [[0; 16]; PLANES];
    let mut at = 0;
    while at < 16 * PLANES {
        worth[at / 16][at % 16] = ((at % 16).count_ones() as u8) << (at / 16);
        at += 1;
    }
    worth
}

/// Sums of products of four rows.
///
/// # Safety
/// From each pointer on there are `query.len()` bytes, which is a multiple of a line.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn four_dots(query: &[i8], rows: [*const u8; 4]) -> [i32; 4] {
    let mut sums = [_mm256_setzero_si256(); 4];
    for at in (0..query.len()).step_by(16) {
        // SAFETY: at + 16 does not pass the end of the query nor of a row.
        let load = |pointer: *const u8| unsafe { _mm_loadu_si128(pointer.add(at).cast::<__m128i>()) };
        // As 16 bits: multiplying bytes directly saturates.
        let query = _mm256_cvtepi8_epi16(load(query.as_ptr().cast()));
        for (sum, row) in sums.iter_mut().zip(rows) {
            let products = _mm256_madd_epi16(query, _mm256_cvtepu8_epi16(load(row)));
            *sum = _mm256_add_epi32(*sum, products);
        }
    }
    let [a, b, c, d] = sums;
    let lanes = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let mut dots = [0; 4];
    // SAFETY: there is room for four numbers.
    unsafe { _mm_storeu_si128((&raw mut dots).cast(), add_halves(lanes)) };
    dots
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_halves(lanes: __m256i) -> __m128i {
    _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256::<1>(lanes))
}

/// Of consecutive rows.
#[target_feature(enable = "avx2")]
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
#[target_feature(enable = "avx2")]
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

/// Adds to every byte of `sums` what the bits are worth that the rows and the planes have in common there: at most 8 * 15.
#[inline]
#[target_feature(enable = "avx2")]
fn add_worth<const ROWS: usize>(
    sums: &mut [__m256i; ROWS],
    rows: [__m256i; ROWS],
    planes: [__m256i; PLANES],
) {
    let nibble = _mm256_set1_epi8(0x0f);
    let low = rows.map(|row| _mm256_and_si256(row, nibble));
    let high = rows.map(|row| _mm256_and_si256(_mm256_srli_epi16::<4>(row), nibble));
    for (plane, worth) in planes.into_iter().zip(&WORTH) {
        // SAFETY: there are 16 bytes.
        let worth = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(worth.as_ptr().cast()) });
        let plane_high = _mm256_srli_epi16::<4>(plane);
        for row in 0..ROWS {
            let of_low = _mm256_shuffle_epi8(worth, _mm256_and_si256(low[row], plane));
            let of_high = _mm256_shuffle_epi8(worth, _mm256_and_si256(high[row], plane_high));
            sums[row] = _mm256_add_epi8(sums[row], _mm256_add_epi8(of_low, of_high));
        }
    }
}

/// Adds up the bytes of every word.
#[inline]
#[target_feature(enable = "avx2")]
fn add_bytes(sums: &mut [__m256i], bytes: &[__m256i]) {
    for (sum, bytes) in sums.iter_mut().zip(bytes) {
        *sum = _mm256_add_epi64(*sum, _mm256_sad_epu8(*bytes, _mm256_setzero_si256()));
    }
}

/// Distances of the rows of one group: `planes` are four times as many words as a row has, `bits` eight times.
#[target_feature(enable = "avx2")]
pub(super) fn sign_distances(
    planes: &[u64],
    bits: &[u64],
    terms: &GroupTerms,
    estimate: Estimate,
) -> [f32; GROUP] {
    let words = (planes.len() / PLANES).min(bits.len() / GROUP);
    let mut sums = [_mm256_setzero_si256(); 2];
    // Bytes have room for the bits of two words.
    for first in (0..words).step_by(2) {
        let mut bytes = [_mm256_setzero_si256(); 2];
        for word in first..words.min(first + 2) {
            // SAFETY: word < words, so eight words of the bits are there.
            let rows = [0, 1].map(|half| unsafe {
                _mm256_loadu_si256(bits.as_ptr().add(word * GROUP + half * VECTOR_WORDS).cast())
            });
            let plane = |plane: usize| _mm256_set1_epi64x(planes[plane * words + word].cast_signed());
            add_worth(&mut bytes, rows, [plane(0), plane(1), plane(2), plane(3)]);
        }
        add_bytes(&mut sums, &bytes);
    }
    let mut counts = [[0_u64; VECTOR_WORDS]; 2];
    for (counts, sums) in counts.iter_mut().zip(sums) {
        // SAFETY: there is room for four words.
        unsafe { _mm256_storeu_si256(counts.as_mut_ptr().cast(), sums) };
    }
    let counts: &[u64] = counts.as_flattened();
    plain::estimates(std::array::from_fn(|row| counts[row] as u32), terms, estimate)
}

/// Distances of rows that lie apart, each in `stride` of the words.
///
/// # Safety
/// From the first word of every row on there are as many as a plane has, which are whole lines, and at least `stride`.
#[target_feature(enable = "avx2")]
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
        let [a, b, c, d] = unsafe { four_sums(planes, rows) };
        // A word's upper half is free.
        let pairs = |a, b| _mm256_or_si256(a, _mm256_slli_epi64::<32>(b));
        let (ab, cd) = (pairs(a, b), pairs(c, d));
        let lanes = _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
        // SAFETY: a row ends with four numbers.
        let terms = rows.map(|row| unsafe { _mm_loadu_ps(row.add(stride - TERM_WORDS).cast::<f32>()) });
        let four = estimates(_mm_cvtepi32_ps(add_halves(lanes)), terms, estimate);
        out.copy_from_slice(&four[..out.len()]);
    }
}

/// What the bits of each row come to, spread over four words.
///
/// # Safety
/// From each pointer on there are as many words as a plane has, which are whole lines.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn four_sums(planes: &[u64], rows: [*const u64; 4]) -> [__m256i; 4] {
    let words = planes.len() / PLANES;
    let mut sums = [_mm256_setzero_si256(); 4];
    for line in (0..words).step_by(LINE_WORDS) {
        let mut bytes = [_mm256_setzero_si256(); 4];
        for word in [line, line + VECTOR_WORDS] {
            // SAFETY: word + 4 does not pass the end of a plane nor of what is read of a row.
            let load = |first: *const u64| unsafe { _mm256_loadu_si256(first.add(word).cast::<__m256i>()) };
            // SAFETY: plane < PLANES.
            let plane = |plane: usize| load(unsafe { planes.as_ptr().add(plane * words) });
            add_worth(&mut bytes, rows.map(load), [plane(0), plane(1), plane(2), plane(3)]);
        }
        add_bytes(&mut sums, &bytes);
    }
    sums
}

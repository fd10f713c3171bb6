//! Kernels for NEON, and for the extension that sums up products of bytes (dotprod), which most of its CPUs have.

use super::{ahead::rows_ahead, plain};
use crate::codes::{Estimate, GROUP, GroupTerms, LINE_BYTES, PLANES};
use std::arch::{
    aarch64::{
        int8x16_t, int32x4_t, uint8x16_t, uint32x4_t, vaddq_s32, vaddq_u8, vaddq_u16, vaddvq_s32, vandq_u64,
        vcntq_u8, vdupq_n_s32, vdupq_n_u8, vdupq_n_u64, veorq_u8, vget_low_s8, vgetq_lane_u64, vld1q_s8,
        vld1q_u8, vld1q_u64, vmull_high_s8, vmull_s8, vpadalq_s16, vpadalq_u32, vpaddlq_u8, vpaddlq_u16,
        vreinterpretq_s8_u8, vreinterpretq_u8_u64, vshlq_n_u16,
    },
    asm,
};

/// What is taken from an unsigned byte to make it a signed one: neither set multiplies one with the other.
const SHIFT: u8 = 128;
/// Words whose bits are counted in bytes, each of which gets at most eight a word.
const WORDS_COUNTED: usize = u8::MAX as usize / 8;

/// Asks for the line of an address, which need not be one of ours: a prefetch does not fault.
#[inline]
pub(super) fn prefetch(address: *const u8) {
    // SAFETY: it changes neither memory nor registers. (The intrinsic is not stable.)
    unsafe { asm!("prfm pldl1keep, [{}]", in(reg) address, options(readonly, nostack, preserves_flags)) }
}

/// Adds sixteen products to four sums, which of them to which being left open.
///
/// # Safety
/// With `DOTPROD` the CPU has that extension.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn multiply_add<const DOTPROD: bool>(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    if DOTPROD {
        // SAFETY: the caller's promise; it changes the sums alone. (The intrinsic is not stable.)
        unsafe {
            asm!(".arch_extension dotprod", "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b", sums = inout(vreg) sums,
                a = in(vreg) a, b = in(vreg) b, options(pure, nomem, nostack, preserves_flags));
        }
        return sums;
    }
    let sums = vpadalq_s16(sums, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    vpadalq_s16(sums, vmull_high_s8(a, b))
}

/// Sum of products; lengths are equal and whole lines. `sum` is that of the query.
///
/// # Safety
/// As of [`multiply_add`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn int8_dot<const DOTPROD: bool>(query: &[i8], sum: i32, row: &[u8]) -> i32 {
    let mut sums = [vdupq_n_s32(0); 4];
    for line in (0..query.len().min(row.len())).step_by(LINE_BYTES) {
        for (part, sums) in sums.iter_mut().enumerate() {
            let at = line + part * 16;
            // SAFETY: at + 16 does not pass the end of either: lengths are whole lines, and a line has four parts.
            let (a, b) = unsafe { (vld1q_s8(query.as_ptr().add(at)), vld1q_u8(row.as_ptr().add(at))) };
            // 128 less is the highest bit.
            let b = vreinterpretq_s8_u8(veorq_u8(b, vdupq_n_u8(SHIFT)));
            // SAFETY: the caller's promise.
            *sums = unsafe { multiply_add::<DOTPROD>(*sums, a, b) };
        }
    }
    let [first, second, third, fourth] = sums;
    let products = vaddvq_s32(vaddq_s32(vaddq_s32(first, second), vaddq_s32(third, fourth)));
    products + i32::from(SHIFT) * sum
}

/// Of consecutive rows.
///
/// # Safety
/// As of [`multiply_add`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn int8_dots<const DOTPROD: bool>(query: &[i8], rows: &[u8], out: &mut [i32]) {
    let sum = sum_of(query);
    for (at, out) in out.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *out = unsafe { int8_dot::<DOTPROD>(query, sum, &rows[at * query.len()..(at + 1) * query.len()]) };
    }
}

/// Of rows in any order.
///
/// # Safety
/// As of [`multiply_add`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn int8_dots_at<const DOTPROD: bool>(
    query: &[i8],
    codes: &[u8],
    at: &[u32],
    out: &mut [i32],
) {
    let sum = sum_of(query);
    let row = |at: u32| &codes[at as usize * query.len()..(at as usize + 1) * query.len()];
    let fetch = |at: &u32| row(*at).chunks(LINE_BYTES).for_each(|line| prefetch(line.as_ptr()));
    let ahead = rows_ahead(query.len());
    at.iter().take(ahead).for_each(fetch);
    for (place, out) in out.iter_mut().enumerate() {
        at.get(place + ahead).into_iter().for_each(fetch);
        // SAFETY: the caller's promise.
        *out = unsafe { int8_dot::<DOTPROD>(query, sum, row(at[place])) };
    }
}

fn sum_of(query: &[i8]) -> i32 {
    query.iter().map(|code| i32::from(*code)).sum()
}

/// Distances of the rows of one group: `planes` are four times as many words as a row has, `bits` eight times.
#[target_feature(enable = "neon")]
pub(super) fn sign_distances(
    planes: &[u64],
    bits: &[u64],
    terms: &GroupTerms,
    estimate: Estimate,
) -> [f32; GROUP] {
    let mut sums = [0; GROUP];
    for (pair, sums) in sums.as_chunks_mut().0.iter_mut().enumerate() {
        *sums = pair_sums(planes, bits, 2 * pair);
    }
    plain::estimates(sums, terms, estimate)
}

/// What the counts of two rows of the group sum up to.
#[inline]
#[target_feature(enable = "neon")]
fn pair_sums(planes: &[u64], bits: &[u64], first: usize) -> [u32; 2] {
    let words = (planes.len() / PLANES).min(bits.len() / GROUP);
    let mut total = vdupq_n_u64(0);
    for from in (0..words).step_by(WORDS_COUNTED) {
        let mut counts = [vdupq_n_u8(0); PLANES];
        for word in from..words.min(from + WORDS_COUNTED) {
            let rows = &bits[word * GROUP + first..][..2];
            // SAFETY: there are two words.
            let rows = unsafe { vld1q_u64(rows.as_ptr()) };
            for (plane, count) in counts.iter_mut().enumerate() {
                let both = vandq_u64(rows, vdupq_n_u64(planes[plane * words + word]));
                *count = vaddq_u8(*count, vcntq_u8(vreinterpretq_u8_u64(both)));
            }
        }
        total = vpadalq_u32(total, weighted(counts));
    }
    [vgetq_lane_u64::<0>(total) as u32, vgetq_lane_u64::<1>(total) as u32]
}

/// Counts of the planes, each worth twice the one before it: at most 15 * 2 * 255 in 16 bits.
#[inline]
#[target_feature(enable = "neon")]
fn weighted(counts: [uint8x16_t; PLANES]) -> uint32x4_t {
    let [first, second, third, fourth] = counts.map(|count| vpaddlq_u8(count));
    let low = vaddq_u16(first, vshlq_n_u16::<1>(second));
    let high = vaddq_u16(third, vshlq_n_u16::<1>(fourth));
    vpaddlq_u16(vaddq_u16(low, vshlq_n_u16::<2>(high)))
}

//! Kernels for NEON.

use super::{AHEAD, plain};
use crate::codes::{Estimate, GROUP, GroupTerms, LINE_BYTES, PLANES};
use std::arch::{
    aarch64::{
        uint8x16_t, uint32x4_t, vaddq_s32, vaddq_u8, vaddq_u16, vaddvq_s32, vandq_u64, vcntq_u8, vdupq_n_s32,
        vdupq_n_u8, vdupq_n_u64, veorq_u8, vget_low_s8, vgetq_lane_u64, vld1q_s8, vld1q_u8, vld1q_u64,
        vmull_high_s8, vmull_s8, vpadalq_s16, vpadalq_u32, vpaddlq_u8, vpaddlq_u16, vreinterpretq_s8_u8,
        vreinterpretq_u8_u64, vshlq_n_u16,
    },
    asm,
};

/// What is taken from an unsigned byte to make it a signed one: no instruction multiplies one with the other.
const SHIFT: u8 = 128;
/// Words whose bits are counted in bytes, each of which gets at most eight a word.
const WORDS_COUNTED: usize = u8::MAX as usize / 8;

/// Asks for the line of an address, which need not be one of ours: a prefetch does not fault.
#[inline]
pub(super) fn prefetch(address: *const u8) {
    // SAFETY: it changes neither memory nor registers. (The intrinsic is not stable.)
    unsafe { asm!("prfm pldl1keep, [{}]", in(reg) address, options(readonly, nostack, preserves_flags)) }
}

/// Sum of products; lengths are equal and whole lines. `sum` is that of the query.
#[inline]
#[target_feature(enable = "neon")]
fn int8_dot(query: &[i8], sum: i32, row: &[u8]) -> i32 {
    let mut sums = [vdupq_n_s32(0); 2];
    for at in (0..query.len().min(row.len())).step_by(16) {
        // SAFETY: at + 16 does not pass the end of either: lengths are whole lines.
        let (a, b) = unsafe { (vld1q_s8(query.as_ptr().add(at)), vld1q_u8(row.as_ptr().add(at))) };
        // 128 less is the highest bit.
        let b = vreinterpretq_s8_u8(veorq_u8(b, vdupq_n_u8(SHIFT)));
        sums[0] = vpadalq_s16(sums[0], vmull_s8(vget_low_s8(a), vget_low_s8(b)));
        sums[1] = vpadalq_s16(sums[1], vmull_high_s8(a, b));
    }
    vaddvq_s32(vaddq_s32(sums[0], sums[1])) + i32::from(SHIFT) * sum
}

/// Of consecutive rows.
#[target_feature(enable = "neon")]
pub(super) fn int8_dots(query: &[i8], rows: &[u8], out: &mut [i32]) {
    let sum = sum_of(query);
    for (at, out) in out.iter_mut().enumerate() {
        *out = int8_dot(query, sum, &rows[at * query.len()..(at + 1) * query.len()]);
    }
}

/// Of rows in any order.
#[target_feature(enable = "neon")]
pub(super) fn int8_dots_at(query: &[i8], codes: &[u8], at: &[u32], out: &mut [i32]) {
    let sum = sum_of(query);
    let row = |at: u32| &codes[at as usize * query.len()..(at as usize + 1) * query.len()];
    for (place, out) in out.iter_mut().enumerate() {
        if let Some(ahead) = at.get(place + AHEAD) {
            row(*ahead).chunks(LINE_BYTES).for_each(|line| prefetch(line.as_ptr()));
        }
        *out = int8_dot(query, sum, row(at[place]));
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

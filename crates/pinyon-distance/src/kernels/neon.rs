//! Kernels for NEON: eight accumulators of four lanes; what is left over is added in scalar code.

use std::arch::aarch64::{float32x4_t, vaddq_f32, vaddvq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32, vsubq_f32};

/// Accumulators: two loads a step let a core begin a multiply-add or two a cycle, and each takes four.
const SUMS: usize = 8;
const LANES: usize = 4;

/// Inner product; `a` and `b` have one length.
#[target_feature(enable = "neon")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, a, b| vfmaq_f32(sum, a, b), |a, b| a * b)
}

/// Squared Euclidean distance; `a` and `b` have one length.
#[target_feature(enable = "neon")]
pub(super) fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    let step = |sum, a, b| {
        let difference = vsubq_f32(a, b);
        vfmaq_f32(sum, difference, difference)
    };
    fold(a, b, step, |a, b| (a - b) * (a - b))
}

/// Inner products with consecutive rows.
#[target_feature(enable = "neon")]
pub(super) fn dots(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (row, out) in out.iter_mut().enumerate() {
        *out = dot(query, &rows[row * query.len()..(row + 1) * query.len()]);
    }
}

/// Squared Euclidean distances to consecutive rows.
#[target_feature(enable = "neon")]
pub(super) fn l2_squareds(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (row, out) in out.iter_mut().enumerate() {
        *out = l2_squared(query, &rows[row * query.len()..(row + 1) * query.len()]);
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn fold(
    a: &[f32],
    b: &[f32],
    step: impl Fn(float32x4_t, float32x4_t, float32x4_t) -> float32x4_t,
    scalar: impl Fn(f32, f32) -> f32,
) -> f32 {
    let length = a.len().min(b.len());
    let mut sums = [vdupq_n_f32(0.0); SUMS];
    let mut at = 0;
    let load = |at: usize| {
        // SAFETY: every caller below asks with at + 4 <= length, which both slices have.
        unsafe { (vld1q_f32(a.as_ptr().add(at)), vld1q_f32(b.as_ptr().add(at))) }
    };
    while at + SUMS * LANES <= length {
        for (place, sum) in sums.iter_mut().enumerate() {
            let (a, b) = load(at + place * LANES);
            *sum = step(*sum, a, b);
        }
        at += SUMS * LANES;
    }
    while at + LANES <= length {
        let (a, b) = load(at);
        sums[0] = step(sums[0], a, b);
        at += LANES;
    }
    let rest: f32 = a[at..length].iter().zip(&b[at..length]).map(|(a, b)| scalar(*a, *b)).sum();
    let pairs = [0, 2, 4, 6].map(|place| vaddq_f32(sums[place], sums[place + 1]));
    vaddvq_f32(vaddq_f32(vaddq_f32(pairs[0], pairs[1]), vaddq_f32(pairs[2], pairs[3]))) + rest
}

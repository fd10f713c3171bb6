//! Kernels for AVX2 with FMA: four accumulators of eight lanes; what is left over is added in scalar code.

use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_ps, _mm256_add_ps,
    _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps,
    _mm256_sub_ps,
};

/// Inner product; `a` and `b` have one length.
#[target_feature(enable = "avx2,fma")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, a, b| _mm256_fmadd_ps(a, b, sum), |a, b| a * b)
}

/// Squared Euclidean distance; `a` and `b` have one length.
#[target_feature(enable = "avx2,fma")]
pub(super) fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    let step = |sum, a, b| {
        let difference = _mm256_sub_ps(a, b);
        _mm256_fmadd_ps(difference, difference, sum)
    };
    fold(a, b, step, |a, b| (a - b) * (a - b))
}

/// Inner products with consecutive rows.
#[target_feature(enable = "avx2,fma")]
pub(super) fn dots(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (row, out) in out.iter_mut().enumerate() {
        *out = dot(query, &rows[row * query.len()..(row + 1) * query.len()]);
    }
}

/// Squared Euclidean distances to consecutive rows.
#[target_feature(enable = "avx2,fma")]
pub(super) fn l2_squareds(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (row, out) in out.iter_mut().enumerate() {
        *out = l2_squared(query, &rows[row * query.len()..(row + 1) * query.len()]);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn fold(
    a: &[f32],
    b: &[f32],
    step: impl Fn(__m256, __m256, __m256) -> __m256,
    scalar: impl Fn(f32, f32) -> f32,
) -> f32 {
    let length = a.len().min(b.len());
    let mut sums = [_mm256_setzero_ps(); 4];
    let mut at = 0;
    let load = |at: usize| {
        // SAFETY: every caller below asks with at + 8 <= length, which both slices have.
        unsafe { (_mm256_loadu_ps(a.as_ptr().add(at)), _mm256_loadu_ps(b.as_ptr().add(at))) }
    };
    while at + 32 <= length {
        for (lane, sum) in sums.iter_mut().enumerate() {
            let (a, b) = load(at + lane * 8);
            *sum = step(*sum, a, b);
        }
        at += 32;
    }
    while at + 8 <= length {
        let (a, b) = load(at);
        sums[0] = step(sums[0], a, b);
        at += 8;
    }
    let rest: f32 = a[at..length].iter().zip(&b[at..length]).map(|(a, b)| scalar(*a, *b)).sum();
    let sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
    reduce(sum) + rest
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn reduce(sum: __m256) -> f32 {
    let halves = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
    let pairs = _mm_add_ps(halves, _mm_movehl_ps(halves, halves));
    _mm_cvtss_f32(_mm_add_ss(pairs, _mm_shuffle_ps::<0b01>(pairs, pairs)))
}

//! Kernels for AVX-512F: four accumulators of sixteen lanes hide the latency of the fused multiply-add.

use std::arch::x86_64::{
    __m512, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_maskz_loadu_ps, _mm512_reduce_add_ps,
    _mm512_setzero_ps, _mm512_sub_ps,
};

/// Inner product; `a` and `b` have one length.
#[target_feature(enable = "avx512f")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, a, b| _mm512_fmadd_ps(a, b, sum))
}

/// Squared Euclidean distance; `a` and `b` have one length.
#[target_feature(enable = "avx512f")]
pub(super) fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, a, b| {
        let difference = _mm512_sub_ps(a, b);
        _mm512_fmadd_ps(difference, difference, sum)
    })
}

/// Inner products with consecutive rows.
#[target_feature(enable = "avx512f")]
pub(super) fn dots(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (row, out) in out.iter_mut().enumerate() {
        *out = dot(query, &rows[row * query.len()..(row + 1) * query.len()]);
    }
}

/// Squared Euclidean distances to consecutive rows.
#[target_feature(enable = "avx512f")]
pub(super) fn l2_squareds(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (row, out) in out.iter_mut().enumerate() {
        *out = l2_squared(query, &rows[row * query.len()..(row + 1) * query.len()]);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn fold(a: &[f32], b: &[f32], step: impl Fn(__m512, __m512, __m512) -> __m512) -> f32 {
    let length = a.len().min(b.len());
    let (a, b) = (a.as_ptr(), b.as_ptr());
    let mut sums = [_mm512_setzero_ps(); 4];
    let mut at = 0;
    while at + 64 <= length {
        for (lane, sum) in sums.iter_mut().enumerate() {
            let at = at + lane * 16;
            // SAFETY: at + 16 <= length, which both slices have.
            let (a, b) = unsafe { (_mm512_loadu_ps(a.add(at)), _mm512_loadu_ps(b.add(at))) };
            *sum = step(*sum, a, b);
        }
        at += 64;
    }
    while at < length {
        let lanes = (length - at).min(16);
        let mask = u16::MAX >> (16 - lanes);
        // SAFETY: the mask admits `lanes` floats, and at + lanes <= length, which both slices have; lanes that are
        // masked out are not read. Both pointers stay inside their slices because at < length.
        let (a, b) =
            unsafe { (_mm512_maskz_loadu_ps(mask, a.add(at)), _mm512_maskz_loadu_ps(mask, b.add(at))) };
        sums[0] = step(sums[0], a, b);
        at += lanes;
    }
    let sum = _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
    _mm512_reduce_add_ps(sum)
}

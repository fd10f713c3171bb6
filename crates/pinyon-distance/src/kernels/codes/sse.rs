//! What the sets of x86-64 have in common; every such CPU has SSE.

use crate::codes::Estimate;
use std::arch::x86_64::{
    __m128, _mm_add_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_mul_ps, _mm_set1_ps, _mm_storeu_ps, _mm_sub_ps,
    _mm_unpackhi_ps, _mm_unpacklo_ps,
};

/// The distances of four rows; `terms` are, of each, the square of its length, its factor, how many bits are set, and a zero.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn estimates(sums: __m128, [a, b, c, d]: [__m128; 4], estimate: Estimate) -> [f32; 4] {
    let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
    let (norms, factors) = (_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
    let ones = _mm_movelh_ps(_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
    let of = |factor: f32, value| _mm_mul_ps(_mm_set1_ps(factor), value);
    let product = _mm_add_ps(of(estimate.of_ones, ones), of(estimate.of_sum, sums));
    let product = _mm_add_ps(product, _mm_set1_ps(estimate.constant));
    let mut out = [0.0; 4];
    // SAFETY: there is room for four numbers.
    unsafe { _mm_storeu_ps(out.as_mut_ptr(), _mm_sub_ps(norms, _mm_mul_ps(factors, product))) };
    out
}

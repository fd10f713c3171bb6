//! Codes: vectors in fewer bits, which are read instead of them where most rows are far away. A row is first made a point
//! of a space in which the squared distance orders as the metric does ([`PointSpace`]), then rotated so that no component
//! is much larger than the others ([`Rotation`]), then coded: a byte a component ([`Int8Rows`]) or a bit ([`SignRows`]).
//!
//! What codes say is an estimate. Who needs the distance itself computes it from the vector.

mod fingerprint;
mod int8;
mod rotation;
mod sign_groups;
mod signs;
mod space;
#[cfg(test)]
mod tests;

pub use int8::{Int8Errors, Int8Query, Int8Rows};
pub use rotation::Rotation;
pub use signs::{SignLayout, SignParts, SignQuery, SignRows};
pub use space::PointSpace;

pub(crate) use sign_groups::{Estimate, GROUP, GroupTerms, PLANES, TERM_WORDS};

use crate::{Kernels, reference};
use bytemuck::{Pod, Zeroable};

/// What a processor moves at once.
pub(crate) const LINE_BYTES: usize = 64;
/// The same in words of 64 bits.
pub(crate) const LINE_WORDS: usize = LINE_BYTES / size_of::<u64>();

/// Bytes that begin where a cache line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line([u8; LINE_BYTES]);

impl Line {
    const ZERO: Self = Self([0; LINE_BYTES]);
}

/// The nearest integer of a number of few digits, away from zero where two are as near: what `round` says, which is a call of a
/// library where the compiler may not count on newer instructions.
const fn nearest_integer(number: f32) -> i32 {
    let whole = number as i32;
    let rest = number - whole as f32;
    whole + (rest >= 0.5) as i32 - (rest <= -0.5) as i32
}

/// An inner product, in single precision where that has room.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let product = Kernels::detect().dot(a, b);
    if product.abs() > f32::MIN_POSITIVE && product.is_finite() {
        return product.into();
    }
    reference::dot_f64(a, b)
}

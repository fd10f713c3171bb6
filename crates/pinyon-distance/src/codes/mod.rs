//! Codes: vectors in fewer bits, which are read instead of them where most rows are far away. A row is first made a point
//! of a space in which the squared distance orders as the metric does ([`PointSpace`]), then rotated so that no component
//! is much larger than the others ([`Rotation`]), then coded: a byte a component ([`Int8Rows`]) or a bit ([`SignRows`]).
//!
//! What codes say is an estimate. Who needs the distance itself computes it from the vector.

mod fingerprint;
mod int8;
mod rotation;
mod signs;
mod space;
#[cfg(test)]
mod tests;

pub use int8::{Int8Query, Int8Rows};
pub use rotation::Rotation;
pub use signs::{SignQuery, SignRows};
pub use space::PointSpace;

pub(crate) use signs::{Estimate, GROUP, GroupTerms, PLANES};

use bytemuck::{Pod, Zeroable};

/// What a processor moves at once.
pub(crate) const LINE_BYTES: usize = 64;

/// Bytes that begin where a cache line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line([u8; LINE_BYTES]);

impl Line {
    const ZERO: Self = Self([0; LINE_BYTES]);
}

//! A bit a component: the sign of what is left of a row when the mean of all rows is taken away (RaBitQ: Gao and Long,
//! "RaBitQ: quantizing high-dimensional vectors with a theoretical error bound", 2024). The query keeps four bits, which
//! lie in four planes, so that ands and counts of bits are all there is to compute.

use super::{Line, PointSpace};
use crate::kernels::CodeKernels;
use pinyon_types::Metric;

/// Rows that lie interleaved: one word of each of them fills a line.
pub(crate) const GROUP: usize = 8;
/// Bits of a query's component.
pub(crate) const PLANES: usize = 4;
const LEVELS: f32 = 15.0;

/// What an estimate needs of each row of a group beside its bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GroupTerms {
    /// The square of the point's length.
    pub(crate) norm_squared: [f32; GROUP],
    /// What the inner product with the bits is worth, twice.
    pub(crate) factor: [f32; GROUP],
    /// How many bits are set.
    pub(crate) ones: [f32; GROUP],
}

/// Coded rows.
#[derive(Debug, Clone)]
pub struct SignRows {
    space: PointSpace,
    mean: Vec<f32>,
    words: usize,
    rows: usize,
    /// Groups one after the other, and in a group the first words of its rows, the second words, and so on.
    bits: Vec<Line>,
    terms: Vec<GroupTerms>,
}

impl SignRows {
    /// Room for rows whose rotated points have this mean.
    pub fn new(space: PointSpace, mean: Vec<f32>) -> Self {
        let words = mean.len().div_ceil(64);
        Self { space, mean, words, rows: 0, bits: Vec::new(), terms: Vec::new() }
    }

    /// Makes room for so many rows more.
    pub fn reserve_exact(&mut self, rows: usize) {
        self.bits.reserve_exact(rows.div_ceil(GROUP) * self.words);
        self.terms.reserve_exact(rows.div_ceil(GROUP));
        crate::ask_for_huge_pages(self.bits.spare_capacity_mut());
    }

    /// Adds a row, given its rotated point.
    pub fn push(&mut self, point: &[f32]) {
        let place = self.rows % GROUP;
        if place == 0 {
            self.bits.resize(self.bits.len() + self.words, Line::ZERO);
            let nothing = [0.0; GROUP];
            self.terms.push(GroupTerms { norm_squared: nothing, factor: nothing, ones: nothing });
        }
        let group = self.rows / GROUP;
        let words: &mut [u64] = bytemuck::cast_slice_mut(&mut self.bits[group * self.words..]);
        let (mut squared, mut magnitude, mut ones) = (0.0_f32, 0.0_f32, 0_u32);
        for (at, (component, mean)) in point.iter().zip(&self.mean).enumerate() {
            let rest = component - mean;
            squared += rest * rest;
            magnitude += rest.abs();
            if rest >= 0.0 {
                words[at / 64 * GROUP + place] |= 1 << (at % 64);
                ones += 1;
            }
        }
        let terms = &mut self.terms[group];
        terms.norm_squared[place] = self.space.norm_squared(point);
        terms.factor[place] = if magnitude > 0.0 { 2.0 * squared / magnitude } else { 0.0 };
        terms.ones[place] = ones as f32;
        self.rows += 1;
    }

    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Memory that a row takes, in bytes, when vectors of `dim` components are compared by a metric.
    pub const fn bytes_per_row(metric: Metric, dim: usize) -> usize {
        PointSpace::dim_of(metric, dim).div_ceil(64) * size_of::<u64>() + size_of::<GroupTerms>() / GROUP
    }

    /// Memory that so many rows take, in bytes: rows lie in groups of eight.
    pub const fn bytes_for(metric: Metric, dim: usize, rows: usize) -> usize {
        rows.next_multiple_of(GROUP) * Self::bytes_per_row(metric, dim)
    }

    /// Memory, in bytes.
    pub const fn bytes(&self) -> usize {
        self.bits.len() * size_of::<Line>() + self.terms.len() * size_of::<GroupTerms>()
    }

    /// A query to hold against the rows, given its rotated point.
    pub fn query(&self, point: &[f32]) -> SignQuery {
        let (low, high) = point
            .iter()
            .fold((f32::MAX, f32::MIN), |(low, high), component| (low.min(*component), high.max(*component)));
        let step = if high > low { (high - low) / LEVELS } else { 1.0 };
        let mut planes = vec![0_u64; PLANES * self.words];
        let mut total = 0;
        for (at, component) in point.iter().enumerate() {
            let level = ((component - low) / step).round().clamp(0.0, LEVELS) as u32;
            total += level;
            for plane in (0..PLANES).filter(|plane| level >> plane & 1 == 1) {
                planes[plane * self.words + at / 64] |= 1 << (at % 64);
            }
        }
        let of_mean = CodeKernels::f32s().dot(point, &self.mean);
        SignQuery {
            kernels: CodeKernels::detect(),
            planes,
            estimate: Estimate {
                base: -2.0 * of_mean,
                of_ones: 2.0 * low,
                of_sum: 2.0 * step,
                constant: -low * point.len() as f32 - step * total as f32,
            },
        }
    }
}

/// How a sum of bits becomes a distance: `norm + base - factor * (of_ones * ones + of_sum * sum + constant)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    pub(crate) base: f32,
    pub(crate) of_ones: f32,
    pub(crate) of_sum: f32,
    pub(crate) constant: f32,
}

/// A query as planes of bits.
#[derive(Debug, Clone)]
pub struct SignQuery {
    kernels: CodeKernels,
    planes: Vec<u64>,
    estimate: Estimate,
}

impl SignQuery {
    /// The same with other kernels: for tests and benches.
    #[must_use]
    pub fn with(self, kernels: CodeKernels) -> Self {
        Self { kernels, ..self }
    }

    /// Estimates of the distances of consecutive rows from `first` on, which is a multiple of eight. They order as the
    /// metric does, as far as an estimate can, and lack what is the same for all rows.
    ///
    /// # Panics
    /// There are not so many rows, or `first` is no multiple of eight.
    pub fn distances(&self, rows: &SignRows, first: usize, out: &mut [f32]) {
        assert!(
            first.is_multiple_of(GROUP) && first + out.len() <= rows.rows,
            "groups of the rows that there are"
        );
        let groups = first / GROUP..(first + out.len()).div_ceil(GROUP);
        let bits = &rows.bits[groups.start * rows.words..groups.end * rows.words];
        let terms = &rows.terms[groups];
        let words: &[u64] = bytemuck::cast_slice(bits);
        self.kernels.sign_distances(&self.planes, words, terms, self.estimate, out);
    }
}

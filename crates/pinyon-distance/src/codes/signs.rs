//! A bit a component: the sign of what is left of a row when the mean of all rows is taken away (RaBitQ: Gao and Long,
//! "RaBitQ: quantizing high-dimensional vectors with a theoretical error bound", 2024). The mean is taken away from the query as
//! well, which keeps four bits that lie in four planes, so that ands and counts of bits are all there is to compute.
//!
//! With `d` and `q` for row and query without the mean, what is estimated is `|d|^2 - 2<d, q>`. The error of `<d, q>` has a
//! deviation in proportion to `|q|` and to the row's factor, so that a lower bound is the same sum with another constant.

use super::{
    LINE_WORDS, Line, PointSpace, dot, nearest_integer,
    sign_groups::{Estimate, GROUP, GroupTerms, PLANES, TERM_WORDS},
};
use crate::kernels::CodeKernels;
use pinyon_types::Metric;

const LEVELS: f32 = 15.0;
/// The deviation of an estimate's error, as a share of factor times query: `sqrt(1 - 2/pi)` of the row, whose rotated components are
/// as good as normal, and 0.11 of the query's four bits.
const DEVIATION: f32 = 0.613;
/// How much longer than the rows a query is made at most, where its length is free.
const LENGTHENED_MAX: f64 = 8.0;
/// Rows that lie apart and are numbered at once when all are read.
const AT_ONCE: usize = 64;

/// How rows lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignLayout {
    /// Eight by eight, a word of each in a line: all of them are read in two thirds of the time, and one alone as slowly as eight.
    Interleaved,
    /// Each by itself, its bits and then what an estimate needs of it: at 384 components that is one line.
    Apart,
}

impl SignLayout {
    /// Words from one row to the next, where rows lie apart.
    const fn stride(words: usize) -> usize {
        words + TERM_WORDS
    }

    /// Lines of so many rows, whose bits fill so many words. Of rows that lie apart whole lines are read: one more lies after
    /// the last.
    const fn lines(self, words: usize, rows: usize) -> usize {
        match self {
            Self::Interleaved => rows.div_ceil(GROUP) * words,
            Self::Apart => (rows * Self::stride(words)).div_ceil(LINE_WORDS) + 1,
        }
    }

    /// Groups of terms.
    const fn groups(self, rows: usize) -> usize {
        match self {
            Self::Interleaved => rows.div_ceil(GROUP),
            Self::Apart => 0,
        }
    }

    /// Where a row's first word is, and how far it is to its next.
    const fn place(self, words: usize, row: usize) -> (usize, usize) {
        match self {
            Self::Interleaved => (row / GROUP * words * GROUP + row % GROUP, GROUP),
            Self::Apart => (row * Self::stride(words), 1),
        }
    }
}

/// What coded rows that lie apart are made of, as a file keeps it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignParts<'a> {
    /// What the rows were turned into before they were coded.
    pub space: PointSpace,
    /// Of all rotated points.
    pub mean: &'a [f32],
    /// Number of rows.
    pub rows: usize,
    /// Each row's bits and its terms, in whole lines.
    pub words: &'a [u64],
}

/// Coded rows.
#[derive(Debug, Clone)]
pub struct SignRows {
    space: PointSpace,
    mean: Vec<f32>,
    layout: SignLayout,
    words: usize,
    rows: usize,
    lines: Vec<Line>,
    /// Of groups; none where rows lie apart.
    terms: Vec<GroupTerms>,
}

impl SignRows {
    /// Room for rows whose rotated points have this mean.
    pub fn new(space: PointSpace, mean: Vec<f32>, layout: SignLayout) -> Self {
        let words = mean.len().div_ceil(64);
        Self { space, mean, layout, words, rows: 0, lines: Vec::new(), terms: Vec::new() }
    }

    /// What the rows are made of; `None` of rows that lie interleaved.
    pub fn parts(&self) -> Option<SignParts<'_>> {
        let Self { space, mean, layout, words: _, rows, lines, terms: _ } = self;
        let (space, rows, words) = (*space, *rows, bytemuck::cast_slice(lines));
        (*layout == SignLayout::Apart).then_some(SignParts { space, mean, rows, words })
    }

    /// Rows that lie apart, of what they were made of; `None` if these are not the words of so many rows.
    pub fn from_parts(parts: SignParts<'_>) -> Option<Self> {
        let mut rows = Self::new(parts.space, parts.mean.to_vec(), SignLayout::Apart);
        let lines = parts.words.len() / LINE_WORDS;
        let is_of_rows =
            parts.rows <= parts.words.len() && rows.layout.lines(rows.words, parts.rows) == lines;
        if !is_of_rows || !parts.words.len().is_multiple_of(LINE_WORDS) {
            return None;
        }
        rows.reserve_exact(parts.rows);
        rows.rows = parts.rows;
        rows.lines.resize(lines, Line::ZERO);
        bytemuck::cast_slice_mut(&mut rows.lines).copy_from_slice(parts.words);
        Some(rows)
    }

    /// Makes room for so many rows more.
    pub fn reserve_exact(&mut self, rows: usize) {
        let rows = self.rows + rows;
        self.lines.reserve_exact(self.layout.lines(self.words, rows).saturating_sub(self.lines.len()));
        self.terms.reserve_exact(self.layout.groups(rows).saturating_sub(self.terms.len()));
        crate::ask_for_huge_pages(self.lines.spare_capacity_mut());
    }

    /// Adds a row, given its rotated point.
    pub fn push(&mut self, point: &[f32]) {
        let row = self.rows;
        self.rows += 1;
        self.lines.resize(self.layout.lines(self.words, self.rows), Line::ZERO);
        let (first, step) = self.layout.place(self.words, row);
        let words: &mut [u64] = bytemuck::cast_slice_mut(&mut self.lines);
        let (mut squared, mut magnitude, mut ones) = (0.0_f32, 0.0_f32, 0_u32);
        for (at, (component, mean)) in point.iter().zip(&self.mean).enumerate() {
            let rest = component - mean;
            squared += rest * rest;
            magnitude += rest.abs();
            if rest >= 0.0 {
                words[first + at / 64 * step] |= 1 << (at % 64);
                ones += 1;
            }
        }
        let factor = if magnitude > 0.0 { 2.0 * (squared / magnitude) } else { 0.0 };
        self.set_terms(row, [squared + self.space.surplus(point), factor, ones as f32]);
    }

    fn set_terms(&mut self, row: usize, [norm_squared, factor, ones]: [f32; 3]) {
        if self.layout == SignLayout::Apart {
            let first = 2 * (self.layout.place(self.words, row).0 + self.words);
            let numbers: &mut [f32] = bytemuck::cast_slice_mut(&mut self.lines);
            numbers[first..first + 3].copy_from_slice(&[norm_squared, factor, ones]);
            return;
        }
        let nothing = GroupTerms { norm_squared: [0.0; GROUP], factor: [0.0; GROUP], ones: [0.0; GROUP] };
        self.terms.resize(self.layout.groups(self.rows), nothing);
        let (terms, place) = (&mut self.terms[row / GROUP], row % GROUP);
        terms.norm_squared[place] = norm_squared;
        terms.factor[place] = factor;
        terms.ones[place] = ones;
    }

    /// How they lie.
    pub const fn layout(&self) -> SignLayout {
        self.layout
    }

    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// What is read of a row, in bytes, when vectors of `dim` components are compared by a metric: its bits and three numbers.
    pub const fn bytes_per_row(metric: Metric, dim: usize) -> usize {
        PointSpace::dim_of(metric, dim).div_ceil(64) * size_of::<u64>() + size_of::<GroupTerms>() / GROUP
    }

    /// Memory that so many rows take, in bytes.
    pub const fn bytes_for(layout: SignLayout, metric: Metric, dim: usize, rows: usize) -> usize {
        let words = PointSpace::dim_of(metric, dim).div_ceil(64);
        layout.lines(words, rows) * size_of::<Line>() + layout.groups(rows) * size_of::<GroupTerms>()
    }

    /// Memory, in bytes.
    pub const fn bytes(&self) -> usize {
        self.lines.len() * size_of::<Line>() + self.terms.len() * size_of::<GroupTerms>()
    }

    /// Words of a plane of a query: whole lines for rows that lie apart, zeros where a row has its terms or its neighbour.
    const fn plane_words(&self) -> usize {
        match self.layout {
            SignLayout::Interleaved => self.words,
            SignLayout::Apart => self.words.next_multiple_of(LINE_WORDS),
        }
    }

    /// A query to hold against the rows, given its rotated point.
    pub fn query(&self, point: &[f32]) -> SignQuery {
        let length = self.length_for(point);
        let rest: Vec<f32> = point
            .iter()
            .zip(&self.mean)
            .map(|(component, mean)| (length * f64::from(*component)) as f32 - mean)
            .collect();
        let (low, high) = rest
            .iter()
            .fold((f32::MAX, f32::MIN), |(low, high), component| (low.min(*component), high.max(*component)));
        let step = if high > low { (high - low) / LEVELS } else { 1.0 };
        let (planes, total) = self.planes(&rest, low, step);
        SignQuery {
            kernels: CodeKernels::detect(),
            planes,
            estimate: Estimate {
                of_ones: 2.0 * low,
                of_sum: 2.0 * step,
                constant: -low * rest.len() as f32 - step * total as f32,
            },
            deviation: DEVIATION * dot(&rest, &rest).sqrt() as f32,
            length,
            shift: self.space.common_norm_squared() * (1.0 - length)
                + dot(&self.mean, &self.mean)
                + 2.0 * dot(&self.mean, &rest),
        }
    }

    /// How long a query is made. Where all rows have one length the query's does not matter to their order, so that it becomes as
    /// long as leaves least without the mean.
    fn length_for(&self, point: &[f32]) -> f64 {
        let (own, rows) = (dot(point, point).sqrt(), self.space.common_norm_squared().sqrt());
        if own == 0.0 || rows == 0.0 {
            return 1.0;
        }
        let (usual, along) = (rows / own, dot(point, &self.mean));
        let best = if along > 0.0 { dot(&self.mean, &self.mean) / along } else { f64::INFINITY };
        best.clamp(usual, LENGTHENED_MAX * usual)
    }

    /// The planes of components in steps from `low` on, and the sum of all steps.
    fn planes(&self, components: &[f32], low: f32, step: f32) -> (Vec<u64>, u32) {
        let words = self.plane_words();
        let mut planes = vec![0_u64; PLANES * words];
        let mut total = 0;
        for (word, components) in components.chunks(64).enumerate() {
            let mut bits = [0_u64; PLANES];
            for (at, component) in components.iter().enumerate() {
                let level = nearest_integer(((component - low) / step).clamp(0.0, LEVELS)).cast_unsigned();
                total += level;
                for (plane, bits) in bits.iter_mut().enumerate() {
                    *bits |= u64::from(level >> plane & 1) << at;
                }
            }
            bits.iter().enumerate().for_each(|(plane, bits)| planes[plane * words + word] = *bits);
        }
        (planes, total)
    }
}

/// A query as planes of bits.
#[derive(Debug, Clone)]
pub struct SignQuery {
    kernels: CodeKernels,
    planes: Vec<u64>,
    estimate: Estimate,
    /// Of an estimate's error, for a factor of one.
    deviation: f32,
    /// What the query's point was multiplied with.
    length: f64,
    /// What an estimate has more than a distance as bytes tell it, where the query has that length.
    shift: f64,
}

impl SignQuery {
    /// The same with other kernels: for tests and benches.
    #[must_use]
    pub fn with(self, kernels: CodeKernels) -> Self {
        Self { kernels, ..self }
    }

    /// The same with lower bounds for estimates: so many standard deviations below them. The nearest rows have estimates as wrong as
    /// any, so that of rows at the very limit as many are missed as the normal distribution has beyond.
    #[must_use]
    pub fn lowered(mut self, deviations: f32) -> Self {
        self.estimate.constant += deviations * self.deviation;
        self
    }

    /// The estimate of a row whose distance is `distance` as bytes tell it ([`super::Int8Query::distances`]).
    pub fn of_distance(&self, distance: f32) -> f32 {
        (f64::from(distance) * self.length + self.shift) as f32
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
        if rows.layout == SignLayout::Apart {
            let mut at = [0; AT_ONCE];
            for (chunk, out) in out.chunks_mut(AT_ONCE).enumerate() {
                let first = (first + chunk * AT_ONCE) as u32;
                at.iter_mut().zip(first..).for_each(|(at, row)| *at = row);
                self.distances_at(rows, &at[..out.len()], out);
            }
            return;
        }
        let groups = first / GROUP..(first + out.len()).div_ceil(GROUP);
        let bits = &rows.lines[groups.start * rows.words..groups.end * rows.words];
        let terms = &rows.terms[groups];
        let words: &[u64] = bytemuck::cast_slice(bits);
        self.kernels.sign_distances(&self.planes, words, terms, self.estimate, out);
    }

    /// The same of these rows: `out[i]` of row `at[i]`. Where rows lie apart they are fetched ahead, where they are interleaved
    /// each costs as much as eight.
    ///
    /// # Panics
    /// A row that there is not; `out` is shorter than `at`.
    pub fn distances_at(&self, rows: &SignRows, at: &[u32], out: &mut [f32]) {
        let out = &mut out[..at.len()];
        if rows.layout == SignLayout::Apart {
            let (words, stride) = (bytemuck::cast_slice(&rows.lines), SignLayout::stride(rows.words));
            return self.kernels.sign_distances_at(&self.planes, (words, stride), at, self.estimate, out);
        }
        for (row, out) in at.iter().map(|row| *row as usize).zip(out) {
            let first = row / GROUP * GROUP;
            let mut eight = [0.0; GROUP];
            self.distances(rows, first, &mut eight[..GROUP.min(rows.rows - first)]);
            *out = eight[row - first];
        }
    }
}

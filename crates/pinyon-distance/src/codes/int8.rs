//! A byte a component: each row scaled so that its largest component is 127.

use super::{LINE_BYTES, Line, PointSpace, Rotation, nearest_integer};
use crate::kernels::CodeKernels;
use pinyon_types::Metric;
use std::{ops::Range, sync::Arc};

/// The largest component of a code.
const CODE_MAX: f32 = 127.0;
/// What is added to a component to store it: instructions multiply unsigned bytes with signed ones.
pub(crate) const OFFSET: i32 = 128;
/// How many standard deviations a distance may be wrong by: one in 16,000 is by more.
const DEVIATIONS: f32 = 4.0;
/// Rows whose products are kept until their scales are read.
const BATCH: usize = 64;

/// Coded rows: all that were pushed, or a part of them that lies in the same memory.
#[derive(Debug, Clone)]
pub struct Int8Rows {
    pub(super) space: PointSpace,
    pub(super) rotation: Arc<Rotation>,
    lines_per_row: usize,
    stored: Arc<Stored>,
    rows: Range<usize>,
}

#[derive(Debug, Clone, Default)]
struct Stored {
    codes: Vec<Line>,
    /// What a unit of a row's components is worth, and the square of its point's length.
    scales: Vec<[f32; 2]>,
}

/// A query, or a row that is held against others, as codes.
#[derive(Debug, Clone)]
pub struct Int8Query {
    kernels: CodeKernels,
    codes: Vec<Line>,
    /// Of the signed components.
    sum: i32,
    /// What a unit is worth, twice.
    factor: f32,
    /// Added to every distance.
    base: f32,
}

impl Int8Rows {
    /// Room for rows of `dim` components.
    pub fn new(space: PointSpace, dim: usize, seed: u64) -> Self {
        let dim = space.dim(dim);
        let lines_per_row = dim.div_ceil(LINE_BYTES);
        let rotation = Arc::new(Rotation::new(dim, seed));
        Self { space, rotation, lines_per_row, stored: Arc::default(), rows: 0..0 }
    }

    /// Codes of consecutive rows, each with one over its length.
    pub fn encode(space: PointSpace, vectors: &[f32], inverse_norms: &[f32], seed: u64) -> Self {
        let dim = vectors.len() / inverse_norms.len().max(1);
        let mut rows = Self::new(space, dim, seed);
        rows.reserve_exact(inverse_norms.len());
        rows.extend(vectors, inverse_norms);
        rows
    }

    /// Adds consecutive rows, each with one over its length.
    pub fn extend(&mut self, vectors: &[f32], inverse_norms: &[f32]) {
        let dim = vectors.len() / inverse_norms.len().max(1);
        let mut point = Vec::new();
        for (row, norm) in vectors.chunks_exact(dim.max(1)).zip(inverse_norms) {
            self.point(row, *norm, &mut point);
            self.push(&point);
        }
    }

    /// The rotated point of a row.
    pub fn point(&self, row: &[f32], inverse_norm: f32, point: &mut Vec<f32>) {
        self.space.point(row, inverse_norm, point);
        self.rotation.apply(point);
    }

    /// Makes room for so many rows more.
    pub fn reserve_exact(&mut self, rows: usize) {
        let lines = rows * self.lines_per_row;
        let Stored { codes, scales } = self.own();
        codes.reserve_exact(lines);
        scales.reserve_exact(rows);
        crate::ask_for_huge_pages(codes.spare_capacity_mut());
    }

    /// Adds a row, given its rotated point.
    pub fn push(&mut self, point: &[f32]) {
        let (scale, norm_squared) = (scale_of(point), self.space.norm_squared(point));
        let lines = self.lines_per_row;
        let Stored { codes, scales } = self.own();
        let from = codes.len();
        codes.resize(from + lines, Line([OFFSET as u8; LINE_BYTES]));
        let code: &mut [u8] = bytemuck::cast_slice_mut(&mut codes[from..]);
        for (code, component) in code.iter_mut().zip(point) {
            *code = (quantised(*component, scale) + OFFSET) as u8;
        }
        scales.push([scale, norm_squared]);
        self.rows.end += 1;
    }

    /// Some of the rows, numbered from 0, in the same memory.
    ///
    /// # Panics
    /// Rows that there are not.
    #[must_use]
    pub fn part(&self, rows: Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.len(), "a part of the rows that there are");
        let rows = self.rows.start + rows.start..self.rows.start + rows.end;
        Self { rows, ..self.clone() }
    }

    /// The memory to write to; rows that are shared, or a part of others, are copied first.
    fn own(&mut self) -> &mut Stored {
        if self.rows != (0..self.stored.scales.len()) {
            let stored = Stored { codes: self.codes().to_vec(), scales: self.scales().to_vec() };
            (self.stored, self.rows) = (Arc::new(stored), 0..self.rows.len());
        }
        Arc::make_mut(&mut self.stored)
    }

    pub(super) fn codes(&self) -> &[Line] {
        &self.stored.codes[self.rows.start * self.lines_per_row..self.rows.end * self.lines_per_row]
    }

    pub(super) fn scales(&self) -> &[[f32; 2]] {
        &self.stored.scales[self.rows.clone()]
    }

    /// Whether two rows have codes that differ by no more than two codes of one vector do, on average, where that errs by up to half a
    /// unit in every component of both.
    ///
    /// # Panics
    /// Rows that there are not.
    pub fn are_same(&self, a: u32, b: u32) -> bool {
        let [(of_a, scale_a), (of_b, scale_b)] = [a, b].map(|row| self.decoded(row as usize));
        let apart = of_a.iter().zip(of_b).map(|(a, b)| {
            let decoded = |code: u8, scale: f32| scale * (i32::from(code) - OFFSET) as f32;
            (decoded(*a, scale_a) - decoded(*b, scale_b)).powi(2)
        });
        // The lesser unit, because a row of zeros has next to none.
        let unit = scale_a.min(scale_b);
        apart.sum::<f32>() <= self.rotation.dim() as f32 * unit * unit / 6.0
    }

    /// A row's codes, and what a unit of them is worth.
    fn decoded(&self, row: usize) -> (&[u8], f32) {
        let lines = self.lines_per_row;
        let codes = bytemuck::cast_slice(&self.codes()[row * lines..(row + 1) * lines]);
        (codes, self.scales()[row][0])
    }

    /// Copies of these rows, one after the other.
    ///
    /// # Panics
    /// A row that there is not.
    #[must_use]
    pub fn pick(&self, rows: &[u32]) -> Self {
        let mut stored = Stored::default();
        for row in rows.iter().map(|row| *row as usize) {
            stored.codes.extend(&self.codes()[row * self.lines_per_row..(row + 1) * self.lines_per_row]);
            stored.scales.push(self.scales()[row]);
        }
        Self { stored: Arc::new(stored), rows: 0..rows.len(), ..self.clone() }
    }

    /// What the rows were turned into before they were coded.
    pub const fn space(&self) -> PointSpace {
        self.space
    }

    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.rows.end - self.rows.start
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The largest unit of a row's components, and the largest square of a length.
    pub fn coarsest(&self) -> [f32; 2] {
        self.scales().iter().fold([0.0; 2], |most, row| [most[0].max(row[0]), most[1].max(row[1])])
    }

    /// Memory that a row takes, in bytes, when vectors of `dim` components are compared by a metric.
    pub const fn bytes_per_row(metric: Metric, dim: usize) -> usize {
        PointSpace::dim_of(metric, dim).div_ceil(LINE_BYTES) * LINE_BYTES + size_of::<[f32; 2]>()
    }

    /// Memory, in bytes.
    pub const fn bytes(&self) -> usize {
        self.len() * (self.lines_per_row * LINE_BYTES + size_of::<[f32; 2]>())
    }

    /// A query's rotated point.
    pub fn query_point(&self, query: &[f32]) -> Vec<f32> {
        let mut point = Vec::with_capacity(self.rotation.dim());
        self.space.query(query, &mut point);
        self.rotation.apply(&mut point);
        point
    }

    /// A query to hold against the rows, given its rotated point. Its distances order as the metric does; they lack what
    /// is the same for all rows.
    pub fn query(&self, point: &[f32]) -> Int8Query {
        let scale = scale_of(point);
        let mut codes = vec![Line::ZERO; self.lines_per_row];
        let signed: &mut [i8] = bytemuck::cast_slice_mut(&mut codes);
        for (code, component) in signed.iter_mut().zip(point) {
            *code = quantised(*component, scale) as i8;
        }
        Int8Query::new(codes, scale, 0.0)
    }

    /// A query that is to become rows.
    pub fn blank_query(&self) -> Int8Query {
        Int8Query::new(vec![Line::ZERO; self.lines_per_row], 0.0, 0.0)
    }

    /// A row as a query: its distances are squared distances between points.
    ///
    /// # Panics
    /// There is no such row.
    pub fn row_query(&self, row: usize) -> Int8Query {
        let mut query = self.blank_query();
        query.be_row(self, row);
        query
    }

    fn row_bytes(&self) -> usize {
        self.lines_per_row * LINE_BYTES
    }
}

/// Next to nothing for a vector of zeros, so that nothing is divided by 0 and nothing is thought to be wrong with its codes.
fn scale_of(point: &[f32]) -> f32 {
    let largest = point.iter().fold(0.0_f32, |largest, component| largest.max(component.abs()));
    (largest / CODE_MAX).max(f32::MIN_POSITIVE)
}

fn quantised(component: f32, scale: f32) -> i32 {
    nearest_integer((component / scale).clamp(-CODE_MAX, CODE_MAX))
}

impl Int8Query {
    fn new(codes: Vec<Line>, scale: f32, base: f32) -> Self {
        let signed: &[i8] = bytemuck::cast_slice(&codes);
        let sum = signed.iter().map(|code| i32::from(*code)).sum();
        Self { kernels: CodeKernels::detect(), codes, sum, factor: 2.0 * scale, base }
    }

    /// The same with other kernels: for tests and benches.
    #[must_use]
    pub fn with(self, kernels: CodeKernels) -> Self {
        Self { kernels, ..self }
    }

    /// Becomes another row of the same rows; see [`Int8Rows::row_query`].
    ///
    /// # Panics
    /// There is no such row.
    pub fn be_row(&mut self, rows: &Int8Rows, row: usize) {
        let [scale, norm_squared] = rows.scales()[row];
        let (from, to) = (row * rows.lines_per_row, (row + 1) * rows.lines_per_row);
        self.sum = 0;
        for (own, line) in self.codes.iter_mut().zip(&rows.codes()[from..to]) {
            // 128 more or less is the highest bit.
            own.0 = line.0.map(|byte| byte ^ OFFSET as u8);
            self.sum += own.0.iter().map(|byte| i32::from(byte.cast_signed())).sum::<i32>();
        }
        (self.factor, self.base) = (2.0 * scale, norm_squared);
    }

    /// Distances of consecutive rows from `first` on: `out[i]` of row `first + i`.
    ///
    /// # Panics
    /// There are not so many rows.
    pub fn distances(&self, rows: &Int8Rows, first: usize, out: &mut [f32]) {
        let bytes: &[u8] = bytemuck::cast_slice(rows.codes());
        let row_bytes = rows.row_bytes();
        let block = &bytes[first * row_bytes..(first + out.len()) * row_bytes];
        let scales = &rows.scales()[first..first + out.len()];
        let mut dots = [0_i32; BATCH];
        for ((block, scales), out) in
            block.chunks(BATCH * row_bytes.max(1)).zip(scales.chunks(BATCH)).zip(out.chunks_mut(BATCH))
        {
            let dots = &mut dots[..out.len()];
            self.kernels.int8_dots(self.query_bytes(), block, dots);
            for ((out, dot), scale) in out.iter_mut().zip(dots).zip(scales) {
                *out = self.finish(*dot, *scale);
            }
        }
    }

    /// Distances of these rows: `out[i]` of row `at[i]`. Rows are fetched ahead.
    ///
    /// # Panics
    /// A row that there is not; `out` is shorter than `at`.
    pub fn distances_at(&self, rows: &Int8Rows, at: &[u32], out: &mut [f32]) {
        let (codes, scales): (&[u8], _) = (bytemuck::cast_slice(rows.codes()), rows.scales());
        let out = &mut out[..at.len()];
        let mut dots = [0_i32; BATCH];
        for (at, out) in at.chunks(BATCH).zip(out.chunks_mut(BATCH)) {
            // The scales are read only when all codes were.
            at.iter().for_each(|row| self.kernels.prefetch(&scales[*row as usize]));
            let dots = &mut dots[..at.len()];
            self.kernels.int8_dots_at(self.query_bytes(), codes, at, dots);
            for ((out, dot), row) in out.iter_mut().zip(dots).zip(at) {
                *out = self.finish(*dot, scales[*row as usize]);
            }
        }
    }

    /// How wrong the distances may be.
    pub fn errors(&self) -> Int8Errors {
        let own = self.factor / 2.0;
        let of_query = self.query_bytes().iter().map(|code| i32::from(*code).pow(2)).sum::<i32>() as f32;
        let norm_squared = own * own * of_query;
        Int8Errors { unit_squared: own * own, norm_squared }
    }

    /// Asks for the line that anything else lies in, which belongs to the rows.
    pub fn prefetch_line<T>(&self, value: &T) {
        self.kernels.prefetch(value);
    }

    fn query_bytes(&self) -> &[i8] {
        bytemuck::cast_slice(&self.codes)
    }

    fn finish(&self, dot: i32, [scale, norm_squared]: [f32; 2]) -> f32 {
        let dot = dot - OFFSET * self.sum;
        self.base + norm_squared - self.factor * scale * dot as f32
    }
}

/// How wrong the distances of a query may be. Each component of a code is off by up to half a unit, so that the product of query and row
/// has the variance of as many uniform errors; a distance is twice that product.
#[derive(Debug, Clone, Copy)]
pub struct Int8Errors {
    /// What a unit of the query's components is worth, squared.
    unit_squared: f32,
    /// The square of the query's length.
    norm_squared: f32,
}

impl Int8Errors {
    /// By how much a row's distance may be wrong in either direction.
    ///
    /// # Panics
    /// There is no such row.
    pub fn of(&self, rows: &Int8Rows, row: u32) -> f32 {
        self.of_scales(rows.scales()[row as usize])
    }

    /// The same of a row whose distance was estimated. A row that is hardly farther than such errors has the query's own errors, for its
    /// codes are the same: they add up instead of averaging out, and for all copies of a vector alike.
    ///
    /// # Panics
    /// There is no such row.
    pub fn of_estimate(&self, rows: &Int8Rows, row: u32, estimate: f32) -> f32 {
        let error = self.of(rows, row);
        if estimate + self.norm_squared <= SAME_WITHIN * error { ADDED_UP * error } else { error }
    }

    /// At least as much as that of each of the rows, given what [`Int8Rows::coarsest`] says of them.
    pub fn most(&self, coarsest: [f32; 2]) -> f32 {
        ADDED_UP * self.of_scales(coarsest)
    }

    fn of_scales(&self, [scale, norm_squared]: [f32; 2]) -> f32 {
        // Codes that are coarse on a large scale are right on a small one, up to what single precision rounds away.
        let rounded = 4.0 * f32::EPSILON * (self.norm_squared + norm_squared);
        let variance = (self.norm_squared * scale * scale + self.unit_squared * norm_squared) / 12.0;
        2.0 * DEVIATIONS * variance.sqrt() + rounded
    }
}

/// A row within so many errors of the query may be a copy of it.
const SAME_WITHIN: f32 = 4.0;
/// Two equal errors are as large together as so many that are independent, and a little more for their product.
const ADDED_UP: f32 = 1.5;

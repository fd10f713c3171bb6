//! Making codes. A million wide rows take seconds, so that every part of it looks at whether to stop.

use super::{CodedRows, CodesTest, self_test, sign_layout};
use crate::RowBlock;
use pinyon_distance::codes::{Int8Rows, PointSpace, SignLayout, SignRows};
use pinyon_types::Metric;
use std::sync::Arc;

/// Seed of the rotation: one for all, so that a query is rotated once for all rows it is held against.
const ROTATION_SEED: u64 = 0x0070_696e_796f_6e00;
/// Rows that are coded between two looks at whether to stop: a few milliseconds.
const ROWS_PER_CHECK: usize = 1024;

/// What coding rows came to.
#[derive(Debug)]
pub enum Coding {
    /// Codes, and what they are worth.
    Done(CodedRows),
    /// It was stopped before it found anything.
    Stopped,
}

impl CodedRows {
    /// The rows a byte a component, which is what all other codes and graphs begin with; `None` if it was stopped.
    pub fn bytes_of(block: RowBlock<'_>, metric: Metric, stop: &dyn Fn() -> bool) -> Option<Int8Rows> {
        let mut bytes = none_of(PointSpace::of(metric, block.vectors, block.dim()), block.dim());
        bytes.reserve_exact(block.rows());
        for part in parts(block) {
            if stop() {
                return None;
            }
            bytes.extend(part.vectors, part.inverse_norms);
        }
        Some(bytes)
    }

    /// Codes of the rows of a block, given those of a byte a component.
    ///
    /// # Panics
    /// There are not as many bytes as rows.
    pub fn build(bytes: Int8Rows, block: RowBlock<'_>, metric: Metric, stop: &dyn Fn() -> bool) -> Coding {
        assert_eq!(bytes.len(), block.rows(), "codes of these rows");
        let signs = match sign_layout(block.rows()) {
            Some(layout) => {
                let Some(signs) = signs(&bytes, block, layout, stop) else { return Coding::Stopped };
                Some(signs)
            }
            None => None,
        };
        let coarsest = bytes.coarsest();
        let (rows, bytes) = (block.rows(), Arc::new(bytes));
        let coded = Self { rows, bytes, coarsest, signs, test: CodesTest::NONE, since_us: 0 };
        self_test::tested(coded, block, metric, stop)
    }

    /// Codes of a bit a component alone; `None` of so few rows that they have none.
    pub fn build_bits(block: RowBlock<'_>, metric: Metric, stop: &dyn Fn() -> bool) -> Option<Coding> {
        let layout = sign_layout(block.rows())?;
        let bytes = none_of(PointSpace::of(metric, block.vectors, block.dim()), block.dim());
        let Some(signs) = signs(&bytes, block, layout, stop) else { return Some(Coding::Stopped) };
        let coded = Self::of_bits(bytes, signs, CodesTest::NONE);
        Some(self_test::tested(coded, block, metric, stop))
    }

    /// Bits alone.
    pub(super) fn of_bits(none: Int8Rows, signs: SignRows, test: CodesTest) -> Self {
        let (rows, bytes) = (signs.len(), Arc::new(none));
        Self { rows, bytes, coarsest: [0.0; 2], signs: Some(signs), test, since_us: 0 }
    }
}

/// What queries are coded by: codes of no rows.
pub(super) fn none_of(space: PointSpace, dim: usize) -> Int8Rows {
    Int8Rows::new(space, dim, ROTATION_SEED)
}

/// Rows between two looks at whether to stop.
fn parts(block: RowBlock<'_>) -> impl Iterator<Item = RowBlock<'_>> {
    let firsts = (0..block.rows()).step_by(ROWS_PER_CHECK);
    firsts.map(move |first| block.part(first..(first + ROWS_PER_CHECK).min(block.rows())))
}

fn signs(
    bytes: &Int8Rows,
    block: RowBlock<'_>,
    layout: SignLayout,
    stop: &dyn Fn() -> bool,
) -> Option<SignRows> {
    let space = bytes.space();
    let mut sums = vec![0.0_f64; space.dim(block.dim())];
    let add = |point: &[f32]| sums.iter_mut().zip(point).for_each(|(sum, one)| *sum += f64::from(*one));
    for_each_point(bytes, block, stop, add)?;
    let mean = sums.into_iter().map(|sum| (sum / block.rows() as f64) as f32).collect();
    let mut signs = SignRows::new(space, mean, layout);
    signs.reserve_exact(block.rows());
    for_each_point(bytes, block, stop, |point| signs.push(point))?;
    Some(signs)
}

/// Hands over the rotated point of each row; `None` if it was stopped.
fn for_each_point(
    bytes: &Int8Rows,
    block: RowBlock<'_>,
    stop: &dyn Fn() -> bool,
    mut take: impl FnMut(&[f32]),
) -> Option<()> {
    let mut point = Vec::new();
    for part in parts(block) {
        if stop() {
            return None;
        }
        for row in 0..part.rows() {
            bytes.point(part.vector(row), part.inverse_norms[row], &mut point);
            take(&point);
        }
    }
    Some(())
}

//! Shapes of codes of a bit a component that kernels read: groups of rows, their terms, and what turns sums into estimates.

/// Rows that lie interleaved: one word of each of them fills a line.
pub(crate) const GROUP: usize = 8;
/// Bits of a query's component.
pub(crate) const PLANES: usize = 4;

/// Words after a row's bits that hold its terms, where rows lie apart.
pub(crate) const TERM_WORDS: usize = 2;

/// What an estimate needs of each row of a group beside its bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GroupTerms {
    /// The square of the length of what is left of the point.
    pub(crate) norm_squared: [f32; GROUP],
    /// What the inner product with the bits is worth, twice.
    pub(crate) factor: [f32; GROUP],
    /// How many bits are set.
    pub(crate) ones: [f32; GROUP],
}

/// How a sum of bits becomes a distance: `norm - factor * (of_ones * ones + of_sum * sum + constant)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    pub(crate) of_ones: f32,
    pub(crate) of_sum: f32,
    pub(crate) constant: f32,
}

//! How much what is made of segments takes in memory.

use std::iter::Sum;

/// Bytes that are made from a segment and stay in memory, by what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DerivedBytes {
    /// Codes of a byte a component.
    pub byte_codes: u64,
    /// Codes of a bit a component.
    pub bit_codes: u64,
    /// Graphs.
    pub graphs: u64,
    /// Filter indexes, made when the first filter asks for one.
    pub filter_indexes: u64,
}

impl DerivedBytes {
    /// All of them.
    pub const fn total(self) -> u64 {
        self.byte_codes + self.bit_codes + self.graphs + self.filter_indexes
    }
}

impl Sum for DerivedBytes {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            byte_codes: sum.byte_codes + one.byte_codes,
            bit_codes: sum.bit_codes + one.bit_codes,
            graphs: sum.graphs + one.graphs,
            filter_indexes: sum.filter_indexes + one.filter_indexes,
        })
    }
}

//! Sparse vectors: posting lists, and exact searches over them.
//!
//! A posting list holds, for one index, the rows that have it and their weights. [`search`] answers from the lists alone
//! and skips rows that cannot be among the best (MaxScore: Turtle and Flood, 1995; in windows of rows as Lucene does it);
//! [`scan_combined`] scores every row, with its dense vector if there is one. Both score a row with the same bits.

mod combined;
mod invert;
mod lists;
mod search;
#[cfg(test)]
mod tests;

pub use combined::{CombinedRows, DensePart, combined, scan_combined};
pub use invert::{Inverted, Term, invert};
pub use lists::{PostingLists, SparseRows, Window};
pub use search::{SparseRequest, search};

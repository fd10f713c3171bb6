//! The filter index: which rows pass a metadata filter, from bitmaps instead of row by row.

mod column;
mod index;
#[cfg(test)]
mod tests;

pub use index::FilterIndex;

use pinyon_types::{Filter, ValueRef};

/// Rows with metadata, numbered from 0.
pub trait MetadataRows {
    /// Number of rows.
    fn rows(&self) -> u32;
    /// Calls `each` with every field of a row.
    fn visit(&self, row: u32, each: &mut dyn FnMut(&str, ValueRef<'_>));
    /// Whether a row passes a filter, by the filter's plain meaning.
    fn matches(&self, row: u32, filter: &Filter) -> bool;
}

//! How far ahead rows are fetched where they are read in no order.

/// Bytes fetched ahead of the row that is computed, where rows are read in no order: all rows that a row of a graph is linked
/// to, at 384 components, and a third of what a core's first cache holds. A quarter of it cost a walk up to a tenth
/// more in one pair of runs and nothing in two others.
const AHEAD_BYTES: usize = 12 << 10;

/// [`AHEAD_BYTES`] in rows.
pub(super) const fn rows_ahead(row_bytes: usize) -> usize {
    let rows = AHEAD_BYTES / if row_bytes == 0 { 1 } else { row_bytes };
    if rows < 4 { 4 } else { rows }
}

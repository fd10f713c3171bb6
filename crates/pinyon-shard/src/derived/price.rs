//! What walks of graphs and scans of codes cost, in the same measure.

use crate::settings::{GraphEngine, Prices};
use pinyon_index::{CodedRows, GraphCost};
use roaring::RoaringBitmap;

/// Reading a row's bits where all are read costs this many times less than reading the bytes of a row that lies anywhere: 3 ns
/// and 16 ns at 384 components.
pub(crate) const BITS_PER_BYTES: u64 = 5;
/// Under a filter a scan of all bits takes twice as long: it goes deeper, and asks of every near row whether it passes.
pub(crate) const FILTERED_SCAN_TIMES: u64 = 2;

/// Preparing a query for bits and looking closer at what they chose costs as much as reading the bits of so many rows: a scan
/// of 25,000 rows took 116 us, one of 100,000 rows 307 us, and a row between them 2.5 ns.
const BITS_BASE_ROWS: u64 = 18_000;

/// The same under a filter, where searches go four times as deep.
const FILTERED_BASE_ROWS: u64 = 2 * BITS_BASE_ROWS;

/// What rows that lie apart cost in rows that lie interleaved: 3 ns each and 2 ns at 384 components.
const fn apart(rows: u64) -> u64 {
    rows * 3 / 2
}

/// What a walk costs beside a scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Price {
    /// Nanoseconds that scanning a row's bits takes, what is looked at more closely included.
    row_ns: f64,
    /// Rows whose bits are scanned in the time of a walk of effort one.
    rows_per_effort: f64,
}

impl Price {
    /// Of a graph whose part's scan counts for so many rows, by what was measured, if it was.
    pub(crate) fn new(
        (prices, engine): (Prices, GraphEngine),
        measured: Option<GraphCost>,
        rows_scanned: usize,
    ) -> Self {
        let fixed = |rows: usize| Self { row_ns: ROW_NS, rows_per_effort: rows as f64 };
        match (prices, measured) {
            (Prices::Fixed(rows), _) => fixed(rows),
            (Prices::Measured, None) => fixed(rows_per_effort(engine)),
            (Prices::Measured, Some(cost)) => {
                let row_ns = (cost.scan_ns / rows_scanned.max(1) as f64).max(f64::MIN_POSITIVE);
                Self { row_ns, rows_per_effort: cost.walk_ns_per_effort / row_ns }
            }
        }
    }

    /// A walk, in rows whose bits are scanned.
    pub(crate) fn of_walk(self, ef: usize) -> usize {
        (ef as f64 * self.rows_per_effort).ceil() as usize
    }

    /// Rows whose bits are scanned in so many milliseconds.
    pub(crate) fn rows_in(self, millis: usize) -> usize {
        (millis as f64 * 1e6 / self.row_ns) as usize
    }
}

/// Where nothing was measured: what reading a row's bits takes at 384 components with AVX-512.
const ROW_NS: f64 = 3.0;

/// The same of a walk of effort one, in such rows: our graph takes about 1 us for that, hnsw_rs 12 us.
const fn rows_per_effort(engine: GraphEngine) -> usize {
    match engine {
        GraphEngine::Codes => 350,
        GraphEngine::HnswRs => 4_000,
    }
}

/// As many rows whose bits are read as a scan of a part's codes costs, of so many rows only if some are named.
pub(crate) fn rows_scanned(coded: Option<&CodedRows>, rows: u32, passing: Option<&RoaringBitmap>) -> usize {
    let rows = u64::from(rows);
    let lies_apart = coded.is_some_and(CodedRows::has_signs_apart);
    let Some(passing) = passing.map(RoaringBitmap::len) else {
        return (if lies_apart { apart(rows) } else { rows } + BITS_BASE_ROWS) as usize;
    };
    let by_bits = if lies_apart { FILTERED_BASE_ROWS + apart(passing) } else { FILTERED_SCAN_TIMES * rows };
    by_bits.min(BITS_PER_BYTES * passing) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_tells_what_is_cheaper_and_what_is_bearable() {
        let cost = GraphCost { scan_ns: 2e6, walk_ns_per_effort: 1_000.0 };
        let new = |prices, cost, rows| Price::new((prices, GraphEngine::Codes), cost, rows);
        let price = new(Prices::Measured, Some(cost), 100_000);
        assert_eq!((price.of_walk(100), price.rows_in(20)), (5_000, 1_000_000));
        assert_eq!(new(Prices::Fixed(7), Some(cost), 100_000).of_walk(3), 21);
        let unknown = new(Prices::Measured, None, 100_000);
        assert_eq!((unknown.of_walk(1), unknown.rows_in(3)), (350, 1_000_000));
        let slow = Price::new((Prices::Measured, GraphEngine::HnswRs), None, 100_000);
        assert_eq!(slow.of_walk(1), 4_000);
        assert_eq!(new(Prices::Measured, Some(cost), 0).of_walk(0), 0);
    }
}

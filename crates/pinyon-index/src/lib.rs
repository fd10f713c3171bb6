//! Search structures over rows in memory: bounded top-k, exact scans, posting lists of sparse vectors, the filter index,
//! graphs.
//!
//! What it does: finds near rows and passing rows in slices that its caller owns, and counts what that cost
//! ([`Work`]). What it must not know: files, logs, tenants, time; it starts no threads (a graph is built on the pool
//! that it is given).
//!
//! ```
//! use pinyon_index::TopK;
//! let mut best = TopK::new(2);
//! for distance in [5, 1, 9, 3] {
//!     best.push(distance);
//! }
//! assert_eq!(best.into_sorted(), [1, 3]);
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bound;
mod coded;
mod filter;
mod graph;
mod probes;
mod scan;
mod sequential;
mod sparse;
mod top_k;
mod work;

pub use bound::Bound;
pub use coded::{CodedQuery, CodedRows, CodesTest, Coding, DenseQuery, KeptBits, Vectors, Wanted};
pub use filter::{FilterIndex, MetadataRows};
pub use graph::{
    Beginning, Building, Close, CodeGraph, Found, Graph, GraphCost, GraphError, GraphOptions, GraphParts,
    GraphRequest, GraphTest, HeldOut, HnswRsGraph, QUESTIONS_SURE, SelfTest, are_enough, calibrate,
    measure_cost, missed_by,
};
pub use scan::{RowBlock, ScanEnd, scan, scan_slots};
pub use sequential::{Asked, Drift, Recall};
pub use sparse::{
    CombinedRows, DensePart, Inverted, PostingLists, SparseRequest, SparseRows, Term, Window, combined,
    invert, scan_combined, search as search_postings,
};
pub use top_k::TopK;
pub use work::Work;

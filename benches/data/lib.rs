//! Data for benches: a directory of `.npy` files that `PINYON_BENCH_DATA` names, or rows generated to lie as embeddings
//! of real texts do, around many centres. Knows nothing of engines: a bench gives ids back and is told its recall.
//!
//! ```
//! let set = pinyon_benches::Dataset::generate(pinyon_benches::Size { rows: 300, queries: 3, dim: 8, tenants: 5 });
//! let exact = set.truth.nearest(0, 10);
//! assert_eq!(set.truth.recall(0, 10, exact), 1.0);
//! ```

mod dataset;
mod directory;
mod error;
mod generate;
mod npy;
pub mod report;
mod rows;

pub use dataset::{Attributes, Condition, Dataset, FilterTruth, Neighbours, Pairs};
pub use directory::load;
pub use error::DataError;
pub use generate::Size;
pub use npy::{Array, Element};
// Measured with what the product has.
use pinyon_allocator as _;
pub use rows::Rows;

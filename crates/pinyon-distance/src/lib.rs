//! Distances between vectors of f32: SIMD kernels, the plain reference they are held against, and a scorer that turns
//! them into [`pinyon_types::Distance`].
//!
//! What it must not know: records, files, slots. It is the home of unsafe code: calling an instruction set that the
//! CPU may not have. A [`Kernels`] value proves that the CPU has it; lengths are checked once in its safe methods.
//!
//! A row's distance is bit for bit the same whether it is computed alone or in a batch, so that a record scores the
//! same in a memtable and in a segment.
//!
//! ```
//! use pinyon_distance::{Kernels, QueryScorer, inverse_norm};
//! use pinyon_types::Metric;
//! assert_eq!(Kernels::detect().dot(&[1.0, 2.0], &[3.0, 4.0]), 11.0);
//! let row = [0.0, 2.0];
//! let scorer = QueryScorer::new(Metric::Cosine, &[0.0, 5.0]);
//! assert_eq!(scorer.distance(&row, inverse_norm(&row)).get(), 0.0);
//! ```

#![allow(unsafe_code)] // the one crate whose job it is; every block says what makes it sound
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod codes;
mod kernels;
mod memory;
pub mod reference;
mod scorer;

pub use kernels::{CodeKernels, Kernels};
pub use memory::ask_for_huge_pages;
pub use scorer::{QueryScorer, inverse_norm, length};

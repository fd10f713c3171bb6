//! For tests only: hostile bytes, made of valid ones, thrown at whatever reads bytes from outside.
//!
//! Bytes at random get no further than the first magic or checksum. So a target begins with what our own writers make, changes it,
//! and may put its checksums right again before it is read. Everything follows from a seed: `PINYON_TEST_SEED`, else the day. A
//! failure prints seed and case; with both given that case alone runs again. `PINYON_TEST_FUZZ_SECONDS` lets every target run so
//! long instead of its count.
//!
//! What it must not know: what any bytes mean.

#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(clippy::print_stdout, clippy::print_stderr)] // all of it runs in tests

pub mod bytes;
mod counting;
pub mod protobuf;
mod run;

pub use pinyon_types::SeededRng;
pub use run::{Report, Seen, Target};

//! Bytes to disk and back: files, the log, segments of tagged sections, the manifest.
//!
//! What it does: names every file operation ([`io::Io`]), frames and checksums what is written, and hands out only
//! bytes whose checksum it has verified. What it must not know: distances, graphs, tenants; what a frame or a section
//! means is its caller's business. `FORMAT.md` beside this crate gives every byte.
//!
//! Invariants: WAL-1 no answer before its bytes are durable. WAL-2 a torn tail is cut and the cut made durable; damage
//! before valid records is an error that names file and offset. WAL-3 after a failed write or sync the log takes no
//! more. SEG-1 a segment is never changed. SEG-2 every byte served was verified since the file was opened. SEG-3 nothing is
//! deleted before the state that no longer needs it is durable.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::expect_used))]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bytes;
mod clock;
#[cfg(test)]
mod fuzz;
pub mod io;
pub mod manifest;
pub mod metadata_bytes;
mod owner;
mod priority;
pub mod segment;
mod trim;
pub mod wal;
pub mod witness;

pub use clock::SystemClock;
pub use owner::Owner;
pub use priority::give_way;
pub use trim::give_back_memory;

// Floats and offsets are written as they lie in memory.
const _: () =
    assert!(cfg!(target_endian = "little"), "the file formats are little-endian, and so must the machine be");

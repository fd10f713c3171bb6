//! Segment files: what their sections mean. How sections get to disk and back is the storage crate's business.

mod attached;
mod checks;
mod kills;
pub(crate) mod layout;
mod reader;
mod sparse;
mod writer;

pub(crate) use checks::{namespace_rows, read_namespaces_of};
pub(crate) use kills::decode as decode_kills;
pub(crate) use layout::tag;
pub(crate) use reader::Segment;
pub(crate) use writer::{RowSource, remove_leftover, write_segment};

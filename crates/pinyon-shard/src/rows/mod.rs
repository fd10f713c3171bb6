//! What a reader sees: rows, wherever they lie, and one state of them. Immutable, but for codes and graphs that are attached.

pub(crate) mod fields;
pub(crate) mod frozen;
pub(crate) mod layer;
pub(crate) mod memtable;
pub(crate) mod part;
pub(crate) mod row;
pub(crate) mod segment;
pub(crate) mod snapshot;
pub(crate) mod span;
pub(crate) mod stored_rows;
pub(crate) mod uses;

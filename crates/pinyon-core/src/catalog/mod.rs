//! The catalog: which tenant lives on which shard, and what the data were made with. Durable before it is answered,
//! served from memory.
//!
//! Three layers: a raw store (sled, or redb as its twin) that keeps key-value pairs atomically and durably; a checked
//! store that lets no damage and no silent roll-back of the raw one pass unseen; the routing table, which packs many
//! assignments into one value, because a key per tenant costs sled gigabytes. Beside the assignments the table holds jobs and the copies
//! of tenants that are to be dropped, so that one commit changes all of them.

mod buckets;
#[cfg(test)]
mod change_tests;
mod checked;
mod codec;
#[cfg(test)]
mod conformance;
mod copies_to_drop;
#[cfg(test)]
mod cost_tests;
mod draft;
mod export;
#[cfg(any(test, feature = "testing"))]
mod file_store;
#[cfg(test)]
mod flips;
mod folding;
mod forgetting;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod golden;
mod identity;
mod jobs;
mod layout;
mod opening;
mod packing;
mod raw;
mod readers;
mod rebuilding;
mod redb_store;
mod rewrite;
mod routing_table;
mod sealing;
mod sled_store;
mod store;
mod view;
mod writer;

pub(crate) use checked::CheckedStore;
pub(crate) use codec::{CopyToDrop, IndexExtras, Job, Leftover, StoredIndex, decode_index, encode_index};
#[cfg(test)]
pub(crate) use conformance::files_with;
pub(crate) use draft::{Draft, NotCommitted};
#[cfg(test)]
pub(crate) use golden::assert_format_shows;
pub(crate) use identity::{Identity, draw};
pub(crate) use jobs::{JobError, JobId, Jobs};
pub(crate) use readers::{EarlierReaders, ReadGeneration};
pub(crate) use store::Change as StoreChange;
#[cfg(test)]
pub(crate) use store::remove_tree;
pub(crate) use view::{Routes, View};

pub use codec::StoredSettings;
pub use routing_table::{AssignRequest, RoutingTable};
pub use store::{CatalogError, CatalogKind};
pub use view::{Assignment, Pin};

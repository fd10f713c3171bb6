//! The catalog: which tenant lives on which shard, and what the data were made with. Durable before it is answered,
//! served from memory.
//!
//! Three layers: a raw store (sled, or redb as its twin) that keeps key-value pairs atomically and durably; a checked
//! store that lets no damage and no silent roll-back of the raw one pass unseen; the routing table, which packs many
//! assignments into one value, because a key per tenant costs sled gigabytes.

mod checked;
mod codec;
#[cfg(test)]
mod conformance;
mod declared;
mod export;
#[cfg(any(test, feature = "testing"))]
mod file_store;
#[cfg(test)]
mod flips;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod golden;
mod identity;
mod layout;
mod packing;
mod redb_store;
mod rewrite;
mod routing_table;
mod sealing;
mod sled_store;
mod store;
mod view;

pub(crate) use checked::CheckedStore;
pub(crate) use codec::{IndexExtras, StoredIndex, decode_index, encode_index};
#[cfg(test)]
pub(crate) use conformance::files_with;
#[cfg(test)]
pub(crate) use golden::assert_format_shows;
pub(crate) use identity::{Identity, draw};
pub(crate) use store::Change as StoreChange;
#[cfg(test)]
pub(crate) use store::remove_tree;

pub use codec::StoredSettings;
pub use routing_table::{AssignRequest, RoutingTable};
pub use store::{CatalogError, CatalogKind};
pub(crate) use view::Routes;
pub use view::{Assignment, Pin};

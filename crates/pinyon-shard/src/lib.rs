//! One shard: a log, a memtable, immutable segments, and search over all three.
//!
//! What it does: takes writes of one namespace at a time, makes each durable and visible as a whole (WAL-1), answers
//! reads from snapshots that no writer and no background step can disturb, seals the memtable into segments, merges
//! segments, makes codes and graphs that searches are faster with, and comes back after a crash with every acknowledged write.
//!
//! What it must not know: other shards, tenants' keys, HTTP, async runtimes. It is synchronous; time, files and
//! background steps come in through handles.
//!
//! How it stands: every record of a namespace lives in exactly one place, the memtable or one slot of one layer
//! (a table being sealed, or a segment). A record that is overwritten or deleted is *killed*: its slot is set in its
//! layer's bitmap of dead slots. So a look-up never has to decide which of two versions is newer.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod derived;
mod error;
mod inner;
mod metric_code;
mod place;
mod rows;
mod search;
mod settings;
mod shard;
mod suspicion;
mod upkeep;
mod writing;

#[cfg(test)]
mod tests;

pub use derived::bytes::DerivedBytes;
pub use derived::codes::KeptCodes;
pub use derived::graphs::KeptTest;
pub use derived::memory::{MappedBytes, ResidentBytes};
pub use derived::recall::{PartRecall, Tier};
pub use error::ShardError;
pub use place::{Birth, ShardPlace};
pub use settings::{ErasureTimes, GraphEngine, Prices, QuestionsKept, ShardOnDisk, ShardOptions, ShardShape};
pub use shard::{LocalWatch, NamespaceStats, SegmentStats, Shard, ShardStats};
pub use suspicion::Implausible;
pub use upkeep::budget::MemoryBudget;
pub use upkeep::disk::{DiskBudget, DiskLevel, DiskMarks, DiskState};
pub use upkeep::keepers::{Deriving, Keepers, KeepersOptions, Keeping};
pub use upkeep::maintenance::Step;
pub use upkeep::owed::Erased;
pub use upkeep::pressure::Pressure;
pub use upkeep::reclaim::WantedRoom;
pub use upkeep::salvage::{LostRecords, Salvage, SalvageReport, SalvagedNamespace};
pub use upkeep::scrub::{Pace, Verified};

pub use pinyon_backend::{
    BytesRead, Change, Explanation, Found, Frozen, Hit, Located, Namespace, Noted, Page, PartExplanation,
    PartPlace, Query, Reason, Receipt, Scope, SharedSearch, Stored, StoredRows, Way,
};
pub use pinyon_index::{Asked, Recall, Work};
pub use pinyon_storage::segment::Verify;

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

mod backend;
mod bell;
mod budget;
mod codes;
mod copying;
mod derived;
mod disk;
mod erase;
mod error;
mod fields;
mod frozen;
mod gate;
mod graphs;
mod inner;
mod keepers;
mod layer;
mod log_entry;
mod maintain;
mod memory;
mod memtable;
mod merge;
mod part;
mod place;
mod pressure;
mod questions;
mod queue;
mod read;
mod recall;
mod reclaim;
mod recover;
mod salvage;
mod scrub;
mod seal;
mod search;
mod segment;
mod settings;
mod shard;
mod snapshot;
mod stats;
mod stored_rows;
mod suspicion;
mod write;

#[cfg(test)]
mod tests;

pub use budget::MemoryBudget;
pub use codes::KeptCodes;
pub use copying::LocalWatch;
pub use disk::{DiskBudget, DiskLevel, DiskMarks, DiskState};
pub use erase::{Erased, ErasureTimes};
pub use error::ShardError;
pub use graphs::KeptTest;
pub use keepers::{Deriving, Keepers, KeepersOptions, Keeping};
pub use maintain::Step;
pub use memory::{DerivedBytes, MappedBytes, ResidentBytes};
pub use place::{Birth, ShardPlace};
pub use pressure::Pressure;
pub use recall::{PartRecall, Tier};
pub use reclaim::WantedRoom;
pub use salvage::{LostRecords, Salvage, SalvageReport, SalvagedNamespace};
pub use scrub::{Pace, Verified};
pub use settings::{GraphEngine, Prices, QuestionsKept, ShardOnDisk, ShardOptions, ShardShape};
pub use shard::Shard;
pub use stats::{NamespaceStats, SegmentStats, ShardStats};
pub use suspicion::Implausible;

pub use pinyon_backend::{
    BytesRead, Change, Explanation, Found, Frozen, Hit, Located, Namespace, Noted, Page, PartExplanation,
    PartPlace, Query, Reason, Receipt, Scope, SharedSearch, Stored, StoredRows, Way,
};
pub use pinyon_index::{Asked, Recall, Work};
pub use pinyon_storage::segment::Verify;

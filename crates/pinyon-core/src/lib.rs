//! The engine: many tenants over many shards, opened in a directory and used in-process. The server is one of its
//! users.
//!
//! What it does: decides and remembers where each tenant lives, embeds texts, writes to and reads from the right shard,
//! fans queries out over shards, watches their health, and compares its routing with what the shards really hold. What
//! it must not know: HTTP, gRPC, JSON shapes, file formats.
//!
//! Invariants: TEN-1 a namespace has exactly one owner shard per epoch. TEN-2 below the router a namespace is a handle
//! that only the router makes. QRY-1 a result that misses a shard says so. LIM-1 everything from outside has a bound.
//!
//! ```
//! use pinyon_core::{Document, Engine, EngineSettings, TextQuery};
//! let dir = std::env::temp_dir().join(format!("pinyon-doc-{}", std::process::id()));
//! let engine = Engine::open(&dir, EngineSettings::offline(2, 256)?)?;
//! engine.ingest("acme-corp", vec![
//!     Document::new("d1", "Dark beer is brewed with roasted malt."),
//!     Document::new("d2", "The train to the coast leaves at nine."),
//! ])?;
//! let answer = engine.query_text(&TextQuery::in_tenant("acme-corp", "brewing a dark beer", 1))?;
//! assert_eq!(answer.results[0].id.as_str(), "d1");
//! engine.close()?;
//! # drop(engine);
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod advise;
mod catalog;
mod cross_shard;
mod doctor;
mod engine;
mod environment;
mod error;
mod fan_out;
mod health;
mod indexes;
mod latency;
mod load;
mod memory_returned;
mod moves;
mod placement;
mod scrubber;
mod settings;
mod side_files;

pub use advise::{Advice, AdviceInput, GivenNumbers, advise};
pub use catalog::{Assignment, CatalogKind, Pin};
pub use cross_shard::{CrossShardCounts, CrossShardSettings};
pub use doctor::{Diagnosis, Finding, FindingKind};
pub use engine::{
    DataLock, Document, DroppedShard, Engine, EngineServices, EngineStats, ErasureReport, IngestReport,
    MadeWith, Match, NamespaceReport, Quarantine, QuarantineReason, QuarantinedShard, QueryAnswer,
    RecordAnswer, RecordQuery, ReopenedShard, SalvagedShard, Scrubbed, Settling, SettlingStage, ShardOutcome,
    ShardReport, StoredDocument, Tenant, TenantReport, TextQuery, VectorQuery, WaitingWrite, WriteAttempt,
    WriteHold, lock_to_look, reading,
};
pub use environment::{Environment, system_io};
pub use error::{EngineError, ErrorCode, of_record};
pub use fan_out::Reach;
pub use health::{HealthReport, ShardHealth, ShardStatus, TenantShare};
pub use indexes::{
    INDEX_NAME_BYTES_MAX, Index, IndexDescription, IndexPlace, IndexRequest, Indexes, check_index_name,
};
pub use latency::Quantiles;
pub use load::QueryLoad;
pub use moves::{MovePhase, MoveReport, MoveSettings, MoveTotals, MoveWork, Throttled};
pub use pinyon_shard::{
    Asked, BytesRead, Change, DerivedBytes, DiskBudget, DiskLevel, DiskMarks, DiskState, ErasureTimes,
    Explanation, GraphEngine, Hit, KeptCodes, KeptTest, Located, MappedBytes, MemoryBudget, Page,
    PartExplanation, PartPlace, PartRecall, Pressure, Prices, QuestionsKept, Reason, Recall, Receipt,
    ResidentBytes, SalvageReport, SalvagedNamespace, SegmentStats, ShardOptions, Stored, Tier, WantedRoom,
    Way, Work,
};
pub use pinyon_storage::{
    SystemClock,
    io::{
        FileAccess, anonymous_resident_bytes, limit_new_files, mapped_resident_bytes, name_shortened_files,
        port_holder,
    },
};
pub use placement::PlacementPolicy;
pub use settings::{
    ANSWER_BYTES_MAX, EngineSettings, MissingFields, SCRUB_PERIOD, ShapeSource, Thresholds, VERIFIED_AT_START,
};
pub use side_files::{
    Readers, SideFileLock, lock_side_file, read_side_file, tighten_data_dir, write_side_file,
};

//! What a move stands on: the parts of an engine that it needs.

use crate::{EngineError, catalog::RoutingTable, environment::Environment};
use pinyon_backend::ShardBackend;
use pinyon_types::{NamespaceId, SeqNo, ShardId};
use std::{fmt::Debug, sync::Arc, time::Duration};

/// What a move asks of those who read and write the copy that it moves away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyHold {
    /// Each write waits so long before it begins: the target cannot keep up.
    Slowed(Duration),
    /// It takes no writes. Readers are told of no later position than this: other tenants' writes would raise it.
    Closed(SeqNo),
}

/// How long 99 of 100 searches of a shard take at most, in microseconds; 0 where there were none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SearchLatency {
    /// Over the last minutes.
    pub(crate) usual_us: u64,
    /// Over the last second or two, if somebody asked for it then.
    pub(crate) recent_us: u64,
}

/// An engine as its moves know it.
pub(crate) trait Ground: Send + Sync + Debug {
    /// Where tenants live, and the jobs.
    fn routing(&self) -> &RoutingTable;

    /// What is asked of a shard.
    ///
    /// # Errors
    /// It is kept out, or not there.
    fn backend(&self, shard: ShardId) -> Result<Arc<dyn ShardBackend>, EngineError>;

    /// Asks something of those who read and write a copy, or nothing any more.
    fn hold(&self, copy: NamespaceId, hold: Option<CopyHold>);

    /// Whether there is room on the disk for a copy to go on.
    ///
    /// # Errors
    /// There is not; says how much there is and how much it takes.
    fn check_room(&self) -> Result<(), EngineError>;

    /// How long searches of a shard take.
    fn latency(&self, shard: ShardId) -> SearchLatency;

    /// The clock, and how to wait.
    fn environment(&self) -> &Environment;
}

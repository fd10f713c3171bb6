//! What a move stands on: the parts of an engine that it needs.

use crate::{EngineError, catalog::RoutingTable, environment::Environment};
use pinyon_backend::ShardBackend;
use pinyon_types::{NamespaceId, SeqNo, ShardId};
use std::{fmt::Debug, sync::Arc};

/// An engine as its moves know it.
pub(crate) trait Ground: Send + Sync + Debug {
    /// Where tenants live, and the jobs.
    fn routing(&self) -> &RoutingTable;

    /// What is asked of a shard.
    ///
    /// # Errors
    /// It is kept out, or not there.
    fn backend(&self, shard: ShardId) -> Result<Arc<dyn ShardBackend>, EngineError>;

    /// Holds what readers of a copy are told of their position, which other tenants' writes would raise; lets it go again without one.
    fn freeze_position(&self, copy: NamespaceId, at: Option<SeqNo>);

    /// The clock, and how to wait.
    fn environment(&self) -> &Environment;
}

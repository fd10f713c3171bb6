//! The engine: what it consists of, and the types it is asked with and answers with.

mod advice;
mod answers;
mod asked;
mod documents;
mod drop;
mod erase;
mod fleet;
mod fleet_view;
mod generation;
#[cfg(test)]
mod load_tests;
mod member;
mod moving;
mod names;
mod namespaces;
mod older;
mod open;
mod pools;
mod query;
mod records;
mod reopen;
mod reports;
mod salvage;
mod scrub;
mod settle;
mod shards;
#[cfg(any(test, feature = "testing"))]
mod step;
mod stored;
mod tenant;
mod tenants;
#[cfg(test)]
pub(crate) mod tests;

pub use asked::{
    Match, QueryAnswer, RecordAnswer, RecordQuery, ShardOutcome, ShardReport, TextQuery, VectorQuery,
};
pub use documents::{Document, IngestReport, StoredDocument};
pub use drop::DroppedShard;
pub use erase::ErasureReport;
pub(crate) use fleet::Fleet;
pub(crate) use fleet_view::Targets;
pub(crate) use generation::Generation;
pub(crate) use member::Member;
pub use member::{Quarantine, QuarantineReason};
pub(crate) use names::new_index_name;
pub use namespaces::NamespaceReport;
pub(crate) use older::{keep_older_out, write_format};
pub use open::{DataLock, lock_to_look};
pub(crate) use open::{lock_dir, took_writes};
pub(crate) use pools::Pools;
pub use records::{WaitingWrite, WriteAttempt, WriteHold};
pub use reopen::ReopenedShard;
pub use reports::{EngineServices, EngineStats, QuarantinedShard, TenantReport};
pub use salvage::SalvagedShard;
pub use scrub::{Scrubbed, reading};
pub use settle::{Settling, SettlingStage};
pub use stored::MadeWith;
pub use tenant::Tenant;

use crate::{
    EngineError, EngineSettings,
    catalog::RoutingTable,
    cross_shard::CrossShard,
    fan_out::Searchers,
    latency::LatencyMeter,
    moves::{CopyHold, Movers},
    scrubber::{Scrubber, Watching},
};
use arc_swap::ArcSwap;
use pinyon_backend::{CopyEntry, ShardBackend, Until};
use pinyon_shard::{Deriving, Keepers, Keeping, Shard};
use pinyon_storage::io::LockGuard;
use pinyon_types::{Clock, NamespaceId, ShardId, UniqueId};
use shards::Places;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// An open engine. Cheap to clone; clones are the same engine. The last one dropped stops its threads.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Before `inner`, so that no step runs when it lets go of the directory's lock: fields are dropped in order.
    upkeep: Arc<Upkeep>,
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: EngineSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) routing: RoutingTable,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) searchers: Arc<Searchers>,
    /// Latency of tenants, for as many as are metered (LIM-1).
    pub(crate) tenant_latency: Mutex<HashMap<NamespaceId, Arc<LatencyMeter>>>,
    pub(crate) single_tenant_queries: AtomicU64,
    pub(crate) cross_shard: CrossShard,
    /// Bits of the effort (f64) of queries that name none.
    pub(crate) scan_factor: AtomicU64,
    /// Why the engine is kept out as a whole, if it is.
    pub(crate) lost: Option<Quarantine>,
    /// What it and its shards are called, unless it is kept out.
    places: Option<Places>,
    /// Held while a shard is opened again.
    reopening: Mutex<()>,
    /// Whether moves are worked at: not before it is known that the routing table is not older than the shards.
    moves_tenants: AtomicBool,
    /// What moves ask of those who read and write copies.
    holds: ArcSwap<BTreeMap<NamespaceId, CopyHold>>,
    /// Held from closing a tenant's old route until the new one is known.
    rerouting: Mutex<()>,
    scrubbed: scrub::Counters,
    /// Held as long as the engine is open, or one that took its place.
    lock: Arc<dyn LockGuard>,
}

impl Engine {
    /// The index's name in its files; none of one that is kept out.
    pub(crate) fn unique_id(&self) -> UniqueId {
        self.inner.places.as_ref().map_or(UniqueId::NONE, |places| places.identity.index)
    }
}

impl Inner {
    /// A panic under it leaves nothing half way.
    fn lock_reopening(&self) -> MutexGuard<'_, ()> {
        self.reopening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Self::lock_reopening`].
    fn lock_rerouting(&self) -> MutexGuard<'_, ()> {
        self.rerouting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index_name(&self, shard: ShardId) -> String {
        self.fleet.index_name(shard)
    }

    /// What requests ask of a shard, or why it is kept out.
    pub(crate) fn backend(&self, shard: ShardId) -> Result<Arc<dyn ShardBackend>, EngineError> {
        self.fleet.backend(shard)
    }

    /// Every tenant's copy on shards that are served and answer, by shard.
    pub(crate) fn owned_copies(&self) -> impl Iterator<Item = (ShardId, CopyEntry)> {
        // A view before the copies: one that was its tenant's then is there, or was left a moment ago.
        let routes = self.routing.routes();
        self.copies().filter(move |(shard, copy)| routes.is_owned(*shard, copy.namespace.id()))
    }

    /// Every copy that shards hold which are served and answer, by shard; those that are no tenant's too.
    pub(crate) fn copies(&self) -> impl Iterator<Item = (ShardId, CopyEntry)> {
        let of_shard = |(number, shard): (ShardId, Arc<dyn ShardBackend>)| {
            let copies = shard.copies(Until::NEVER).unwrap_or_default();
            copies.into_iter().map(move |copy| (number, copy))
        };
        self.fleet.backends().flat_map(of_shard)
    }
}

/// What background threads do for the shards; dropping it waits until none of it runs.
#[derive(Debug)]
struct Upkeep {
    work: Mutex<Option<Work>>,
    keepers: Arc<Keepers>,
    scrubber: Arc<Scrubber>,
}

#[derive(Debug)]
struct Work {
    /// First, so that no move goes on at a shard that nobody keeps.
    movers: Option<Movers>,
    deriving: Deriving,
    _keepings: Vec<Keeping>,
    _watching: Watching,
}

impl Upkeep {
    fn begin(inner: &Arc<Inner>, pools: &Pools) -> Self {
        let (keepers, scrubber) = (Arc::clone(&pools.keepers), Arc::clone(&pools.scrubber));
        Self { work: Mutex::new(Some(Work::begin(inner, &keepers, &scrubber))), keepers, scrubber }
    }

    /// Goes on with the shards that are served now.
    fn begin_again(&self, inner: &Arc<Inner>) {
        *self.lock() = Some(Work::begin(inner, &self.keepers, &self.scrubber));
    }

    /// Waits for the steps that run; there are no more.
    fn end(&self) {
        drop(self.lock().take());
    }

    /// Begins to work at moves.
    fn begin_moves(&self, inner: &Arc<Inner>) {
        inner.moves_tenants.store(true, Ordering::Release);
        if let Some(work) = &mut *self.lock() {
            work.movers.get_or_insert_with(|| Work::movers(inner));
        }
    }

    /// Asks who works at moves, if somebody does.
    fn with_movers<T>(&self, ask: impl FnOnce(Option<&Movers>) -> T) -> T {
        ask(self.lock().as_ref().and_then(|work| work.movers.as_ref()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn movers(inner: &Arc<Inner>) -> Movers {
        Movers::begin(Arc::clone(inner) as _, inner.settings.moves)
    }

    fn begin(inner: &Arc<Inner>, keepers: &Keepers, scrubber: &Scrubber) -> Self {
        scrubber.verify_at_start(inner);
        let shards: Vec<Shard> = inner.fleet.local().map(|(_, shard)| shard).collect();
        let keepings = shards.iter().map(|shard| keepers.keep(shard)).collect();
        let weak = Arc::downgrade(inner);
        let rest = move || {
            if let Some(inner) = weak.upgrade() {
                inner.routing.rest();
                inner.erase_removed_names();
            }
        };
        let deriving = keepers.derive(shards, rest);
        let movers = inner.moves_tenants.load(Ordering::Acquire).then(|| Self::movers(inner));
        Self { movers, deriving, _keepings: keepings, _watching: scrubber.watch(inner) }
    }
}

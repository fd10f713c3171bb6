//! Erasure on demand: a tenant's records and its name leave the files now, and not only after a time.

use super::{
    Engine, Inner,
    fleet_view::Home,
    open::CATALOG_ASIDE,
    shards::{dropped_dir, shard_dir},
};
use crate::{EngineError, ErrorCode, catalog::Assignment, moves};
use pinyon_backend::{Change, Until};
use pinyon_shard::Erased;
use pinyon_storage::io::SharedIo;
use pinyon_types::TenantId;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Writers that come between the deletion and the end of the tenant's route are met again this often.
const TRIES: usize = 3;
/// How long readers of files that have no name any more are waited for.
const READERS_WAIT_US: u64 = 60_000_000;
const READERS_LOOK: Duration = Duration::from_millis(20);

/// What an erasure did, and what it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureReport {
    /// Whether the tenant had a place in the routing table.
    pub was_known: bool,
    /// Records that it still had.
    pub records: u64,
    /// Segments that were written again without its rows, or removed.
    pub segments: u64,
    /// Whether a query still reads from a file that has no name any more.
    pub is_held_by_readers: bool,
    /// What may hold some of it and was not touched: shards that are kept out, and what was set aside for people to look at.
    pub not_touched: Vec<PathBuf>,
}

impl Engine {
    /// Erases a tenant: its records, its namespace and its place in the routing table are gone, and no file of the index that is in use
    /// holds anything of them when this returns. Who writes to the name later is a new tenant. A name that is not known is no error:
    /// what an earlier erasure left half way is finished.
    ///
    /// # Errors
    /// The name is not one a tenant can have; somebody goes on writing to it; a shard or the catalog that takes no changes; too little
    /// room to write a segment again. It can be tried again after all of them.
    pub fn erase(&self, tenant: &str) -> Result<ErasureReport, EngineError> {
        let (inner, tenant) = (&self.inner, TenantId::new(tenant)?);
        let was_known = inner.view().home(&tenant)?.is_some();
        let records = self.end_tenant(&tenant)?;
        inner.drop_leftovers(&tenant)?;
        let mut erased = Erased::default();
        for (_, shard) in inner.fleet.local() {
            erased = erased.and(shard.erase(&tenant)?);
        }
        inner.routing.strike_copies(&tenant)?;
        inner.routing.rewrite()?;
        let is_held_by_readers = self.wait_for_readers(&erased);
        let not_touched = inner.not_touched();
        Ok(ErasureReport { was_known, records, segments: erased.segments, is_held_by_readers, not_touched })
    }

    /// Deletes a tenant's records and its route, so that none comes after the last one that was deleted. Says how many there were.
    fn end_tenant(&self, tenant: &TenantId) -> Result<u64, EngineError> {
        let (inner, mut records) = (&self.inner, 0);
        let _one_at_a_time = inner.lock_rerouting();
        inner.check_at_rest(tenant)?;
        for _ in 0..TRIES {
            let Some(Home { assignment, namespace, .. }) = inner.view().home(tenant)? else {
                return Ok(records);
            };
            let shard = inner.backend(assignment.shard)?;
            records += shard.write(&namespace, Change::DeleteAll, Until::NEVER)?.records;
            inner.routing.check_changes()?;
            // What was written meanwhile is deleted in the next round.
            if inner.close_if_empty(&*shard, &namespace)? > 0 {
                continue;
            }
            let forgotten = inner.end_route(tenant, assignment);
            // Where nobody knows whether a restart finds the route, what is written by it may be out of sight then.
            if forgotten.is_err() && inner.routing.takes_changes() {
                shard.open(&namespace)?;
            }
            if forgotten? {
                return Ok(records);
            }
        }
        let message = format!("tenant {tenant} is being written to: stop its writers, then erase it again");
        Err(EngineError::new(ErrorCode::FailedPrecondition, message))
    }

    /// Whether some reader holds a file longer than is waited for.
    fn wait_for_readers(&self, erased: &Erased) -> bool {
        let until = self.inner.clock.now_us() + READERS_WAIT_US;
        while erased.is_held() && self.inner.clock.now_us() < until {
            self.inner.settings.environment.pause(READERS_LOOK);
        }
        erased.is_held()
    }
}

impl Inner {
    /// Drops copies of a tenant that no move will drop.
    fn drop_leftovers(&self, tenant: &TenantId) -> Result<(), EngineError> {
        let routes = Arc::clone(&self.routing.routes());
        let copies = routes.copies_to_drop().iter().filter(|(_, _, copy)| copy.tenant == tenant.as_str());
        for (shard, number, _) in copies {
            moves::drop_leftover(self, (shard, number), tenant)?;
        }
        Ok(())
    }

    /// Forgets the route, if it is still this one, and what was said about the namespace.
    fn end_route(&self, tenant: &TenantId, seen: Assignment) -> Result<bool, EngineError> {
        if self.routing.routes().declared(tenant.as_str()).is_some() {
            self.routing.declare(tenant, None, self.clock.now_us())?;
        }
        Ok(self.routing.forget(tenant, seen)?)
    }

    /// Writes the catalog again some time after fields of a namespace were removed from it.
    pub(super) fn erase_removed_names(&self) {
        let Some(times) = self.settings.shard_options.erasure else { return };
        let after = u64::try_from(times.namespaces.as_micros()).unwrap_or(u64::MAX);
        if let Err(error) = self.routing.rewrite_removed(self.clock.now_us().saturating_sub(after)) {
            tracing::warn!(error = %error, "the routing table was not written again");
        }
    }

    /// What lies in the index's directory and belongs to no shard that is served.
    fn not_touched(&self) -> Vec<PathBuf> {
        let Some(places) = &self.places else { return Vec::new() };
        let io = self.settings.environment.io();
        let kept_out = self.fleet.quarantined().map(|(shard, _)| shard_dir(&places.home, shard.get()));
        let aside = catalogs_aside(io, &places.home).into_iter().chain([dropped_dir(&places.home)]);
        kept_out.chain(aside).filter(|path| io.exists(path).unwrap_or(true)).collect()
    }
}

/// Routing tables that a repair set aside.
fn catalogs_aside(io: &SharedIo, home: &Path) -> Vec<PathBuf> {
    let names = io.list_dirs(home).unwrap_or_default().into_iter();
    names.filter(|name| name.starts_with(CATALOG_ASIDE)).map(|name| home.join(name)).collect()
}

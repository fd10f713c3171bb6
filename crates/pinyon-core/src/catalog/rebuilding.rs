//! A routing table that is made anew from what the shards hold.

use super::{
    codec::{CopyToDrop, Job},
    routing_table::{RoutingTable, lock},
    store::{CatalogError, Change},
    view::{Assignment, Pin, View},
};
use pinyon_types::{Epoch, NamespaceId, ShardId, TenantId};
use std::sync::Arc;

/// A copy that is no tenant's: its shard, its number, and what is known of it.
type Leftover = (ShardId, NamespaceId, CopyToDrop);

impl RoutingTable {
    /// Replaces every assignment; jobs and copies to drop stay. The epoch moves beyond `seen`.
    ///
    /// # Errors
    /// The store's.
    pub fn replace_all(
        &self,
        assignments: Vec<(TenantId, NamespaceId, ShardId)>,
        seen: Epoch,
    ) -> Result<(), CatalogError> {
        self.replace(assignments, seen, |_| Ok(Vec::new()))
    }

    /// Replaces every assignment and every copy to drop of a table that went back, and ends every job: what it knew of them is old.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn rebuild(
        &self,
        assignments: Vec<(TenantId, NamespaceId, ShardId)>,
        seen: Epoch,
        leftovers: Vec<Leftover>,
    ) -> Result<(), CatalogError> {
        self.replace(assignments, seen, |view| {
            let mut changes = replace_copies(view, leftovers)?;
            changes.extend(end_jobs(view)?);
            Ok(changes)
        })
    }

    fn replace(
        &self,
        assignments: Vec<(TenantId, NamespaceId, ShardId)>,
        seen: Epoch,
        others: impl FnOnce(&mut View) -> Result<Vec<Change>, String>,
    ) -> Result<(), CatalogError> {
        let _one_at_a_time = lock(&self.upkeep);
        let mut writer = lock(&self.writer);
        let old = self.view.load_full();
        let epoch = writer.store.epoch().max(seen).next();
        let generation = old.generation.succeed();
        let mut view = View { epoch, tenants: Default::default(), generation, ..View::clone(&old) };
        for (tenant, namespace, shard) in assignments {
            let old = old.get(tenant.as_str()).filter(|old| old.shard == shard);
            let pin = old.map_or(Pin::Explicit, |old| old.pin);
            let position_base = old.map_or(0, |old| old.position_base);
            view.tenants.set(tenant, Assignment { namespace, shard, epoch, pin, position_base });
        }
        let others = others(&mut view).map_err(|problem| writer.damaged(problem))?;
        let assigned = view.iter().map(|(_, one)| one.namespace);
        let highest = assigned.chain(view.copies_to_drop.iter().map(|(_, number, _)| number)).max();
        let next = highest.map_or(1, |highest| highest.get() + 1);
        writer.stored.next_namespace = writer.stored.next_namespace.max(next);
        writer.fold_all(&view, others)?;
        self.view.store(Arc::new(view));
        drop(writer);
        self.export()
    }
}

fn replace_copies(view: &mut View, leftovers: Vec<Leftover>) -> Result<Vec<Change>, String> {
    let copies = Arc::make_mut(&mut view.copies_to_drop);
    let old: Vec<_> = copies.iter().map(|(shard, number, _)| (shard, number)).collect();
    let mut changes: Vec<Change> =
        old.into_iter().filter_map(|(shard, number)| copies.remove(shard, number)).collect();
    for (shard, number, copy) in leftovers {
        changes.push(copies.put(shard, number, copy)?);
    }
    Ok(changes)
}

fn end_jobs(view: &mut View) -> Result<Vec<Change>, String> {
    let jobs = Arc::make_mut(&mut view.jobs);
    let open: Vec<_> =
        jobs.iter().filter(|(_, job)| !job.is_ended).map(|(id, job)| (id, job.clone())).collect();
    let mut changes = Vec::new();
    for (id, job) in open {
        let error = Some("the routing table was made anew from the shards".to_owned());
        let ended = Job { phase: "failed".into(), is_ended: true, error, ..job };
        changes.extend(jobs.put(id, ended).map_err(|error| error.to_string())?);
    }
    Ok(changes)
}

//! A change of the routing table in the making: the newest state as its author sees it, and what becomes of it. All of a draft is
//! committed at once, or nothing.

use super::{
    codec::{CopyToDrop, Job},
    jobs::{JobError, JobId},
    store::{CatalogError, Change},
    view::{Assignment, View},
};
use pinyon_types::{Epoch, NamespaceId, ShardId, TenantId};
use std::sync::Arc;

/// Seen by its author alone until it is committed.
#[derive(Debug)]
pub(crate) struct Draft {
    view: View,
    next_namespace: u64,
    /// That of the newest state.
    first_namespace: u64,
    /// Whose assignments changed.
    tenants: Vec<TenantId>,
    /// Changes of everything else, as they are stored.
    others: Vec<Change>,
}

/// Why a draft was not committed.
#[derive(Debug)]
pub(crate) enum NotCommitted<R> {
    /// Its author found that a condition does not hold. Nothing was changed.
    Refused(R),
    /// The table takes no changes, or could not be opened. Nothing was changed.
    Unavailable(CatalogError),
    /// Whether it is durable is not known; see [`super::RoutingTable::read_again`]. Readers see the state before it.
    Unknown(CatalogError),
}

impl Draft {
    /// Of the newest state, for the next epoch.
    pub(super) fn new(newest: &View, epoch: Epoch, next_namespace: u64) -> Self {
        let view = View { epoch, ..newest.clone() };
        Self {
            view,
            next_namespace,
            first_namespace: next_namespace,
            tenants: Vec::new(),
            others: Vec::new(),
        }
    }

    /// The epoch of the change.
    pub(crate) const fn epoch(&self) -> Epoch {
        self.view.epoch
    }

    /// The newest state, with what was changed so far.
    pub(crate) const fn view(&self) -> &View {
        &self.view
    }

    /// Has a tenant live there.
    pub(crate) fn assign(&mut self, tenant: TenantId, assignment: Assignment) {
        debug_assert!(
            assignment.namespace.get() < self.next_namespace,
            "numbers are given before they are used"
        );
        self.view.tenants.set(tenant.clone(), assignment);
        self.tenants.push(tenant);
    }

    /// A namespace number that was never given and never will be again.
    pub(crate) const fn fresh_number(&mut self) -> NamespaceId {
        self.next_namespace += 1;
        NamespaceId::new(self.next_namespace - 1)
    }

    /// Gives no number from now on that is not above this one.
    pub(crate) fn keep_numbers_above(&mut self, number: NamespaceId) {
        self.next_namespace = self.next_namespace.max(number.get().saturating_add(1));
    }

    /// The number of the job that this change may enter.
    pub(crate) const fn job_id(&self) -> JobId {
        JobId::new(self.view.epoch.get())
    }

    /// Enters a job, or replaces what is known of it.
    ///
    /// # Errors
    /// There are too many, or it is too large; nothing was changed.
    pub(crate) fn put_job(&mut self, id: JobId, job: Job) -> Result<(), JobError> {
        let changes = Arc::make_mut(&mut self.view.jobs).put(id, job)?;
        self.others.extend(changes);
        Ok(())
    }

    /// Enters a copy that is no tenant's.
    ///
    /// # Errors
    /// It cannot be stored; nothing was changed.
    pub(crate) fn put_copy(
        &mut self,
        shard: ShardId,
        number: NamespaceId,
        copy: CopyToDrop,
    ) -> Result<(), String> {
        let change = Arc::make_mut(&mut self.view.copies_to_drop).put(shard, number, copy)?;
        self.others.push(change);
        Ok(())
    }

    /// Strikes a copy that was dropped, or is its tenant's now.
    pub(crate) fn remove_copy(&mut self, shard: ShardId, number: NamespaceId) {
        let change = Arc::make_mut(&mut self.view.copies_to_drop).remove(shard, number);
        self.others.extend(change);
    }

    pub(super) const fn next_namespace(&self) -> u64 {
        self.next_namespace
    }

    /// Whether there is nothing to commit.
    pub(super) const fn is_empty(&self) -> bool {
        self.tenants.is_empty() && self.others.is_empty() && self.next_namespace == self.first_namespace
    }

    /// The assignments that changed.
    pub(super) fn changed_tenants(&self) -> impl Iterator<Item = (&TenantId, Option<Assignment>)> {
        self.tenants.iter().map(|tenant| (tenant, self.view.get(tenant.as_str())))
    }

    pub(super) fn take_others(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.others)
    }

    /// The state that readers see once it is durable.
    pub(super) fn into_view(self) -> View {
        self.view
    }
}

//! The routing table as readers see it: immutable, in memory. A change copies only the buckets that it touches.

use super::{
    buckets::Buckets,
    copies_to_drop::CopiesToDrop,
    jobs::Jobs,
    readers::{EarlierReaders, ReadGeneration},
};
use pinyon_types::{Epoch, NamespaceId, SeqNo, ShardId, TenantId};
use std::{collections::BTreeMap, sync::Arc};

/// How a tenant came to its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// The placement policy chose.
    Placed,
    /// Somebody chose.
    Explicit,
}

/// Where a tenant lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The number of its copy: its namespace's on that shard.
    pub namespace: NamespaceId,
    /// Its shard.
    pub shard: ShardId,
    /// The epoch of the change that made the assignment.
    pub epoch: Epoch,
    /// Who chose.
    pub pin: Pin,
    /// What is added to positions of its shard, so that those which its clients see never fall.
    pub position_base: u64,
}

impl Assignment {
    /// What a position of its shard is to its clients.
    pub(crate) const fn seen_by_clients(&self, position: SeqNo) -> SeqNo {
        SeqNo::new(self.position_base.saturating_add(position.get()))
    }
}

/// One state of the routing table.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(super) epoch: Epoch,
    pub(super) tenants: Buckets<Assignment>,
    /// Of namespaces that somebody made explicitly: the metadata fields that filters may ask about; none means all.
    pub(super) declared: Buckets<Vec<String>>,
    pub(super) jobs: Arc<Jobs>,
    pub(super) copies_to_drop: Arc<CopiesToDrop>,
    pub(super) generation: Arc<ReadGeneration>,
}

/// A state that somebody looks at.
pub(crate) type Routes = arc_swap::Guard<Arc<View>>;

impl View {
    pub(crate) fn get(&self, tenant: &str) -> Option<Assignment> {
        self.tenants.get(tenant).copied()
    }

    /// Every tenant with its assignment, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TenantId, &Assignment)> {
        self.tenants.iter()
    }

    /// The same, ordered by name.
    pub(super) fn sorted(&self) -> Vec<(TenantId, Assignment)> {
        let all = self.iter().map(|(tenant, assignment)| (tenant.clone(), *assignment));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// The fields of a namespace that was made explicitly.
    pub(crate) fn declared(&self, name: &str) -> Option<&[String]> {
        self.declared.get(name).map(Vec::as_slice)
    }

    /// The namespaces that were made explicitly, with their fields, in no particular order.
    pub(crate) fn all_declared(&self) -> impl Iterator<Item = (&TenantId, &[String])> {
        self.declared.iter().map(|(name, fields)| (name, fields.as_slice()))
    }

    /// The jobs that there are, and those that ended not long ago.
    pub(crate) fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The copies that are no tenant's.
    pub(crate) fn copies_to_drop(&self) -> &CopiesToDrop {
        &self.copies_to_drop
    }

    /// Whether a copy on a shard is a tenant's, for all that is known.
    pub(crate) fn is_owned(&self, shard: ShardId, number: NamespaceId) -> bool {
        self.copies_to_drop.get(shard, number).is_none()
    }

    /// To be held by whoever reads by this state, until the last shard has been asked.
    pub(crate) fn generation(&self) -> Arc<ReadGeneration> {
        Arc::clone(&self.generation)
    }

    /// Who reads by this state or an earlier one.
    pub(super) fn readers(&self) -> EarlierReaders {
        EarlierReaders::of(&self.generation)
    }

    /// How many tenants each shard has that has any.
    pub(crate) fn count_by_shard(&self) -> BTreeMap<ShardId, u64> {
        let mut counts = BTreeMap::new();
        self.iter().for_each(|(_, one)| *counts.entry(one.shard).or_default() += 1);
        counts
    }
}

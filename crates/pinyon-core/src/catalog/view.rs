//! The routing table as readers see it: immutable, in memory. A change copies only the buckets that it touches.

use pinyon_types::{Epoch, NamespaceId, ShardId, TenantId};
use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

/// A change of one tenant at a million of them copies a few thousand entries.
const BUCKETS: usize = 256;

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
    /// Its namespace's number.
    pub namespace: NamespaceId,
    /// Its shard.
    pub shard: ShardId,
    /// The epoch of the change that made the assignment.
    pub epoch: Epoch,
    /// Who chose.
    pub pin: Pin,
}

/// One state of the routing table.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(super) epoch: Epoch,
    buckets: Vec<Arc<HashMap<TenantId, Assignment>>>,
    hasher: RandomState,
    len: usize,
}

/// A state that somebody looks at.
pub(crate) type Routes = arc_swap::Guard<Arc<View>>;

impl View {
    pub(super) fn empty() -> Self {
        let buckets = (0..BUCKETS).map(|_| Arc::default()).collect();
        Self { epoch: Epoch::ZERO, buckets, hasher: RandomState::new(), len: 0 }
    }

    pub(crate) fn get(&self, tenant: &str) -> Option<Assignment> {
        self.buckets[self.bucket(tenant)].get(tenant).copied()
    }

    pub(super) fn set(&mut self, tenant: TenantId, assignment: Assignment) {
        let at = self.bucket(tenant.as_str());
        let old = Arc::make_mut(&mut self.buckets[at]).insert(tenant, assignment);
        self.len += usize::from(old.is_none());
    }

    pub(super) fn remove(&mut self, tenant: &str) {
        let at = self.bucket(tenant);
        let old = Arc::make_mut(&mut self.buckets[at]).remove(tenant);
        self.len -= usize::from(old.is_some());
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// In no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TenantId, &Assignment)> {
        self.buckets.iter().flat_map(|bucket| bucket.iter())
    }

    /// How many tenants each shard has that has any.
    pub(crate) fn count_by_shard(&self) -> BTreeMap<ShardId, u64> {
        let mut counts = BTreeMap::new();
        self.iter().for_each(|(_, one)| *counts.entry(one.shard).or_default() += 1);
        counts
    }

    fn bucket(&self, tenant: &str) -> usize {
        self.hasher.hash_one(tenant) as usize % BUCKETS
    }
}

//! A map by tenant that is cheap to copy: a copy shares all buckets, and a change copies the bucket that it touches.

use pinyon_types::TenantId;
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

/// A change of one tenant at a million of them copies a few thousand entries.
const BUCKETS: usize = 256;

/// Values by tenant.
#[derive(Debug, Clone)]
pub(super) struct Buckets<V> {
    buckets: Vec<Arc<HashMap<TenantId, V>>>,
    hasher: RandomState,
    len: usize,
}

impl<V> Default for Buckets<V> {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| Arc::default()).collect();
        Self { buckets, hasher: RandomState::new(), len: 0 }
    }
}

impl<V: Clone> Buckets<V> {
    pub(super) fn get(&self, tenant: &str) -> Option<&V> {
        self.buckets[self.bucket(tenant)].get(tenant)
    }

    pub(super) fn set(&mut self, tenant: TenantId, value: V) {
        let at = self.bucket(tenant.as_str());
        let old = Arc::make_mut(&mut self.buckets[at]).insert(tenant, value);
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
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TenantId, &V)> {
        self.buckets.iter().flat_map(|bucket| bucket.iter())
    }

    fn bucket(&self, tenant: &str) -> usize {
        self.hasher.hash_one(tenant) as usize % BUCKETS
    }
}

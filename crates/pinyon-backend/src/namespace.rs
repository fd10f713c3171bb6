//! The handle by which a namespace is named below the router.

use pinyon_types::{Epoch, NamespaceId, TenantId};

/// A namespace as the router resolved it. Below the router a namespace is never a text (TEN-2): whoever holds this
/// has been authenticated and routed. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    id: NamespaceId,
    name: TenantId,
    epoch: Epoch,
}

impl Namespace {
    /// Mints a handle. Only the router calls this, after authentication and look-up.
    pub const fn routed(id: NamespaceId, name: TenantId, epoch: Epoch) -> Self {
        Self { id, name, epoch }
    }

    /// The namespace's number.
    pub const fn id(&self) -> NamespaceId {
        self.id
    }

    /// The namespace's name, which the shard writes down so that routing can be rebuilt from it.
    pub const fn name(&self) -> &TenantId {
        &self.name
    }

    /// The epoch of the routing entry.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }
}

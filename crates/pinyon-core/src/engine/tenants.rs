//! Which shard a tenant lives on: looked up, placed when first seen, or assigned by somebody.

use super::{Engine, Inner};
use crate::{
    EngineError, ErrorCode,
    catalog::{AssignRequest, Assignment, Pin},
    placement::ShardLoad,
};
use pinyon_shard::Namespace;
use pinyon_types::{Invalid, ShardId, TenantId};

impl Engine {
    /// Where a tenant lives, if it was ever placed.
    ///
    /// # Errors
    /// The name is not one a tenant can have.
    pub fn lookup(&self, tenant: &str) -> Result<Option<Assignment>, EngineError> {
        Ok(self.inner.routing.lookup(TenantId::new(tenant)?.as_str()))
    }

    /// Where a tenant lives; a new one is placed by the policy, durably.
    ///
    /// # Errors
    /// The name is not one a tenant can have, or the catalog takes no changes.
    pub fn place(&self, tenant: &str) -> Result<Assignment, EngineError> {
        let tenant = TenantId::new(tenant)?;
        Ok(self.inner.resolve_or_place(&tenant)?.1)
    }

    /// Places many tenants with one durable commit; answers in their order.
    ///
    /// # Errors
    /// As [`Engine::place`]; none was placed.
    pub fn place_all(&self, tenants: &[String]) -> Result<Vec<Assignment>, EngineError> {
        let inner = &self.inner;
        let mut loads = inner.shard_loads();
        let mut requests = Vec::with_capacity(tenants.len());
        for (at, tenant) in tenants.iter().enumerate() {
            let tenant = TenantId::new(tenant)
                .map_err(|error| Invalid::new(format!("tenants[{at}]"), error.problem))?;
            let shard = inner.settings.placement.place(&tenant, &loads);
            if inner.routing.lookup(tenant.as_str()).is_none() {
                loads[shard.get() as usize].tenants += 1;
            }
            requests.push(AssignRequest { tenant, shard, pin: Pin::Placed });
        }
        Ok(inner.routing.assign(requests)?)
    }

    /// Assigns a tenant to a shard, durably. A tenant that has records stays where they are: moving it is another
    /// operation.
    ///
    /// # Errors
    /// No such shard, or a tenant that has records on another one.
    pub fn assign(&self, tenant: &str, shard: u32) -> Result<Assignment, EngineError> {
        let tenant = TenantId::new(tenant)?;
        let inner = &self.inner;
        if shard >= inner.settings.shards {
            let problem = format!("must be 0 to {}, is {shard}", inner.settings.shards - 1);
            return Err(Invalid::new("shard_id", problem).into());
        }
        if let Some(old) = inner.routing.lookup(tenant.as_str()).filter(|old| old.shard.get() != shard) {
            let namespace = Namespace::routed(old.namespace, tenant.clone(), old.epoch);
            let records = inner.shard(old.shard).count(&namespace, None);
            if records > 0 {
                let message = format!(
                    "tenant {tenant} has {records} records on {}; assigning it to {} would lose sight of them. Delete \
                     them there and ingest again, or leave the tenant where it is",
                    inner.index_name(old.shard),
                    inner.index_name(ShardId::new(shard))
                );
                return Err(EngineError::new(ErrorCode::FailedPrecondition, message));
            }
        }
        let request = AssignRequest { tenant, shard: ShardId::new(shard), pin: Pin::Explicit };
        Ok(inner.routing.assign(vec![request])?[0])
    }

    /// Every tenant with its assignment, ordered by name.
    pub fn tenants(&self) -> Vec<(TenantId, Assignment)> {
        self.inner.routing.all()
    }

    /// Whether any tenant was ever placed.
    pub fn has_tenants(&self) -> bool {
        self.inner.routing.len() > 0
    }

    /// A shard's name.
    pub fn index_name(&self, shard: ShardId) -> String {
        self.inner.index_name(shard)
    }

    /// Where a tenant lives, or would be placed; places nobody.
    ///
    /// # Errors
    /// The name is not one a tenant can have.
    pub fn shard_of(&self, tenant: &str) -> Result<ShardId, EngineError> {
        let tenant = TenantId::new(tenant)?;
        let assigned = self.inner.routing.lookup(tenant.as_str()).map(|assignment| assignment.shard);
        let place = || self.inner.settings.placement.place(&tenant, &self.inner.shard_loads());
        Ok(assigned.unwrap_or_else(place))
    }
}

impl Inner {
    /// The handle of a tenant that was placed before.
    pub(crate) fn resolve(&self, tenant: &TenantId) -> Option<(Namespace, Assignment)> {
        let assignment = self.routing.lookup(tenant.as_str())?;
        Some((Namespace::routed(assignment.namespace, tenant.clone(), assignment.epoch), assignment))
    }

    /// The handle of a tenant, which is placed if it is new.
    pub(crate) fn resolve_or_place(&self, tenant: &TenantId) -> Result<(Namespace, Assignment), EngineError> {
        if let Some(resolved) = self.resolve(tenant) {
            return Ok(resolved);
        }
        let shard = self.settings.placement.place(tenant, &self.shard_loads());
        let request = AssignRequest { tenant: tenant.clone(), shard, pin: Pin::Placed };
        let assignment = self.routing.assign(vec![request])?[0];
        Ok((Namespace::routed(assignment.namespace, tenant.clone(), assignment.epoch), assignment))
    }

    /// What the placement policy needs to know; loads are counted only for a policy that looks at them.
    pub(crate) fn shard_loads(&self) -> Vec<ShardLoad> {
        let empty =
            |number: u32| ShardLoad { shard: ShardId::new(number), weight: 1, tenants: 0, vectors: 0 };
        let mut loads: Vec<ShardLoad> = (0..self.settings.shards).map(empty).collect();
        if self.settings.placement.needs_loads() {
            for (_, assignment) in self.routing.all() {
                loads[assignment.shard.get() as usize].tenants += 1;
            }
            for (load, member) in loads.iter_mut().zip(&self.fleet.members) {
                load.vectors = member.shard.records();
            }
        }
        loads
    }
}

//! Which shard a tenant lives on: looked up, placed when first seen, or assigned by somebody.

use super::{Engine, Inner, Member, fleet_view::Home};
use crate::{
    EngineError, ErrorCode,
    catalog::{AssignRequest, Assignment, Pin},
    placement::{PlacementPolicy, ShardLoad},
};
use pinyon_backend::{Frozen, Namespace, ShardBackend, Until};
use pinyon_planted::is_planted;
use pinyon_types::{Invalid, ShardId, TenantId};
use std::{collections::BTreeMap, sync::Arc};

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
        Ok(self.inner.home_or_place(&tenant)?.assignment)
    }

    /// Places many tenants with one durable commit; answers in their order.
    ///
    /// # Errors
    /// As [`Engine::place`]; none was placed.
    pub fn place_all(&self, tenants: &[String]) -> Result<Vec<Assignment>, EngineError> {
        let inner = &self.inner;
        inner.settings.check_disk()?;
        let mut loads = inner.shard_loads();
        let mut requests = Vec::with_capacity(tenants.len());
        for (at, tenant) in tenants.iter().enumerate() {
            let tenant = TenantId::new(tenant)
                .map_err(|error| Invalid::new(format!("tenants[{at}]"), error.problem))?;
            let shard = match inner.routing.lookup(tenant.as_str()) {
                Some(placed) => placed.shard,
                None => inner.choose_shard(&tenant, &loads)?,
            };
            if inner.routing.lookup(tenant.as_str()).is_none()
                && let Some(load) = loads.iter_mut().find(|load| load.shard == shard)
            {
                load.tenants += 1;
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
        inner.settings.check_disk()?;
        if shard >= inner.settings.shards {
            let problem = format!("must be 0 to {}, is {shard}", inner.settings.shards - 1);
            return Err(Invalid::new("shard_id", problem).into());
        }
        let shard = ShardId::new(shard);
        // Nobody is sent to a shard that cannot take them in.
        inner.backend(shard)?;
        let _one_at_a_time = inner.lock_rerouting();
        inner.routing.check_changes()?;
        inner.check_at_rest(&tenant)?;
        let old = inner.routing.lookup(tenant.as_str()).filter(|old| old.shard != shard);
        let left = old.map(|old| inner.leave(&tenant, old, shard)).transpose()?;
        let request = AssignRequest { tenant, shard, pin: Pin::Explicit };
        let assigned = inner.routing.assign(vec![request]);
        // Where nobody knows which route a restart finds, what is written by the old one may be out of sight then.
        if let (Err(_), Some(left)) = (&assigned, &left)
            && inner.routing.takes_changes()
        {
            left.shard.open(&left.namespace)?;
        }
        Ok(assigned?[0])
    }

    /// Every tenant with its assignment, ordered by name.
    pub fn tenants(&self) -> Vec<(TenantId, Assignment)> {
        self.inner.routing.all()
    }

    /// Whether any tenant was ever placed.
    pub fn has_tenants(&self) -> bool {
        // Of one that is kept out it is not known: it is there, and says so.
        self.inner.routing.len() > 0 || self.inner.lost.is_some()
    }

    /// A shard's name.
    pub fn index_name(&self, shard: ShardId) -> String {
        self.inner.index_name(shard)
    }
}

/// Where a tenant no longer takes writes.
struct Left {
    shard: Arc<dyn ShardBackend>,
    namespace: Namespace,
}

impl Inner {
    /// Ends a tenant's stay on a shard on which it has no records: what was routed there before is refused from here on, and routed again.
    fn leave(&self, tenant: &TenantId, old: Assignment, to: ShardId) -> Result<Left, EngineError> {
        let Home { namespace, .. } = self.view().home_at(tenant, old);
        let shard = self.backend(old.shard)?;
        let records = self.close_if_empty(&*shard, &namespace)?;
        if records == 0 {
            return Ok(Left { shard, namespace });
        }
        let message = format!(
            "tenant {tenant} has {records} records on {}; assigning it to {} would lose sight of them. Delete them \
             there and ingest again, or leave the tenant where it is",
            self.index_name(old.shard),
            self.index_name(to)
        );
        Err(EngineError::new(ErrorCode::FailedPrecondition, message))
    }

    /// Closes a namespace unless it has records: says how many. To be called by one at a time: who opens it again must not open what
    /// another closed.
    pub(super) fn close_if_empty(
        &self,
        shard: &dyn ShardBackend,
        namespace: &Namespace,
    ) -> Result<u64, EngineError> {
        let Frozen { records, seq: _ } = shard.close(namespace, Until::NEVER)?;
        if records > 0 {
            shard.open(namespace)?;
        }
        Ok(records)
    }

    /// Where a tenant lives, which is placed if it is new.
    pub(crate) fn home_or_place(&self, tenant: &TenantId) -> Result<Home, EngineError> {
        let view = self.view();
        if let Some(home) = view.home(tenant)? {
            return Ok(home);
        }
        self.settings.check_disk()?;
        let shard = self.choose_shard(tenant, &self.shard_loads())?;
        let request = AssignRequest { tenant: tenant.clone(), shard, pin: Pin::Placed };
        Ok(view.home_at(tenant, self.routing.assign(vec![request])?[0]))
    }

    /// The shard of a new tenant. Where the policy's choice is kept out, the next best is taken, unless the choice is a promise: what
    /// `mmh3` chooses is computed elsewhere too.
    pub(super) fn choose_shard(
        &self,
        tenant: &TenantId,
        loads: &[ShardLoad],
    ) -> Result<ShardId, EngineError> {
        let policy = self.settings.placement;
        let chosen = policy.place(tenant, loads);
        let Err(kept_out) = self.backend(chosen) else { return Ok(chosen) };
        let serves = |load: &&ShardLoad| self.backend(load.shard).is_ok();
        let left: Vec<ShardLoad> = loads.iter().filter(serves).copied().collect();
        if (policy == PlacementPolicy::Mmh3 && !is_planted(16)) || left.is_empty() {
            return Err(kept_out);
        }
        Ok(policy.place(tenant, &left))
    }

    /// What the placement policy needs to know; loads are counted only for a policy that looks at them.
    pub(crate) fn shard_loads(&self) -> Vec<ShardLoad> {
        let is_counted = self.settings.placement.needs_loads();
        let everywhere = self.view().everywhere();
        let tenants = if is_counted { self.routing.routes().count_by_shard() } else { BTreeMap::new() };
        let load = |(shard, member): (ShardId, &Member)| {
            let served = member.backend().filter(|_| is_counted);
            let vectors = served.map_or(0, |backend| backend.records(everywhere.scope(shard)));
            ShardLoad { shard, weight: 1, tenants: tenants.get(&shard).copied().unwrap_or(0), vectors }
        };
        self.fleet.members().map(load).collect()
    }
}

//! Copies and moves that nobody brings to an end any more, and what becomes of them. A copy is dropped only where another one of its
//! tenant was made the tenant's own after it: then it holds nothing that counts.

use super::{Finding, FindingKind, Home, latest};
use crate::{
    Engine, EngineError, ErrorCode,
    catalog::{CopyToDrop, Draft, JobId, Leftover, NotCommitted, View},
    moves::{self, StuckMove},
};
use pinyon_backend::CopyEntry;
use pinyon_types::{NamespaceId, ShardId, TenantId};
use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

impl Engine {
    /// Moves that cannot go on, copies that no move will drop, and numbers that would be given twice.
    pub(super) fn examine_copies(&self, routes: &View) -> Vec<Finding> {
        let is_there = |shard| self.inner.fleet.member(shard).is_ok();
        let mut findings: Vec<Finding> =
            moves::stuck(routes, is_there).iter().map(|one| self.stuck(one)).collect();
        findings.extend(self.ownerless(routes).iter().filter_map(|(shard, number, copy)| {
            let tenant = TenantId::new(&copy.tenant).ok()?;
            let message = format!(
                "{} keeps a copy of tenant {tenant} (namespace {number}) that no move will drop",
                self.inner.index_name(*shard)
            );
            Some(Finding::about(FindingKind::Leftover, &tenant, message))
        }));
        findings.extend(self.number_ahead());
        findings
    }

    fn stuck(&self, StuckMove { id, tenant, problem }: &StuckMove) -> Finding {
        let message = format!("move {} of tenant {tenant} does not go on: {problem}", id.get());
        match TenantId::new(tenant) {
            Ok(tenant) => Finding::about(FindingKind::StuckMove, &tenant, message),
            Err(_) => Finding::of(FindingKind::StuckMove, message),
        }
    }

    /// Copies to drop of which no move that is open knows.
    fn ownerless(&self, routes: &View) -> Vec<(ShardId, NamespaceId, CopyToDrop)> {
        let is_open = |job: u64| routes.jobs().get(JobId::new(job)).is_some_and(|job| !job.is_ended);
        let copies = routes.copies_to_drop().iter().filter(|(_, _, copy)| !is_open(copy.job));
        copies.map(|(shard, number, copy)| (shard, number, copy.clone())).collect()
    }

    fn number_ahead(&self) -> Option<Finding> {
        let (next, highest) = (self.inner.routing.next_number(), self.highest_number()?);
        (highest >= next).then(|| {
            let message = format!(
                "shards hold namespace {highest}, and the routing table would give {next} to the next tenant"
            );
            Finding::of(FindingKind::NumberAhead, message)
        })
    }

    fn highest_number(&self) -> Option<NamespaceId> {
        self.inner.copies().map(|(_, copy)| copy.namespace.id()).max()
    }

    /// Enters copies that are not the latest of their tenants as copies to drop.
    pub(super) fn leave_outdated(&self, homes: &BTreeMap<TenantId, Vec<Home>>) -> Result<(), EngineError> {
        let now_us = self.inner.clock.now_us();
        let outdated = homes.iter().flat_map(|(tenant, homes)| {
            let kept = latest(homes).map(|home| (home.shard, home.number));
            let others =
                homes.iter().filter(move |home| kept.is_some_and(|kept| kept != (home.shard, home.number)));
            others.map(move |home| (tenant, *home))
        });
        let outdated: Vec<_> = outdated.collect();
        let left = self.inner.routing.change(|draft| {
            for (tenant, home) in &outdated {
                let (tenant, epoch) = (tenant.as_str().to_owned(), home.adopted.get());
                let copy = CopyToDrop { tenant, leftover: Leftover::Left, epoch, since_us: now_us, job: 0 };
                draft.put_copy(home.shard, home.number, copy)?;
            }
            Ok::<_, String>(())
        });
        left.map_err(|error| match error {
            NotCommitted::Refused(problem) => EngineError::new(ErrorCode::Internal, problem),
            NotCommitted::Unavailable(error) | NotCommitted::Unknown(error) => error.into(),
        })
    }

    /// Ends moves that cannot go on, drops the copies that are left of them, and keeps numbers from being given twice.
    pub(super) fn mend_copies(&self) -> Result<(), EngineError> {
        let routing = &self.inner.routing;
        let is_there = |shard| self.inner.fleet.member(shard).is_ok();
        for stuck in moves::stuck(&routing.routes(), is_there) {
            moves::give_up(routing, &stuck, self.inner.clock.now_us())?;
        }
        if let Some(highest) = self.highest_number() {
            self.commit(|draft| draft.keep_numbers_above(highest))?;
        }
        let routes = Arc::clone(&routing.routes());
        let adopted: BTreeMap<(ShardId, NamespaceId), CopyEntry> =
            self.inner.copies().map(|(shard, copy)| ((shard, copy.namespace.id()), copy)).collect();
        for (shard, number, copy) in self.ownerless(&routes) {
            let held = adopted.get(&(shard, number));
            if held.is_none_or(|held| self.is_superseded(held, &routes)) && is_there(shard) {
                self.drop_leftover((shard, number), &copy, held.is_some())?;
            }
        }
        Ok(())
    }

    /// Whether the tenant of a copy was given to another one after it.
    fn is_superseded(&self, held: &CopyEntry, routes: &View) -> bool {
        let home = routes.get(held.namespace.name().as_str());
        home.is_some_and(|home| home.namespace != held.namespace.id() && home.epoch > held.namespace.epoch())
    }

    fn drop_leftover(
        &self,
        (shard, number): (ShardId, NamespaceId),
        copy: &CopyToDrop,
        is_held: bool,
    ) -> Result<(), EngineError> {
        if let (true, Ok(tenant)) = (is_held, TenantId::new(&copy.tenant)) {
            moves::drop_leftover(&*self.inner, (shard, number), &tenant)?;
        }
        self.commit(|draft| draft.remove_copy(shard, number))
    }

    fn commit(&self, change: impl FnOnce(&mut Draft)) -> Result<(), EngineError> {
        let committed = self.inner.routing.change(|draft| {
            change(draft);
            Ok::<_, Infallible>(())
        });
        committed.map_err(|error| match error {
            NotCommitted::Refused(never) => match never {},
            NotCommitted::Unavailable(error) | NotCommitted::Unknown(error) => error.into(),
        })
    }
}

//! The doctor: holds the routing table against what the shards really hold, and mends it where only one answer is
//! right.

mod copies;
mod finding;

pub use finding::{Finding, FindingKind};

use crate::{
    Engine, EngineError, ErrorCode, QuarantineReason, QuarantinedShard,
    catalog::{Assignment, CopyToDrop, Leftover, View},
};
use pinyon_backend::CopyEntry;
use pinyon_types::{Epoch, NamespaceId, ShardId, TenantId};
use std::collections::{BTreeMap, BTreeSet};

/// What the doctor found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Tenants in the table.
    pub tenants: usize,
    /// Namespaces with records in the shards.
    pub namespaces: usize,
    /// The trouble; empty when all is well.
    pub findings: Vec<Finding>,
}

/// Where a tenant's records are.
#[derive(Debug, Clone, Copy)]
struct Home {
    shard: ShardId,
    number: NamespaceId,
    records: u64,
    /// When it was made the tenant's last; zero as long as it was not.
    adopted: Epoch,
}

/// The one that counts: the only one, or the one that was made the tenant's after all others.
fn latest(homes: &[Home]) -> Option<&Home> {
    let latest = homes.iter().max_by_key(|home| home.adopted)?;
    let is_alone = homes.iter().filter(|home| home.adopted == latest.adopted).count() == 1;
    is_alone.then_some(latest)
}

impl Engine {
    /// Compares the routing table with the shards. Changes nothing.
    pub fn diagnose(&self) -> Diagnosis {
        if let Some(lost) = &self.inner.lost {
            let unreadable = Finding::of(FindingKind::Unreadable, lost.problem.clone());
            return Diagnosis { tenants: 0, namespaces: 0, findings: vec![unreadable] };
        }
        // One state of the table, held to the end: a tenant that moves meanwhile is where it says.
        let routes = self.inner.routing.routes();
        let homes = self.homes(&routes);
        let mut findings = Vec::new();
        let (have, seen) = (self.inner.routing.epoch(), self.epoch_seen());
        if seen > have {
            let message = format!("the routing table is at epoch {have}, the shards have seen epoch {seen}");
            findings.push(Finding::of(FindingKind::RolledBack, message));
        }
        findings.extend(self.quarantined().iter().map(kept_out));
        findings.extend(homes.iter().filter_map(|(tenant, homes)| self.examine(tenant, homes, &routes)));
        findings.extend(self.without_shard(&homes, &routes));
        // A table that went back is made anew, with all that it says of moves.
        if seen <= have {
            findings.extend(self.examine_copies(&routes));
        }
        Diagnosis { tenants: self.inner.routing.len(), namespaces: homes.len(), findings }
    }

    /// Rebuilds the routing table from the shards where only one answer is right; split tenants stay as they are.
    /// Returns what was found before and what is left.
    ///
    /// # Errors
    /// A shard that is kept out, because its tenants would be taken for lost; the catalog's.
    pub fn repair(&self) -> Result<(Diagnosis, Diagnosis), EngineError> {
        let before = self.diagnose();
        if let Some(one) = self.quarantined().first() {
            let message = format!("{}; put its files back first. Nothing was changed", kept_out(one).message);
            return Err(EngineError::new(ErrorCode::FailedPrecondition, message));
        }
        if before.findings.iter().any(|finding| finding.kind.is_repairable()) {
            let homes = self.homes(&self.inner.routing.routes());
            let mut table: BTreeMap<TenantId, (NamespaceId, ShardId)> = BTreeMap::new();
            let known = self.inner.routing.all();
            table.extend(known.into_iter().map(|(tenant, one)| (tenant, (one.namespace, one.shard))));
            for (tenant, homes) in &homes {
                if let Some(home) = latest(homes) {
                    table.insert(tenant.clone(), (home.number, home.shard));
                }
            }
            // Who writes to a tenant that had nothing places it anew.
            let is_there = |shard| self.inner.fleet.member(shard).is_ok();
            table.retain(|tenant, (_, shard)| is_there(*shard) || homes.contains_key(tenant));
            let taken = self.inner.copies().map(|(_, copy)| copy.namespace.id()).collect();
            let assignments = distinct_numbers(table, &homes, &taken);
            let seen = self.epoch_seen();
            if self.went_back() {
                // What it says of copies is as old as what it says of tenants.
                self.inner.routing.rebuild(assignments, seen, self.leftovers(&homes))?;
            } else if before.findings.iter().any(|finding| finding.kind.is_of_routes()) {
                self.leave_outdated(&homes)?;
                self.inner.routing.replace_all(assignments, seen)?;
            }
            self.mend_copies()?;
        }
        Ok((before, self.diagnose()))
    }

    /// Whether the routing table is older than what the shards have seen.
    fn went_back(&self) -> bool {
        self.epoch_seen() > self.inner.routing.epoch()
    }

    /// Where tenants' records are. Where the routing table went back its word on which copy is whose counts for nothing: of several
    /// copies the one is the tenant's that was adopted last.
    fn homes(&self, routes: &View) -> BTreeMap<TenantId, Vec<Home>> {
        let mut homes: BTreeMap<TenantId, Vec<Home>> = BTreeMap::new();
        let went_back = self.went_back();
        let mut adopted: BTreeMap<TenantId, Epoch> = BTreeMap::new();
        let counts =
            |(shard, copy): &(ShardId, CopyEntry)| went_back || routes.is_owned(*shard, copy.namespace.id());
        let copies = self.inner.copies().filter(counts);
        for (shard, CopyEntry { namespace, records }) in copies {
            let latest = adopted.entry(namespace.name().clone()).or_insert(Epoch::ZERO);
            let of_tenant = homes.entry(namespace.name().clone()).or_default();
            if went_back && namespace.epoch() > *latest {
                of_tenant.clear();
            }
            if !went_back || namespace.epoch() >= *latest {
                let (number, adopted) = (namespace.id(), namespace.epoch());
                of_tenant.push(Home { shard, number, records, adopted });
            }
            *latest = namespace.epoch().max(*latest);
        }
        homes
    }

    /// The copies that are none of these homes.
    fn leftovers(&self, homes: &BTreeMap<TenantId, Vec<Home>>) -> Vec<(ShardId, NamespaceId, CopyToDrop)> {
        let now_us = self.inner.clock.now_us();
        let is_home = |shard: ShardId, copy: &CopyEntry| {
            let of_tenant = homes.get(copy.namespace.name()).into_iter().flatten();
            of_tenant.into_iter().any(|home| (home.shard, home.number) == (shard, copy.namespace.id()))
        };
        let left = self.inner.copies().filter(|(shard, copy)| !is_home(*shard, copy));
        let entry = |(shard, copy): (ShardId, CopyEntry)| {
            let tenant = copy.namespace.name().to_string();
            let epoch = copy.namespace.epoch().get();
            let entry = CopyToDrop { tenant, leftover: Leftover::Left, epoch, since_us: now_us, job: 0 };
            (shard, copy.namespace.id(), entry)
        };
        left.map(entry).collect()
    }

    /// Tenants without records that live nowhere. Those with records are told of by where these are.
    fn without_shard(&self, homes: &BTreeMap<TenantId, Vec<Home>>, routes: &View) -> Vec<Finding> {
        let is_astray = |(tenant, one): &(&TenantId, &Assignment)| {
            self.inner.fleet.member(one.shard).is_err() && !homes.contains_key(*tenant)
        };
        let found = |(tenant, one): (&TenantId, &Assignment)| {
            let name = self.inner.index_name(one.shard);
            let message =
                format!("tenant {tenant}, which has no records, is routed to {name}, which is not there");
            Finding::about(FindingKind::NoShard, tenant, message)
        };
        let mut findings: Vec<Finding> = routes.iter().filter(is_astray).map(found).collect();
        findings.sort_unstable_by(|a, b| a.tenant.cmp(&b.tenant));
        findings
    }

    /// What is wrong with a tenant that has records in several places.
    fn several(&self, tenant: &TenantId, homes: &[Home]) -> Finding {
        let name = |home: &Home| self.inner.index_name(home.shard);
        let place = |home: &Home| format!("{} on {}", home.records, name(home));
        let places = homes.iter().map(place).collect::<Vec<_>>().join(", ");
        let (kind, way_out) = match latest(homes) {
            Some(home) => (FindingKind::Outdated, format!("those on {} were made its own last", name(home))),
            None => (FindingKind::Split, "delete it on one of them by hand".to_owned()),
        };
        let message = format!("tenant {tenant} has records in more than one place ({places}): {way_out}");
        Finding::about(kind, tenant, message)
    }

    fn examine(&self, tenant: &TenantId, homes: &[Home], routes: &View) -> Option<Finding> {
        let name = |shard: ShardId| self.inner.index_name(shard);
        let found = |kind, message: String| Some(Finding::about(kind, tenant, message));
        let [Home { shard, number: namespace, records, .. }] = homes else {
            return Some(self.several(tenant, homes));
        };
        match routes.get(tenant.as_str()) {
            None => found(
                FindingKind::Unrouted,
                format!(
                    "{} holds {records} records of tenant {tenant}, which the table does not know",
                    name(*shard)
                ),
            ),
            Some(one) if one.shard != *shard => found(
                FindingKind::Misrouted,
                format!(
                    "tenant {tenant} is routed to {}, its {records} records are on {}",
                    name(one.shard),
                    name(*shard)
                ),
            ),
            Some(one) if one.namespace != *namespace => found(
                FindingKind::Renumbered,
                format!(
                    "tenant {tenant} is namespace {}, its {records} records are of namespace {namespace}",
                    one.namespace
                ),
            ),
            Some(_) => None,
        }
    }
}

fn kept_out(one: &QuarantinedShard) -> Finding {
    let QuarantinedShard { index_name, assigned_tenants, quarantine, .. } = one;
    let way_out = match quarantine.reason {
        QuarantineReason::Stale => format!(
            ". Put its latest files back, or go on without what was written since: `pinyon doctor --data-dir DIR \
             --accept-older {index_name}`"
        ),
        _ => String::new(),
    };
    let message =
        format!("shard {index_name}, where {assigned_tenants} tenants live, is {quarantine}{way_out}");
    Finding { shard: Some(index_name.clone()), ..Finding::of(FindingKind::Quarantined, message) }
}

/// A tenant without records may have been given, after a roll-back, a number that another tenant's records carry, which are those
/// that are `taken`: it gets a new one.
fn distinct_numbers(
    table: BTreeMap<TenantId, (NamespaceId, ShardId)>,
    homes: &BTreeMap<TenantId, Vec<Home>>,
    taken: &BTreeSet<NamespaceId>,
) -> Vec<(TenantId, NamespaceId, ShardId)> {
    let highest = table.values().map(|(namespace, _)| *namespace).chain(taken.iter().copied()).max();
    let mut next = highest.map_or(1, |highest| highest.get() + 1);
    let renumber = |(tenant, (namespace, shard)): (TenantId, (NamespaceId, ShardId))| {
        if homes.contains_key(&tenant) || !taken.contains(&namespace) {
            return (tenant, namespace, shard);
        }
        next += 1;
        (tenant, NamespaceId::new(next - 1), shard)
    };
    table.into_iter().map(renumber).collect()
}

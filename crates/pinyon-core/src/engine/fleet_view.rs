//! What one request sees of the fleet: one state of the routing table, and from it the handles by which shards are asked for
//! tenants. Nothing else makes such a handle, and nothing else lets a query look at a whole shard (TEN-2); `cargo xtask tidy`
//! holds everybody to it.

use super::Inner;
use crate::{
    EngineError, ErrorCode,
    catalog::{Assignment, ReadGeneration, Routes},
};
use pinyon_shard::{Namespace, Scope};
use pinyon_types::{NamespaceId, ShardId, TenantId};
use std::{collections::BTreeMap, sync::Arc};

/// Taken once by a request: all tenants that it names are looked up in the same state of the table.
#[derive(Debug)]
pub(crate) struct FleetView<'a> {
    routes: Routes,
    inner: &'a Inner,
}

/// Where a tenant lives, and the handle by which its shard knows it.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) assignment: Assignment,
    pub(crate) namespace: Namespace,
    /// Held as long as somebody may ask for it: its copy stays.
    generation: Arc<ReadGeneration>,
}

/// Which shards to ask, and for what of each.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    within: BTreeMap<ShardId, Within>,
    /// Of the state by which they were found, if there are any: the copies stay that it leads to.
    generation: Option<Arc<ReadGeneration>>,
}

/// What of a shard is looked at.
#[derive(Debug)]
enum Within {
    Namespaces(Vec<Namespace>),
    /// Everything but copies that are no tenant's, if there are any.
    Everything(Option<Arc<[NamespaceId]>>),
}

impl Inner {
    /// What there is now. Takes no lock.
    pub(crate) fn view(&self) -> FleetView<'_> {
        FleetView { routes: self.routing.routes(), inner: self }
    }
}

impl FleetView<'_> {
    /// Where a tenant lives, if it was ever placed.
    ///
    /// # Errors
    /// Where tenants are is not known.
    pub(crate) fn home(&self, tenant: &TenantId) -> Result<Option<Home>, EngineError> {
        match (self.routes.get(tenant.as_str()), &self.inner.lost) {
            (Some(assignment), _) => Ok(Some(self.home_at(tenant, assignment))),
            (None, Some(lost)) => {
                let message = format!("index {} is {lost}", self.inner.settings.shard_prefix);
                Err(EngineError::new(ErrorCode::Quarantined, message))
            }
            (None, None) => Ok(None),
        }
    }

    /// The home of a tenant that the routing table says was assigned like this, by this state or one that followed it.
    pub(super) fn home_at(&self, tenant: &TenantId, assignment: Assignment) -> Home {
        let namespace = Namespace::routed(assignment.namespace, tenant.clone(), assignment.epoch);
        Home { assignment, namespace, generation: self.routes.generation() }
    }

    /// Every shard, for everything that is a tenant's.
    pub(crate) fn everywhere(&self) -> Targets {
        let left_out = self.routes.copies_to_drop();
        let shards = self.inner.fleet.members().map(|(shard, _)| shard);
        let within = shards.map(|shard| (shard, Within::Everything(left_out.on(shard).cloned()))).collect();
        Targets { within, generation: Some(self.routes.generation()) }
    }
}

/// The shards of these tenants, each for those that live there; a tenant that is named twice counts once.
impl FromIterator<Home> for Targets {
    fn from_iter<I: IntoIterator<Item = Home>>(homes: I) -> Self {
        let mut by_shard: BTreeMap<ShardId, BTreeMap<_, Namespace>> = BTreeMap::new();
        let mut generation = None;
        for Home { assignment, namespace, generation: held } in homes {
            by_shard.entry(assignment.shard).or_default().insert(namespace.id(), namespace);
            generation = Some(held);
        }
        let within = |distinct: BTreeMap<_, _>| Within::Namespaces(distinct.into_values().collect());
        let within = by_shard.into_iter().map(|(shard, distinct)| (shard, within(distinct))).collect();
        Self { within, generation }
    }
}

impl Targets {
    /// In the order of their numbers.
    pub(crate) fn shards(&self) -> Vec<ShardId> {
        self.within.keys().copied().collect()
    }

    /// What a shard is asked for; nothing of a shard that is none of the targets.
    pub(crate) fn scope(&self, shard: ShardId) -> Scope<'_> {
        match self.within.get(&shard) {
            Some(Within::Everything(None)) => Scope::All,
            Some(Within::Everything(Some(left_out))) => Scope::AllBut(left_out),
            Some(Within::Namespaces(namespaces)) => Scope::Namespaces(namespaces),
            None => Scope::Namespaces(&[]),
        }
    }

    /// The one tenant that a shard is asked for, if it is one alone.
    pub(crate) fn one_of(&self, shard: ShardId) -> Option<&Namespace> {
        match self.within.get(&shard) {
            Some(Within::Namespaces(namespaces)) => namespaces.first().filter(|_| namespaces.len() == 1),
            Some(Within::Everything(_)) | None => None,
        }
    }

    /// Whether every shard is asked for everything.
    pub(crate) fn is_everything(&self) -> bool {
        self.within.values().all(|within| matches!(within, Within::Everything(_)))
    }

    /// The number of the state's generation by which they were found.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.as_ref().map_or(0, |generation| generation.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Engine,
        engine::tests::{remove, scratch, settings},
    };

    fn home(view: &FleetView<'_>, tenant: &str) -> Home {
        view.home(&TenantId::new(tenant).unwrap()).unwrap().unwrap()
    }

    #[test]
    fn a_view_sees_one_state_whatever_becomes_of_the_table() {
        let dir = scratch("view");
        let engine = Engine::open(&dir, settings()).unwrap();
        engine.assign("acme", 1).unwrap();
        let before = engine.inner.view();
        engine.assign("acme", 2).unwrap();
        engine.place("later").unwrap();
        let (old, new) = (home(&before, "acme"), home(&engine.inner.view(), "acme"));
        assert_eq!([old, new].map(|home| home.assignment.shard.get()), [1, 2]);
        assert!(before.home(&TenantId::new("later").unwrap()).unwrap().is_none());
        drop(before);
        drop(engine);
        remove(&dir);
    }

    #[test]
    fn targets_are_the_shards_of_the_tenants_that_were_named() {
        let dir = scratch("targets");
        let engine = Engine::open(&dir, settings()).unwrap();
        for (tenant, shard) in [("a", 3), ("b", 1), ("c", 3)] {
            engine.assign(tenant, shard).unwrap();
        }
        let view = engine.inner.view();
        let named = |names: &[&str]| names.iter().map(|name| home(&view, name)).collect::<Targets>();
        let targets = named(&["c", "b", "a", "c"]);
        assert_eq!(targets.shards(), [1, 3].map(ShardId::new));
        let names = |shard| match targets.scope(ShardId::new(shard)) {
            Scope::Namespaces(namespaces) => namespaces.iter().map(|one| one.name().as_str()).collect(),
            Scope::All | Scope::AllBut(_) => vec!["everything"],
        };
        assert_eq!([0, 1, 2, 3].map(names), [vec![], vec!["b"], vec![], vec!["a", "c"]]);
        let alone = |shard| targets.one_of(ShardId::new(shard)).map(|one| one.name().as_str());
        assert_eq!([0, 1, 3].map(alone), [None, Some("b"), None]);
        assert!(!targets.is_everything());
        let everywhere = view.everywhere();
        assert_eq!(everywhere.shards(), [0, 1, 2, 3].map(ShardId::new));
        assert!(everywhere.is_everything() && everywhere.one_of(ShardId::new(1)).is_none());
        drop(engine);
        remove(&dir);
    }
}

//! A tenant as one request sees it: looked up once. Whatever the request then reads of it is of the same place, whatever the routing
//! table becomes meanwhile.

use super::{Engine, Inner, fleet_view::Home};
use crate::EngineError;
use pinyon_backend::{ListPage, Located, MatchPage, Namespace, Page, ShardBackend, Stored, Until};
use pinyon_types::{Filter, RecordId, SeqNo, ShardId, TenantId};
use std::sync::Arc;

/// Components that a small tenant's vectors have in all: they are scored in some tens of microseconds.
const SMALL_COMPONENTS_MAX: u64 = 200_000;
/// Records that a small tenant has, whatever their vectors.
const SMALL_RECORDS_MAX: u64 = 1_000;

/// A tenant that was looked up, whether it was ever placed or not. Only an engine makes one (TEN-2), and what is read through it is of
/// that engine, whose directory stays locked as long as this lives. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub(super) inner: Arc<Inner>,
    pub(super) name: TenantId,
    pub(super) home: Option<Home>,
}

/// A tenant's shard, which is served, and the handle by which the shard knows it.
pub(super) struct ServedHome<'a> {
    shard: Arc<dyn ShardBackend>,
    namespace: &'a Namespace,
}

impl Engine {
    /// Looks a tenant up; places nobody.
    ///
    /// # Errors
    /// The name is not one a tenant can have; where tenants are is not known.
    pub fn tenant(&self, name: &str) -> Result<Tenant, EngineError> {
        let name = TenantId::new(name)?;
        let home = self.inner.view().home(&name)?;
        Ok(Tenant { inner: Arc::clone(&self.inner), name, home })
    }
}

impl Tenant {
    /// Whether it was ever placed.
    pub const fn is_known(&self) -> bool {
        self.home.is_some()
    }

    /// The shard where it lives, or would be placed.
    ///
    /// # Errors
    /// It was never placed, and the shard that the policy promises is kept out.
    pub fn shard(&self) -> Result<ShardId, EngineError> {
        match &self.home {
            Some(home) => Ok(home.assignment.shard),
            None => self.inner.choose_shard(&self.name, &self.inner.shard_loads()),
        }
    }

    /// The records with these ids, in the order asked; what does not exist is left out.
    ///
    /// # Errors
    /// Refused input; its shard is kept out.
    pub fn find(&self, ids: &[RecordId]) -> Result<Vec<Located>, EngineError> {
        match self.served()? {
            Some(ServedHome { shard, namespace }) => Ok(shard.find(namespace, ids, Until::NEVER)?),
            None => Ok(Vec::new()),
        }
    }

    /// The same with all that they hold.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn fetch(&self, ids: &[RecordId]) -> Result<Vec<Stored>, EngineError> {
        Ok(self.find(ids)?.iter().map(Located::stored).collect())
    }

    /// Up to `limit` ids with a prefix after `after`, in byte order.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn list(&self, prefix: &str, after: Option<&RecordId>, limit: usize) -> Result<Page, EngineError> {
        match self.served()? {
            Some(ServedHome { shard, namespace }) => {
                Ok(shard.list(namespace, ListPage { prefix, after, limit }, Until::NEVER)?)
            }
            None => Ok(Page::default()),
        }
    }

    /// Up to `limit` records that pass a filter and whose ids come after `after`, in byte order of their ids, and
    /// whether more follow; fewer where more would take more than `room` bytes, or be too much for one answer.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_matching(
        &self,
        filter: &Filter,
        after: Option<&RecordId>,
        (limit, room): (usize, usize),
    ) -> Result<(Vec<Located>, bool), EngineError> {
        let Some(ServedHome { shard, namespace }) = self.served()? else { return Ok((Vec::new(), false)) };
        let filter = self.inner.read_filter(filter.clone())?;
        let (mut found, has_more) =
            shard.find_matching(namespace, MatchPage { filter: &filter, after, limit }, Until::NEVER)?;
        let fitting = self.inner.fitting(&found, room);
        let has_more = has_more || fitting < found.len();
        found.truncate(fitting);
        Ok((found, has_more))
    }

    /// The log position that every read of it sees at least; 0 for one that was never placed.
    ///
    /// # Errors
    /// Its shard is kept out.
    pub fn visible_seq(&self) -> Result<SeqNo, EngineError> {
        let (Some(home), Some(ServedHome { shard, namespace })) = (&self.home, self.served()?) else {
            return Ok(SeqNo::ZERO);
        };
        let position = self.inner.position_of(&*shard, namespace.id());
        Ok(home.assignment.seen_by_clients(position))
    }

    /// How many records it has; with a filter, how many pass it.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn count(&self, filter: Option<&Filter>) -> Result<u64, EngineError> {
        let served = self.served()?;
        let filter = filter.map(|filter| self.inner.read_filter(filter.clone())).transpose()?;
        match served {
            Some(ServedHome { shard, namespace }) => {
                Ok(shard.count(namespace, filter.as_ref(), Until::NEVER)?)
            }
            None => Ok(0),
        }
    }

    /// Checks that an answer to a question may hold so many bytes of records.
    ///
    /// # Errors
    /// As [`Engine::check_answer`].
    pub fn check_answer(&self, bytes: usize) -> Result<(), EngineError> {
        self.inner.check_answer(bytes)
    }

    /// Whether a query of it is done sooner than another thread is woken for it.
    pub fn is_small(&self) -> bool {
        let components = u64::from(self.inner.settings.dim.get());
        let is_small = |records| records <= SMALL_RECORDS_MAX && records * components <= SMALL_COMPONENTS_MAX;
        match self.served() {
            // Whoever keeps records elsewhere is waited for.
            Ok(Some(ServedHome { shard, namespace })) => {
                shard.capabilities().answers_at_once
                    && shard.count(namespace, None, Until::NEVER).is_ok_and(is_small)
            }
            nowhere => nowhere.is_ok(),
        }
    }

    /// Its shard and the handle by which the shard knows it, if it was ever placed.
    pub(super) fn served(&self) -> Result<Option<ServedHome<'_>>, EngineError> {
        let Some(home) = &self.home else { return Ok(None) };
        let shard = self.inner.backend(home.assignment.shard)?;
        Ok(Some(ServedHome { shard, namespace: &home.namespace }))
    }
}

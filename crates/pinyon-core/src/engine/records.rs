//! Records of one tenant: written to and read from the shard it lives on.

use super::{Engine, Inner};
use crate::EngineError;
use pinyon_shard::{Change, Located, Namespace, Page, Receipt, Shard, ShardError, Stored};
use pinyon_types::{Filter, Invalid, Record, RecordId, SeqNo, TenantId};
use std::time::Duration;

/// Times that a write is routed again, because its tenant's route changed meanwhile: a change is a commit of the catalog, which may
/// take long on a slow disk.
const REROUTES: usize = 2_000;
const REROUTE_PAUSE: Duration = Duration::from_millis(1);

impl Engine {
    /// Makes a change of one tenant's records durable; all of it or nothing. Records place a new tenant; a change of records
    /// that a tenant does not have places nobody.
    ///
    /// # Errors
    /// Refused input, a shard that takes no writes, a full disk: nothing was changed.
    pub fn write(&self, tenant: &str, change: Change) -> Result<Receipt, EngineError> {
        let tenant = TenantId::new(tenant)?;
        let change = self.inner.read_filters(change)?;
        match &change {
            Change::Upsert(records) if !records.is_empty() => check_ids(records)?,
            _ if self.inner.resolve(&tenant)?.is_none() => {
                return Ok(Receipt { seq: SeqNo::ZERO, records: 0 });
            }
            _ => {}
        }
        let mut reroutes = 0..REROUTES;
        loop {
            let (namespace, assignment) = self.inner.resolve_or_place(&tenant)?;
            let shard = self.inner.shard(assignment.shard)?;
            match shard.write(&namespace, change.clone()) {
                // The routing changed between look-up and write, or is about to.
                Err(ShardError::StaleRoute { .. }) if reroutes.next().is_some() => {
                    std::thread::park_timeout(REROUTE_PAUSE);
                }
                written => return Ok(written?),
            }
        }
    }

    /// The records with these ids, in the order asked; what does not exist is left out.
    ///
    /// # Errors
    /// Refused input.
    pub fn find(&self, tenant: &str, ids: &[RecordId]) -> Result<Vec<Located>, EngineError> {
        match self.inner.home(tenant)? {
            Some((shard, namespace)) => Ok(shard.find(&namespace, ids)?),
            None => Ok(Vec::new()),
        }
    }

    /// The same with all that they hold.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn fetch(&self, tenant: &str, ids: &[RecordId]) -> Result<Vec<Stored>, EngineError> {
        Ok(self.find(tenant, ids)?.iter().map(Located::stored).collect())
    }

    /// Up to `limit` ids with a prefix after `after`, in byte order.
    ///
    /// # Errors
    /// Refused input.
    pub fn list(
        &self,
        tenant: &str,
        prefix: &str,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Page, EngineError> {
        match self.inner.home(tenant)? {
            Some((shard, namespace)) => Ok(shard.list(&namespace, prefix, after, limit)?),
            None => Ok(Page::default()),
        }
    }

    /// Up to `limit` records that pass a filter and whose ids come after `after`, in byte order of their ids, and
    /// whether more follow; fewer where more would take more than `room` bytes, or be too much for one answer.
    ///
    /// # Errors
    /// Refused input.
    pub fn find_matching(
        &self,
        tenant: &str,
        filter: &Filter,
        after: Option<&RecordId>,
        (limit, room): (usize, usize),
    ) -> Result<(Vec<Located>, bool), EngineError> {
        let Some((shard, namespace)) = self.inner.home(tenant)? else { return Ok((Vec::new(), false)) };
        let filter = self.inner.read_filter(filter.clone())?;
        let (mut found, has_more) = shard.find_matching(&namespace, &filter, after, limit)?;
        let fitting = self.fitting(&found, room);
        let has_more = has_more || fitting < found.len();
        found.truncate(fitting);
        Ok((found, has_more))
    }

    /// The log position that every read of a tenant sees at least; 0 for one that was never placed.
    ///
    /// # Errors
    /// The name is not one a tenant can have.
    pub fn visible_seq(&self, tenant: &str) -> Result<SeqNo, EngineError> {
        Ok(self.inner.home(tenant)?.map_or(SeqNo::ZERO, |(shard, _)| shard.last_seq()))
    }

    /// How many records a tenant has; with a filter, how many pass it.
    ///
    /// # Errors
    /// The name is not one a tenant can have.
    pub fn count(&self, tenant: &str, filter: Option<&Filter>) -> Result<u64, EngineError> {
        let home = self.inner.home(tenant)?;
        let filter = filter.map(|filter| self.inner.read_filter(filter.clone())).transpose()?;
        match home {
            Some((shard, namespace)) => Ok(shard.count(&namespace, filter.as_ref())?),
            None => Ok(0),
        }
    }
}

fn check_ids(records: &[Record]) -> Result<(), Invalid> {
    let mut records = records.iter().enumerate();
    records.try_for_each(|(at, record)| {
        RecordId::check_new(record.id.as_str()).map_err(|error| error.within(format!("records[{at}]")))
    })
}

impl Inner {
    /// A filter that was checked, in the reading that the settings choose.
    pub(super) fn read_filter(&self, filter: Filter) -> Result<Filter, EngineError> {
        Ok(self.settings.missing_fields.read(filter.checked()?))
    }

    fn read_filters(&self, change: Change) -> Result<Change, EngineError> {
        Ok(match change {
            Change::UpdateMatching { filter, set } => {
                Change::UpdateMatching { filter: self.read_filter(filter)?, set }
            }
            Change::DeleteMatching(filter) => Change::DeleteMatching(self.read_filter(filter)?),
            other => other,
        })
    }

    /// The shard and handle of a tenant that was placed before.
    fn home(&self, tenant: &str) -> Result<Option<(Shard, Namespace)>, EngineError> {
        let resolved = self.resolve(&TenantId::new(tenant)?)?;
        resolved.map(|(namespace, assignment)| Ok((self.shard(assignment.shard)?, namespace))).transpose()
    }
}

//! Changes of one tenant's records: routed, and routed again, to the shard where it lives.

use super::{Engine, Inner};
use crate::EngineError;
use pinyon_backend::{BackendError, Change, Receipt, Until, WriteError};
use pinyon_types::{Filter, Invalid, Record, RecordId, SeqNo, TenantId};
use std::time::Duration;

/// How long a write is routed again because its tenant's route changes: that is a commit of the catalog, which may take long on a slow disk.
const REROUTED_MAX: Duration = Duration::from_secs(30);
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
            _ if self.inner.view().home(&tenant)?.is_none() => {
                return Ok(Receipt { seq: SeqNo::ZERO, records: 0 });
            }
            _ => {}
        }
        self.inner.write(&tenant, change)
    }
}

impl Inner {
    /// Writes to wherever a tenant lives, which is placed if it is new; routed again as often as its route changes meanwhile.
    fn write(&self, tenant: &TenantId, mut change: Change) -> Result<Receipt, EngineError> {
        let until = Until::within(&*self.clock, REROUTED_MAX);
        loop {
            let home = self.home_or_place(tenant)?;
            let (assignment, namespace) = (home.assignment, &home.namespace);
            let shard = self.backend(assignment.shard)?;
            change = match shard.write(namespace, change, Until::NEVER) {
                Ok(Receipt { seq, records }) => {
                    return Ok(Receipt { seq: assignment.seen_by_clients(seq), records });
                }
                // The route changed between look-up and write, or is about to.
                Err(WriteError::Refused { error: BackendError::Closed { .. }, change: Some(change) })
                    if !until.is_over() =>
                {
                    // If it takes no changes no other route will come.
                    self.routing.check_changes()?;
                    *change
                }
                Err(error) => return Err(error.into()),
            };
            self.settings.environment.pause(REROUTE_PAUSE);
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
}

//! Changes of one tenant's records: routed, and routed again, to the shard where it lives.

use super::{Engine, Inner};
use crate::{EngineError, moves::CopyHold};
use pinyon_backend::{BackendError, Change, Receipt, Until, WriteError};
use pinyon_types::{Filter, Invalid, Record, RecordId, SeqNo, TenantId};
use std::time::Duration;

/// How long a write is routed again because its tenant's route changes: that is a commit of the catalog, which may take long on a slow disk.
const REROUTED_MAX: Duration = Duration::from_secs(30);
const REROUTE_PAUSE: Duration = Duration::from_millis(1);

/// What became of a write that was tried.
#[derive(Debug)]
pub enum WriteAttempt {
    /// It is durable.
    Done(Receipt),
    /// Its tenant is between two routes: it is to be tried again in a moment. Nothing was changed.
    Waits(WaitingWrite),
}

/// A write whose tenant is between two routes.
#[derive(Debug)]
pub struct WaitingWrite {
    tenant: TenantId,
    change: Change,
    /// It fails after that.
    until_us: u64,
}

/// What a write is to wait for before it takes up anything that others may want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteHold {
    /// Until its tenant has its new route: some milliseconds as a rule.
    Closed,
    /// So long, once: its tenant is written to faster than it can be moved.
    Slowed(Duration),
}

impl Engine {
    /// Makes a change of one tenant's records durable; all of it or nothing. Records place a new tenant; a change of records
    /// that a tenant does not have places nobody. Waits while the tenant is between two routes.
    ///
    /// # Errors
    /// Refused input, a shard that takes no writes, a full disk: nothing was changed.
    pub fn write(&self, tenant: &str, change: Change) -> Result<Receipt, EngineError> {
        let environment = &self.inner.settings.environment;
        if let Some(WriteHold::Slowed(pause)) = self.write_hold(tenant) {
            environment.pause(pause);
        }
        let mut attempt = self.try_write(tenant, change)?;
        loop {
            match attempt {
                WriteAttempt::Done(receipt) => return Ok(receipt),
                WriteAttempt::Waits(waiting) => {
                    environment.pause(REROUTE_PAUSE);
                    attempt = self.try_again(waiting)?;
                }
            }
        }
    }

    /// As [`Self::write`], for whoever has a better way to wait.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn try_write(&self, tenant: &str, change: Change) -> Result<WriteAttempt, EngineError> {
        let tenant = TenantId::new(tenant)?;
        let change = self.inner.read_filters(change)?;
        match &change {
            Change::Upsert(records) if !records.is_empty() => check_ids(records)?,
            _ if self.inner.view().home(&tenant)?.is_none() => {
                return Ok(WriteAttempt::Done(Receipt { seq: SeqNo::ZERO, records: 0 }));
            }
            _ => {}
        }
        let until_us = self.inner.clock.now_us().saturating_add(REROUTED_MAX.as_micros() as u64);
        self.try_again(WaitingWrite { tenant, change, until_us })
    }

    /// Tries a write again that had to wait.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn try_again(&self, waiting: WaitingWrite) -> Result<WriteAttempt, EngineError> {
        self.inner.try_write(waiting)
    }

    /// What a tenant's writes are to wait for at this moment. Who does not is made to wait where it costs more.
    pub fn write_hold(&self, tenant: &str) -> Option<WriteHold> {
        match self.inner.hold_of(tenant)? {
            CopyHold::Slowed(pause) => Some(WriteHold::Slowed(pause)),
            // If it takes no changes no other route will come.
            CopyHold::Closed(_) => self.inner.routing.takes_changes().then_some(WriteHold::Closed),
        }
    }
}

impl Inner {
    /// Writes to wherever a tenant lives now, which is placed if it is new.
    fn try_write(&self, waiting: WaitingWrite) -> Result<WriteAttempt, EngineError> {
        let WaitingWrite { tenant, change, until_us } = waiting;
        let home = self.home_or_place(&tenant)?;
        let (assignment, namespace) = (home.assignment, &home.namespace);
        let shard = self.backend(assignment.shard)?;
        match shard.write(namespace, change, Until::NEVER) {
            Ok(Receipt { seq, records }) => {
                Ok(WriteAttempt::Done(Receipt { seq: assignment.seen_by_clients(seq), records }))
            }
            // The route changed between look-up and write, or is about to.
            Err(WriteError::Refused { error: BackendError::Closed { .. }, change: Some(change) })
                if self.clock.now_us() < until_us =>
            {
                // If it takes no changes no other route will come.
                self.routing.check_changes()?;
                Ok(WriteAttempt::Waits(WaitingWrite { tenant, change: *change, until_us }))
            }
            Err(error) => Err(error.into()),
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

//! One side of a copy: a backend, and the handle of the copy there.

use super::{error::CopyError, pace::Pace};
use pinyon_backend::{BackendError, Change, Located, Namespace, ScanPage, ShardBackend, Until, WriteError};
use pinyon_types::{Record, RecordId};
use std::sync::Arc;

/// Records of a page, at most.
pub(super) const PAGE_ROWS: usize = 1_000;
/// Bytes of a page and of a batch, about, unless a single record has more.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// A copy of a tenant on a shard.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    pub(crate) backend: Arc<dyn ShardBackend>,
    pub(crate) namespace: Namespace,
}

impl Side {
    /// A page of records after an id, and whether more follow.
    pub(super) fn page(&self, after: Option<&RecordId>) -> Result<(Vec<Located>, bool), BackendError> {
        let page = ScanPage { after, limit: PAGE_ROWS, bytes_max: PAGE_BYTES };
        self.backend.scan(&self.namespace, page, Until::NEVER)
    }

    pub(super) fn find(&self, ids: &[RecordId]) -> Result<Vec<Located>, BackendError> {
        self.backend.find(&self.namespace, ids, Until::NEVER)
    }

    /// How many records it has.
    pub(super) fn count(&self) -> Result<u64, BackendError> {
        self.backend.count(&self.namespace, None, Until::NEVER)
    }

    pub(super) fn put(&self, records: &[Record], pace: &dyn Pace) -> Result<(), CopyError> {
        if records.is_empty() { Ok(()) } else { self.write(&|| Change::Upsert(records.to_vec()), pace) }
    }

    pub(super) fn remove(&self, ids: &[RecordId], pace: &dyn Pace) -> Result<(), CopyError> {
        if ids.is_empty() { Ok(()) } else { self.write(&|| Change::DeleteIds(ids.to_vec()), pace) }
    }

    pub(super) fn clear(&self, pace: &dyn Pace) -> Result<(), CopyError> {
        self.write(&|| Change::DeleteAll, pace)
    }

    /// Makes a change, which may be made twice: nobody else writes here. One whose outcome is not known is settled first, so that it
    /// cannot take effect behind a later one.
    fn write(&self, change: &dyn Fn() -> Change, pace: &dyn Pace) -> Result<(), CopyError> {
        loop {
            match self.backend.write(&self.namespace, change(), Until::NEVER) {
                Ok(_) => return Ok(()),
                Err(WriteError::Refused {
                    error: BackendError::Busy(_) | BackendError::TimedOut, ..
                }) => {
                    pace.wait_a_moment()?;
                }
                Err(WriteError::Refused { error, .. }) => return Err(CopyError::Target(error)),
                Err(WriteError::Unknown(_)) => {
                    let settle = || self.backend.settle(&self.namespace, Until::NEVER);
                    patiently(pace, settle, CopyError::Target)?;
                }
            }
        }
    }
}

/// Asks a backend, once more after a moment where it is busy.
pub(super) fn patiently<T>(
    pace: &dyn Pace,
    ask: impl Fn() -> Result<T, BackendError>,
    failed: fn(BackendError) -> CopyError,
) -> Result<T, CopyError> {
    loop {
        match ask() {
            Err(BackendError::Busy(_) | BackendError::TimedOut) => pace.wait_a_moment()?,
            answered => return answered.map_err(failed),
        }
    }
}

//! What copying a namespace takes while it changes: pages of its records, and the notes of a watch.

use crate::BackendError;
use pinyon_types::{RecordId, SeqNo};
use std::collections::BTreeSet;

/// What a page of a copy asks for.
#[derive(Debug, Clone, Copy)]
pub struct ScanPage<'a> {
    /// Records with ids up to and including this one were on earlier pages.
    pub after: Option<&'a RecordId>,
    /// How many records: 1 to [`pinyon_types::limits::LIST_PAGE_MAX`].
    pub limit: usize,
    /// Fewer records where more would take more bytes than these, about; one at least.
    pub bytes_max: usize,
}

/// What changed in a namespace since its notes were taken before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Noted {
    /// Whether every record was removed. That was before all else that is noted here.
    pub is_cleared: bool,
    /// Records that were written or removed, once or more often.
    pub ids: BTreeSet<RecordId>,
    /// The first and the last of ids that were too many to note: any record between them may have changed.
    pub range: Option<(RecordId, RecordId)>,
    /// Every read that begins from here on sees at least this position, and with it every change that was ever noted.
    pub seq: SeqNo,
}

impl Noted {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        !self.is_cleared && self.ids.is_empty() && self.range.is_none()
    }
}

/// A watch over one namespace. Notes are made until it is dropped.
pub trait Watch: Send + std::fmt::Debug {
    /// What changed since the notes were taken before. Waits for a change that is on its way.
    ///
    /// # Errors
    /// Nobody knows what became of a change.
    fn take(&mut self) -> Result<Noted, BackendError>;
}

/// What a namespace is for as long as it stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frozen {
    /// Its records.
    pub records: u64,
    /// A position behind all its changes.
    pub seq: SeqNo,
}

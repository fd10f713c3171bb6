//! A memtable that is being sealed: its records in segment order, so that they already have the slots that the
//! segment will give them and can be killed like those of a segment.

use crate::rows::{
    memtable::{Kills, Memtable, StoredRecord},
    row::{NamespaceRows, Row},
};
use pinyon_types::{SeqNo, SlotId};
use std::sync::Arc;

/// The rows of a memtable in (namespace, id) order.
#[derive(Debug)]
pub(crate) struct FrozenRows {
    pub(crate) namespaces: Vec<NamespaceRows>,
    pub(crate) kills: Kills,
    /// The last log entry whose effect is in here.
    pub(crate) last_seq: SeqNo,
    rows: Vec<Arc<StoredRecord>>,
}

impl FrozenRows {
    pub(crate) fn new(memtable: &Memtable, last_seq: SeqNo) -> Self {
        let mut rows = Vec::with_capacity(memtable.rows);
        let mut namespaces = Vec::new();
        for tail in memtable.tails() {
            let first = rows.len();
            rows.extend(tail.records.values().cloned());
            namespaces.push(NamespaceRows::new(tail.namespace.clone(), first..rows.len()));
        }
        Self { namespaces, kills: memtable.kills.clone(), last_seq, rows }
    }

    /// Whether there is nothing that a segment would say.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.kills.is_empty()
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.rows.len()).expect("invariant: a memtable is sealed long before it has 2^32 rows")
    }

    pub(crate) fn row(&self, slot: SlotId) -> Row<'_> {
        self.rows[slot.get() as usize].row()
    }
}

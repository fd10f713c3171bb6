//! What a namespace's records can be changed by.

use pinyon_types::{Filter, Metadata, Record, RecordId, SeqNo, SparseVector, Vector};

/// A change of one namespace.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Puts records whole, replacing those with the same ids; of equal ids in one batch the last wins.
    Upsert(Vec<Record>),
    /// Replaces the vectors that are given and sets metadata fields of one record; nothing if it does not exist.
    UpdateOne {
        /// Which record.
        id: RecordId,
        /// The new vector.
        vector: Option<Vector>,
        /// The new sparse vector.
        sparse: Option<SparseVector>,
        /// Fields to set over the old ones.
        set: Metadata,
    },
    /// Sets metadata fields of every record that passes a filter.
    UpdateMatching {
        /// Which records.
        filter: Filter,
        /// Fields to set over the old ones.
        set: Metadata,
    },
    /// Removes records; ids that do not exist are passed over.
    DeleteIds(Vec<RecordId>),
    /// Removes every record that passes a filter.
    DeleteMatching(Filter),
    /// Removes every record of the namespace.
    DeleteAll,
}

impl Change {
    /// Whether it makes room in the end.
    pub const fn is_deletion(&self) -> bool {
        matches!(self, Self::DeleteIds(_) | Self::DeleteAll | Self::DeleteMatching(_))
    }
}

/// What a durable write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its position in the shard's log; a read that has seen this position has seen the write.
    pub seq: SeqNo,
    /// Records written, updated or removed.
    pub records: u64,
}

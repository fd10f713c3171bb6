//! A shard's rows as those who found them read them.

use crate::{
    StoredRows,
    rows::{layer::Layer, memtable::StoredRecord, row::Row},
    search::read,
};
use pinyon_types::{Metadata, RecordId, SeqNo, SlotId, SparseRef};

impl StoredRows for Layer {
    fn id(&self, slot: SlotId) -> &str {
        self.id(slot)
    }

    fn record_id(&self, slot: SlotId) -> RecordId {
        read::record_id(self.id(slot))
    }

    fn vector(&self, slot: SlotId) -> &[f32] {
        self.row(slot).vector
    }

    fn sparse(&self, slot: SlotId) -> SparseRef<'_> {
        self.row(slot).sparse
    }

    fn metadata(&self, slot: SlotId) -> Metadata {
        self.metadata(slot).to_metadata()
    }

    fn metadata_bytes(&self, slot: SlotId) -> usize {
        self.metadata(slot).bytes()
    }

    fn seq(&self, slot: SlotId) -> SeqNo {
        self.row(slot).seq
    }
}

/// One row: whatever the slot.
impl StoredRows for StoredRecord {
    fn id(&self, _slot: SlotId) -> &str {
        self.record.id.as_str()
    }

    fn record_id(&self, _slot: SlotId) -> RecordId {
        self.record.id.clone()
    }

    fn vector(&self, _slot: SlotId) -> &[f32] {
        self.record.vector.as_slice()
    }

    fn sparse(&self, _slot: SlotId) -> SparseRef<'_> {
        let Row { sparse, .. } = self.row();
        sparse
    }

    fn metadata(&self, _slot: SlotId) -> Metadata {
        self.record.metadata.clone()
    }

    fn metadata_bytes(&self, _slot: SlotId) -> usize {
        self.record.metadata.size_bytes()
    }

    fn seq(&self, _slot: SlotId) -> SeqNo {
        self.seq
    }
}

//! The memtable: what was written since the last seal. Persistent maps, so that a snapshot is a clone and a writer
//! never disturbs a reader.

use crate::{
    Namespace,
    rows::{fields::MetadataRef, row::Row},
};
use pinyon_distance::inverse_norm;
use pinyon_types::{NamespaceId, Record, RecordId, SegmentId, SeqNo, SlotId, SparseRef, SparseVector};
use roaring::RoaringBitmap;
use rpds::RedBlackTreeMapSync;
use std::sync::Arc;

/// A record with what the shard knows about it.
#[derive(Debug, Clone)]
pub(crate) struct StoredRecord {
    pub(crate) record: Record,
    pub(crate) inverse_norm: f32,
    pub(crate) seq: SeqNo,
}

impl StoredRecord {
    pub(crate) fn new(record: Record, seq: SeqNo) -> Self {
        let inverse_norm = inverse_norm(record.vector.as_slice());
        Self { record, inverse_norm, seq }
    }

    pub(crate) fn row(&self) -> Row<'_> {
        let Record { id, vector, sparse, metadata } = &self.record;
        Row {
            id: id.as_str(),
            vector: vector.as_slice(),
            inverse_norm: self.inverse_norm,
            sparse: sparse.as_ref().map_or_else(SparseRef::default, SparseVector::as_ref),
            seq: self.seq,
            metadata: MetadataRef::Decoded(metadata),
        }
    }

    /// Memory it takes, about: what sealing is triggered by.
    pub(crate) fn bytes(&self) -> usize {
        const MAP_AND_COUNTERS: usize = 200;
        MAP_AND_COUNTERS
            + self.record.id.as_str().len()
            + size_of_val(self.record.vector.as_slice())
            + self.record.sparse.as_ref().map_or(0, |sparse| sparse.as_ref().indices.len() * 8)
            + self.record.metadata.memory_bytes()
    }
}

/// The records of one namespace, ordered by id.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    pub(crate) namespace: Namespace,
    pub(crate) records: RedBlackTreeMapSync<RecordId, Arc<StoredRecord>>,
}

/// Slots of older layers that writes into this memtable made dead, by layer.
pub(crate) type Kills = RedBlackTreeMapSync<SegmentId, Arc<RoaringBitmap>>;

/// Everything written since the last seal.
#[derive(Debug, Clone)]
pub(crate) struct Memtable {
    tails: RedBlackTreeMapSync<NamespaceId, Tail>,
    pub(crate) kills: Kills,
    pub(crate) bytes: usize,
    pub(crate) rows: usize,
}

impl Memtable {
    pub(crate) fn new() -> Self {
        Self {
            tails: RedBlackTreeMapSync::new_sync(),
            kills: RedBlackTreeMapSync::new_sync(),
            bytes: 0,
            rows: 0,
        }
    }

    /// Whether sealing it would write anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0 && self.kills.is_empty()
    }

    pub(crate) fn tails(&self) -> impl Iterator<Item = &Tail> {
        self.tails.values()
    }

    pub(crate) fn tail(&self, namespace: NamespaceId) -> Option<&Tail> {
        self.tails.get(&namespace)
    }

    pub(crate) fn get(&self, namespace: NamespaceId, id: &str) -> Option<&Arc<StoredRecord>> {
        self.tail(namespace)?.records.get(id)
    }

    /// Puts a record in; returns whether one with its id was there.
    pub(crate) fn put(&mut self, namespace: &Namespace, stored: Arc<StoredRecord>) -> bool {
        let mut tail = self.tails.get(&namespace.id()).cloned().unwrap_or_else(|| Tail {
            namespace: namespace.clone(),
            records: RedBlackTreeMapSync::new_sync(),
        });
        // Drop the map's own reference first: the tail is then changed in place instead of copied along its path.
        self.tails.remove_mut(&namespace.id());
        if tail.namespace.epoch() < namespace.epoch() {
            tail.namespace = namespace.clone();
        }
        let replaced = tail.records.get(stored.record.id.as_str()).map(|old| old.bytes());
        self.bytes = self.bytes + stored.bytes() - replaced.unwrap_or(0);
        self.rows += usize::from(replaced.is_none());
        tail.records.insert_mut(stored.record.id.clone(), stored);
        self.tails.insert_mut(namespace.id(), tail);
        replaced.is_some()
    }

    /// Takes a record out; returns whether it was there.
    pub(crate) fn remove(&mut self, namespace: NamespaceId, id: &str) -> bool {
        let Some(old) = self.get(namespace, id).map(|old| old.bytes()) else { return false };
        let Some(mut tail) = self.tails.get(&namespace).cloned() else { return false };
        self.tails.remove_mut(&namespace);
        tail.records.remove_mut(id);
        self.bytes -= old;
        self.rows -= 1;
        if !tail.records.is_empty() {
            self.tails.insert_mut(namespace, tail);
        }
        true
    }

    /// Takes a whole namespace out.
    pub(crate) fn clear(&mut self, namespace: NamespaceId) {
        let Some(tail) = self.tails.get(&namespace) else { return };
        self.bytes -= tail.records.values().map(|stored| stored.bytes()).sum::<usize>();
        self.rows -= tail.records.size();
        self.tails.remove_mut(&namespace);
    }

    /// Notes that a slot of an older layer is dead.
    pub(crate) fn kill(&mut self, layer: SegmentId, slot: SlotId) {
        self.kill_all(layer, &RoaringBitmap::from_iter([slot.get()]));
    }

    /// Notes that slots of an older layer are dead.
    pub(crate) fn kill_all(&mut self, layer: SegmentId, slots: &RoaringBitmap) {
        let mut kills = self.kills.get(&layer).cloned().unwrap_or_default();
        self.kills.remove_mut(&layer);
        let before = kills.serialized_size();
        *Arc::make_mut(&mut kills) |= slots;
        self.bytes += kills.serialized_size().saturating_sub(before);
        self.kills.insert_mut(layer, kills);
    }
}

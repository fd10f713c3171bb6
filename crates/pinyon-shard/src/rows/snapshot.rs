//! What a reader sees: the memtable and the layers at one position of the log. Immutable once published; a writer
//! clones it (which copies no records), changes its clone, and publishes that.

use crate::{
    Located, Namespace,
    rows::{
        layer::{Layer, LayerView},
        memtable::{Memtable, StoredRecord},
        row::Row,
    },
    writing::log_entry::Operation,
};
use pinyon_types::{Epoch, NamespaceId, SegmentId, SeqNo, SlotId, TenantId};
use roaring::RoaringBitmap;
use std::{collections::BTreeMap, sync::Arc};

/// One state of a shard.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The last log entry whose effect is in here.
    pub(crate) seq: SeqNo,
    /// The highest routing epoch that any write carried.
    pub(crate) epoch_seen: Epoch,
    pub(crate) memtable: Memtable,
    /// Newest first; their order means nothing for correctness, because every record lives in one place only.
    pub(crate) layers: Vec<LayerView>,
}

/// Where a live record lies.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Memtable(Arc<StoredRecord>),
    Layer(Arc<Layer>, SlotId),
}

impl Place {
    pub(crate) fn row(&self) -> Row<'_> {
        match self {
            Self::Memtable(stored) => stored.row(),
            Self::Layer(layer, slot) => layer.row(*slot),
        }
    }

    /// It as whoever asked for it gets it.
    pub(crate) fn located(self) -> Located {
        match self {
            Self::Memtable(stored) => Located::new(stored, SlotId::new(0)),
            Self::Layer(layer, slot) => Located::new(layer, slot),
        }
    }

    /// Its id alone: cheaper than the whole row.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Memtable(stored) => stored.record.id.as_str(),
            Self::Layer(layer, slot) => layer.id(*slot),
        }
    }
}

impl Snapshot {
    pub(crate) fn empty() -> Self {
        Self { seq: SeqNo::ZERO, epoch_seen: Epoch::ZERO, memtable: Memtable::new(), layers: Vec::new() }
    }

    /// The live record of an id.
    pub(crate) fn find(&self, namespace: NamespaceId, id: &str) -> Option<Place> {
        if let Some(stored) = self.memtable.get(namespace, id) {
            return Some(Place::Memtable(Arc::clone(stored)));
        }
        self.layers.iter().find_map(|view| {
            let slot = view.find_live(namespace, id)?;
            Some(Place::Layer(Arc::clone(&view.layer), slot))
        })
    }

    /// Live records of a namespace.
    pub(crate) fn count(&self, namespace: NamespaceId) -> u64 {
        let in_memtable = self.memtable.tail(namespace).map_or(0, |tail| tail.records.size() as u64);
        let in_layers = self.layers.iter().filter_map(|view| {
            let entry = view.layer.namespace_rows(namespace)?;
            Some(view.live_rows(&entry.slots))
        });
        in_memtable + in_layers.sum::<u64>()
    }

    /// Live records of all namespaces.
    pub(crate) fn rows(&self) -> u64 {
        let in_layers = self.layers.iter().map(|view| u64::from(view.layer.len()) - view.dead.len());
        self.memtable.rows as u64 + in_layers.sum::<u64>()
    }

    /// The namespaces that have live records, with their counts, by number.
    pub(crate) fn namespaces(&self) -> BTreeMap<NamespaceId, (TenantId, u64)> {
        let mut found: BTreeMap<NamespaceId, (TenantId, u64)> = BTreeMap::new();
        let in_layers = self.layers.iter().flat_map(|view| {
            view.layer.namespaces().iter().map(|entry| (&entry.namespace, view.live_rows(&entry.slots)))
        });
        let in_memtable = self.memtable.tails().map(|tail| (&tail.namespace, tail.records.size() as u64));
        for (namespace, rows) in in_layers.chain(in_memtable).filter(|(_, rows)| *rows > 0) {
            found.entry(namespace.id()).or_insert_with(|| (namespace.name().clone(), 0)).1 += rows;
        }
        found
    }

    /// Whether a namespace has live records.
    pub(crate) fn has_records(&self, namespace: NamespaceId) -> bool {
        let in_layers = self.layers.iter().any(|view| {
            view.layer.namespace_rows(namespace).is_some_and(|entry| view.live_rows(&entry.slots) > 0)
        });
        in_layers || self.memtable.tail(namespace).is_some_and(|tail| tail.records.size() > 0)
    }

    /// The highest epoch that a namespace's rows were written with.
    pub(crate) fn namespace_epoch(&self, namespace: NamespaceId) -> Epoch {
        let in_layers = self
            .layers
            .iter()
            .filter_map(|view| Some(view.layer.namespace_rows(namespace)?.namespace.epoch()));
        let in_memtable = self.memtable.tail(namespace).map(|tail| tail.namespace.epoch());
        in_layers.chain(in_memtable).max().unwrap_or(Epoch::ZERO)
    }

    /// Applies one logged entry. Replaying entries over a state that already has some of their effects leads to the
    /// same final state, because operations name records and carry them whole.
    pub(crate) fn apply(&mut self, namespace: &Namespace, operations: Vec<Operation>, seq: SeqNo) {
        for operation in operations {
            match operation {
                Operation::Put(record) => {
                    let stored = Arc::new(StoredRecord::new(record, seq));
                    if !self.memtable.put(namespace, Arc::clone(&stored)) {
                        self.kill(namespace.id(), stored.record.id.as_str());
                    }
                }
                Operation::Delete(id) => {
                    if !self.memtable.remove(namespace.id(), id.as_str()) {
                        self.kill(namespace.id(), id.as_str());
                    }
                }
                Operation::Clear => self.clear(namespace.id()),
            }
        }
        self.seq = seq;
        self.epoch_seen = self.epoch_seen.max(namespace.epoch());
    }

    fn kill(&mut self, namespace: NamespaceId, id: &str) {
        let found = self.layers.iter_mut().find_map(|view| {
            let slot = view.find_live(namespace, id)?;
            Arc::make_mut(&mut view.dead).insert(slot.get());
            Some((view.layer.id, slot))
        });
        if let Some((layer, slot)) = found {
            self.memtable.kill(layer, slot);
        }
    }

    /// The state as if these namespaces had no rows; `None` where they have none. Costs a copy of the deletion bitmap of every layer
    /// that has some.
    pub(crate) fn without(&self, namespaces: &[NamespaceId]) -> Option<Self> {
        let mut there = namespaces.iter().filter(|namespace| self.has_rows(**namespace)).peekable();
        there.peek()?;
        let mut state = self.clone();
        there.for_each(|namespace| state.clear(*namespace));
        Some(state)
    }

    /// Whether any row of a namespace is there, dead ones included.
    fn has_rows(&self, namespace: NamespaceId) -> bool {
        self.memtable.tail(namespace).is_some()
            || self.layers.iter().any(|view| view.layer.namespace_rows(namespace).is_some())
    }

    fn clear(&mut self, namespace: NamespaceId) {
        self.memtable.clear(namespace);
        for view in &mut self.layers {
            let Some(entry) = view.layer.namespace_rows(namespace) else { continue };
            let mut slots = RoaringBitmap::new();
            slots.insert_range(entry.slots.clone());
            self.memtable.kill_all(view.layer.id, &slots);
            *Arc::make_mut(&mut view.dead) |= slots;
        }
    }

    pub(crate) fn layer(&self, id: SegmentId) -> Option<&LayerView> {
        self.layers.iter().find(|view| view.layer.id == id)
    }
}

//! A layer: rows in (namespace, id) order under a segment number, either still in memory (being sealed) or in a file.

use crate::{
    Namespace,
    rows::{
        fields::MetadataRef,
        frozen::FrozenRows,
        memtable::Kills,
        row::{NamespaceRows, Row},
        segment::Segment,
    },
};
use pinyon_types::{NamespaceId, SegmentId, SlotId};
use roaring::RoaringBitmap;
use std::{ops::Range, sync::Arc};

/// Where a layer's rows are.
#[derive(Debug)]
pub(crate) enum Rows {
    Frozen(FrozenRows),
    Sealed(Segment),
}

/// Immutable rows under a segment number.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) id: SegmentId,
    pub(crate) rows: Rows,
}

impl Layer {
    /// The namespaces in order of their numbers.
    pub(crate) fn namespaces(&self) -> &[NamespaceRows] {
        match &self.rows {
            Rows::Frozen(frozen) => &frozen.namespaces,
            Rows::Sealed(segment) => segment.namespaces(),
        }
    }

    pub(crate) fn kills(&self) -> &Kills {
        match &self.rows {
            Rows::Frozen(frozen) => &frozen.kills,
            Rows::Sealed(segment) => segment.kills(),
        }
    }

    pub(crate) fn len(&self) -> u32 {
        match &self.rows {
            Rows::Frozen(frozen) => frozen.len(),
            Rows::Sealed(segment) => segment.len(),
        }
    }

    pub(crate) fn row(&self, slot: SlotId) -> Row<'_> {
        match &self.rows {
            Rows::Frozen(frozen) => frozen.row(slot),
            Rows::Sealed(segment) => segment.row(slot),
        }
    }

    /// A row's metadata alone.
    pub(crate) fn metadata(&self, slot: SlotId) -> MetadataRef<'_> {
        match &self.rows {
            Rows::Frozen(frozen) => frozen.row(slot).metadata,
            Rows::Sealed(segment) => MetadataRef::Encoded(segment.metadata(slot.get() as usize)),
        }
    }

    /// A row's id alone: cheaper than the whole row.
    pub(crate) fn id(&self, slot: SlotId) -> &str {
        match &self.rows {
            Rows::Frozen(frozen) => frozen.row(slot).id,
            Rows::Sealed(segment) => segment.id(slot),
        }
    }

    pub(crate) fn segment(&self) -> Option<&Segment> {
        match &self.rows {
            Rows::Frozen(_) => None,
            Rows::Sealed(segment) => Some(segment),
        }
    }

    pub(crate) fn namespace_rows(&self, namespace: NamespaceId) -> Option<&NamespaceRows> {
        let entries = self.namespaces();
        let at = entries.binary_search_by_key(&namespace, |entry| entry.namespace.id()).ok()?;
        entries.get(at)
    }

    /// The namespace whose rows contain a slot.
    pub(crate) fn namespace_of(&self, slot: SlotId) -> &Namespace {
        let entries = self.namespaces();
        let at = entries.partition_point(|entry| entry.slots.end <= slot.get());
        &entries[at].namespace
    }

    /// The slot of an id, dead or not. Cost: a binary search over the namespace's ids.
    pub(crate) fn find(&self, namespace: NamespaceId, id: &str) -> Option<SlotId> {
        let slots = self.namespace_rows(namespace)?.slots.clone();
        let at = self.lower_bound(slots.clone(), id);
        (at < slots.end && self.id(SlotId::new(at)) == id).then(|| SlotId::new(at))
    }

    /// The first slot of the range whose id is not less than `id`.
    pub(crate) fn lower_bound(&self, slots: Range<u32>, id: &str) -> u32 {
        let (mut low, mut high) = (slots.start, slots.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.id(SlotId::new(middle)) < id { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// A layer as one snapshot sees it.
#[derive(Debug, Clone)]
pub(crate) struct LayerView {
    pub(crate) layer: Arc<Layer>,
    pub(crate) dead: Arc<RoaringBitmap>,
}

impl LayerView {
    pub(crate) fn is_live(&self, slot: SlotId) -> bool {
        !self.dead.contains(slot.get())
    }

    /// The live slot of an id.
    pub(crate) fn find_live(&self, namespace: NamespaceId, id: &str) -> Option<SlotId> {
        self.layer.find(namespace, id).filter(|&slot| self.is_live(slot))
    }

    /// Rows of a namespace that are alive.
    pub(crate) fn live_rows(&self, slots: &Range<u32>) -> u64 {
        u64::from(slots.end - slots.start) - self.dead.range_cardinality(slots.clone())
    }
}

//! Which rows pass a metadata filter. Small namespaces are asked row by row; larger ones get a filter index in
//! memory when the first filter comes.

use crate::rows::{
    layer::{Layer, LayerView},
    memtable::{StoredRecord, Tail},
    row::NamespaceRows,
};
use pinyon_index::{FilterIndex, MetadataRows};
use pinyon_types::{Fields, Filter, SlotId, ValueRef};
use roaring::RoaringBitmap;
use std::{ops::Range, sync::Arc};

/// Namespaces with fewer rows in a segment are filtered row by row: an index would cost more than it saves.
const INDEXED_ROWS_MIN: u32 = 1_000;

/// The records of a memtable's namespace that pass a filter; all of them without one.
pub(crate) fn rows_passing<'a>(
    tail: &'a Tail,
    filter: Option<&'a Filter>,
) -> impl Iterator<Item = &'a Arc<StoredRecord>> {
    tail.records
        .values()
        .filter(move |stored| filter.is_none_or(|filter| filter.matches(&stored.record.metadata)))
}

/// The live slots of a namespace that pass a filter.
pub(crate) fn survivors(view: &LayerView, entry: &NamespaceRows, filter: &Filter) -> RoaringBitmap {
    alive_slots(view, &entry.slots, &passing(view, entry, filter))
}

/// The slots of those of some rows, numbered from the first of `among`, that are alive.
pub(crate) fn alive_slots(view: &LayerView, among: &Range<u32>, rows: &RoaringBitmap) -> RoaringBitmap {
    let slots = RoaringBitmap::from_sorted_iter(rows.iter().map(|row| row + among.start));
    slots.unwrap_or_default() - &*view.dead
}

/// The rows of a namespace, numbered from 0, that pass a filter, dead ones among them.
pub(crate) fn passing(view: &LayerView, entry: &NamespaceRows, filter: &Filter) -> RoaringBitmap {
    let rows = LayerRows { layer: &view.layer, first: entry.slots.start, rows: entry.len() };
    match view.layer.segment().filter(|_| rows.rows >= INDEXED_ROWS_MIN) {
        Some(segment) => {
            let cell = segment.filter_index(entry.namespace.id(), || FilterIndex::build(&rows));
            cell.get_or_init(|| FilterIndex::build(&rows)).evaluate(filter, &rows)
        }
        None => (0..rows.rows).filter(|&row| rows.matches(row, filter)).collect(),
    }
}

/// A namespace's rows in a layer, numbered from 0, as the filter index wants them.
struct LayerRows<'a> {
    layer: &'a Layer,
    first: u32,
    rows: u32,
}

impl MetadataRows for LayerRows<'_> {
    fn rows(&self) -> u32 {
        self.rows
    }

    fn visit(&self, row: u32, each: &mut dyn FnMut(&str, ValueRef<'_>)) {
        self.layer.metadata(SlotId::new(self.first + row)).visit(each);
    }

    fn matches(&self, row: u32, filter: &Filter) -> bool {
        let metadata = self.layer.metadata(SlotId::new(self.first + row));
        let fields: &dyn Fields = &metadata;
        filter.matches(&AsFields(fields))
    }
}

/// Lets a borrowed trait object stand where `Filter::matches` wants a sized one.
struct AsFields<'a>(&'a dyn Fields);

impl Fields for AsFields<'_> {
    fn field(&self, name: &str) -> Option<ValueRef<'_>> {
        self.0.field(name)
    }
}

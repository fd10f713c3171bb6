//! Reads that need no distances: by id, by prefix, by filter, and counts.

use crate::{
    Located, Page,
    rows::{
        layer::LayerView,
        row::{NamespaceRows, Row},
        snapshot::{Place, Snapshot},
    },
    search::filtering::{rows_passing, survivors},
    suspicion::implausible,
};
use pinyon_types::{Filter, Invalid, NamespaceId, Record, RecordId, SlotId, SparseVector, Vector, limits};
use std::{path::Path, sync::Arc};

/// What a listing asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListRequest<'a> {
    pub(crate) prefix: &'a str,
    /// Ids up to and including this one were on earlier pages.
    pub(crate) after: Option<&'a str>,
    pub(crate) limit: usize,
}

pub(crate) fn record_id(stored: &str) -> RecordId {
    // Ids are checked when written and when a segment is opened.
    RecordId::new(stored).unwrap_or_else(|_| implausible(Path::new("a segment")))
}

pub(crate) fn record(row: &Row<'_>) -> Record {
    Record {
        id: record_id(row.id),
        vector: Vector::stored(row.vector),
        sparse: SparseVector::stored(row.sparse),
        metadata: row.metadata.to_metadata(),
    }
}

/// The live records of a namespace that pass a filter, in no particular order.
pub(crate) fn matching<'a>(
    state: &'a Snapshot,
    namespace: NamespaceId,
    filter: &'a Filter,
) -> impl Iterator<Item = Place> + 'a {
    let tail = state.memtable.tail(namespace);
    let in_memtable = tail.into_iter().flat_map(move |tail| {
        rows_passing(tail, Some(filter)).map(|stored| Place::Memtable(Arc::clone(stored)))
    });
    let in_layers = state.layers.iter().filter_map(move |view| {
        let entry = view.layer.namespace_rows(namespace)?;
        Some((view, survivors(view, entry, filter)))
    });
    let in_layers = in_layers.flat_map(|(view, slots)| {
        slots.into_iter().map(|slot| Place::Layer(Arc::clone(&view.layer), SlotId::new(slot)))
    });
    in_memtable.chain(in_layers)
}

pub(crate) fn find(state: &Snapshot, namespace: NamespaceId, ids: &[RecordId]) -> Vec<Located> {
    let found = ids.iter().filter_map(|id| state.find(namespace, id.as_str()));
    found.map(Place::located).collect()
}

/// Records that pass a filter, in order of their ids, a page of them and whether more follow.
pub(crate) fn find_matching(
    state: &Snapshot,
    namespace: NamespaceId,
    filter: &Filter,
    after: Option<&str>,
    limit: usize,
) -> (Vec<Located>, bool) {
    let mut places: Vec<Place> = matching(state, namespace, filter)
        .filter(|place| after.is_none_or(|after| place.id() > after))
        .collect();
    let has_more = places.len() > limit;
    if has_more {
        places.select_nth_unstable_by(limit, |a, b| a.id().cmp(b.id()));
        places.truncate(limit);
    }
    places.sort_unstable_by(|a, b| a.id().cmp(b.id()));
    (places.into_iter().map(Place::located).collect(), has_more)
}

/// Ids with a prefix in byte order. Each source gives one more than a page can hold; what is left after merging them
/// is exact, because every id lives in one source only.
pub(crate) fn list(state: &Snapshot, namespace: NamespaceId, request: ListRequest<'_>) -> Page {
    let wanted = request.limit + 1;
    let mut ids: Vec<RecordId> = Vec::new();
    if let Some(tail) = state.memtable.tail(namespace) {
        let start = request.start();
        let from =
            tail.records.range::<str, _>((std::ops::Bound::Included(start), std::ops::Bound::Unbounded));
        let listed = from.map(|(id, _)| id).take_while(|id| id.as_str().starts_with(request.prefix));
        ids.extend(listed.filter(|id| request.is_after(id.as_str())).take(wanted).cloned());
    }
    for view in &state.layers {
        if let Some(entry) = view.layer.namespace_rows(namespace) {
            ids.extend(list_layer(view, entry, request).take(wanted));
        }
    }
    ids.sort_unstable();
    let has_more = ids.len() > request.limit;
    ids.truncate(request.limit);
    Page { ids, has_more }
}

/// The records of a page of a listing, as many as fit into so many bytes but one at least, and whether more follow.
pub(crate) fn scan(
    state: &Snapshot,
    namespace: NamespaceId,
    request: ListRequest<'_>,
    bytes_max: usize,
) -> (Vec<Located>, bool) {
    let Page { ids, has_more } = list(state, namespace, request);
    let (mut found, mut bytes) = (find(state, namespace, &ids), 0_usize);
    let fits = |one: &&Located| {
        bytes = bytes.saturating_add(one.bytes());
        bytes <= bytes_max
    };
    let fitting = found.iter().take_while(fits).count().max(1).min(found.len());
    let is_cut = fitting < found.len();
    found.truncate(fitting);
    (found, has_more || is_cut)
}

fn list_layer<'a>(
    view: &'a LayerView,
    entry: &NamespaceRows,
    request: ListRequest<'a>,
) -> impl Iterator<Item = RecordId> + 'a {
    let first = view.layer.lower_bound(entry.slots.clone(), request.start());
    (first..entry.slots.end)
        .map(SlotId::new)
        .map(|slot| (slot, view.layer.id(slot)))
        .take_while(move |(_, id)| id.starts_with(request.prefix))
        .filter(move |(slot, id)| request.is_after(id) && view.is_live(*slot))
        .map(|(_, id)| record_id(id))
}

impl<'a> ListRequest<'a> {
    /// Nothing before this text belongs on the page.
    fn start(&self) -> &'a str {
        self.after.map_or(self.prefix, |after| after.max(self.prefix))
    }

    fn is_after(&self, id: &str) -> bool {
        self.after.is_none_or(|after| id > after)
    }
}

pub(crate) fn check_page(limit: usize) -> Result<(), Invalid> {
    if (1..=limits::LIST_PAGE_MAX).contains(&limit) {
        return Ok(());
    }
    Err(Invalid::new("limit", format!("must be 1 to {}, is {limit}", limits::LIST_PAGE_MAX)))
}

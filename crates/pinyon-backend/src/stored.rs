//! Records as they are found: where they lie is the backend's own business, and what they hold is read only when asked for.

use pinyon_types::{Filter, Metadata, Record, RecordId, SeqNo, SlotId, SparseRef, SparseVector, Vector};
use std::sync::Arc;

/// Immutable rows of a backend, each at a slot. Whoever holds them can read them, whatever becomes of their namespace.
pub trait StoredRows: Send + Sync + std::fmt::Debug {
    /// A row's id as text.
    fn id(&self, slot: SlotId) -> &str;

    /// A row's id.
    fn record_id(&self, slot: SlotId) -> RecordId;

    /// A row's dense vector; empty in an index of sparse vectors.
    fn vector(&self, slot: SlotId) -> &[f32];

    /// A row's sparse vector; without components if it has none.
    fn sparse(&self, slot: SlotId) -> SparseRef<'_>;

    /// A row's metadata.
    fn metadata(&self, slot: SlotId) -> Metadata;

    /// How many bytes a row's metadata take, about. Reads no more than it must.
    fn metadata_bytes(&self, slot: SlotId) -> usize;

    /// The log position that wrote a row; zero where there are none.
    fn seq(&self, slot: SlotId) -> SeqNo;
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Id, vectors and metadata.
    pub record: Record,
    /// The log position that wrote it.
    pub seq: SeqNo,
}

/// A record that was found. What it holds is read only when asked for. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Located {
    rows: Arc<dyn StoredRows>,
    slot: SlotId,
}

impl Located {
    /// The record at a slot.
    pub fn new(rows: Arc<dyn StoredRows>, slot: SlotId) -> Self {
        Self { rows, slot }
    }

    /// Its id.
    pub fn id(&self) -> RecordId {
        self.rows.record_id(self.slot)
    }

    /// Its id as text.
    pub fn id_text(&self) -> &str {
        self.rows.id(self.slot)
    }

    /// Its dense vector's components.
    pub fn components(&self) -> &[f32] {
        self.rows.vector(self.slot)
    }

    /// Its sparse vector, if it has one.
    pub fn sparse(&self) -> Option<SparseVector> {
        SparseVector::stored(self.rows.sparse(self.slot))
    }

    /// Its metadata.
    pub fn metadata(&self) -> Metadata {
        self.rows.metadata(self.slot)
    }

    /// How many bytes it takes, about, with its vectors and its metadata.
    pub fn bytes(&self) -> usize {
        self.answer_bytes(true, true)
    }

    /// How many bytes it takes in an answer, about: its id, and what else is wanted of it.
    pub fn answer_bytes(&self, with_values: bool, with_metadata: bool) -> usize {
        let components = || self.components().len() + 2 * self.rows.sparse(self.slot).indices.len();
        let values = if with_values { components() * size_of::<f32>() } else { 0 };
        let metadata = if with_metadata { self.rows.metadata_bytes(self.slot) } else { 0 };
        self.id_text().len() + values + metadata
    }

    /// What is stored.
    pub fn stored(&self) -> Stored {
        let record = Record {
            id: self.id(),
            vector: Vector::stored(self.components()),
            sparse: self.sparse(),
            metadata: self.metadata(),
        };
        Stored { record, seq: self.rows.seq(self.slot) }
    }
}

/// What a listing of ids asks for.
#[derive(Debug, Clone, Copy)]
pub struct ListPage<'a> {
    /// What ids begin with.
    pub prefix: &'a str,
    /// Ids up to and including this one were on earlier pages.
    pub after: Option<&'a RecordId>,
    /// How many ids: 1 to [`pinyon_types::limits::LIST_PAGE_MAX`].
    pub limit: usize,
}

/// What a listing of the records that pass a filter asks for.
#[derive(Debug, Clone, Copy)]
pub struct MatchPage<'a> {
    /// Which records.
    pub filter: &'a Filter,
    /// Ids up to and including this one were on earlier pages.
    pub after: Option<&'a RecordId>,
    /// How many records: 1 to [`pinyon_types::limits::LIST_PAGE_MAX`].
    pub limit: usize,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Ids in byte order.
    pub ids: Vec<RecordId>,
    /// Whether more ids follow the last one.
    pub has_more: bool,
}

/// Records that are kept in memory, each at the slot of its place.
impl StoredRows for Vec<Stored> {
    fn id(&self, slot: SlotId) -> &str {
        self[slot.get() as usize].record.id.as_str()
    }

    fn record_id(&self, slot: SlotId) -> RecordId {
        self[slot.get() as usize].record.id.clone()
    }

    fn vector(&self, slot: SlotId) -> &[f32] {
        self[slot.get() as usize].record.vector.as_slice()
    }

    fn sparse(&self, slot: SlotId) -> SparseRef<'_> {
        let sparse = &self[slot.get() as usize].record.sparse;
        sparse.as_ref().map_or_else(SparseRef::default, SparseVector::as_ref)
    }

    fn metadata(&self, slot: SlotId) -> Metadata {
        self[slot.get() as usize].record.metadata.clone()
    }

    fn metadata_bytes(&self, slot: SlotId) -> usize {
        self[slot.get() as usize].record.metadata.size_bytes()
    }

    fn seq(&self, slot: SlotId) -> SeqNo {
        self[slot.get() as usize].seq
    }
}

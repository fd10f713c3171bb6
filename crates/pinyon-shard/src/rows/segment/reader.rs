//! An opened segment. What is read of it was verified before (SEG-2): all of it when it was opened, or each part when it was first read;
//! what is not as it was written unwinds, and ends as an error of whoever asked.

use super::{
    checks::{check_ends, check_lengths, check_rows, read_namespaces},
    kills,
    layout::tag,
    sparse,
};
use crate::{
    ShardError, ShardShape,
    derived::{
        codes::Files,
        graphs::{GraphEntry, Inherited},
    },
    rows::{
        fields::MetadataRef,
        memtable::Kills,
        part::Part,
        row::{NamespaceRows, Row},
    },
    suspicion::implausible,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use pinyon_distance::codes::Int8Rows;
use pinyon_index::{CodedRows, FilterIndex, PostingLists, RowBlock, SparseRows};
use pinyon_storage::{
    io::{SharedIo, Stamp},
    metadata_bytes::MetadataView,
    segment::{SegmentError, SegmentFile, SegmentHead, Verify},
};
use pinyon_types::{NamespaceId, SeqNo, SlotId};
use roaring::RoaringBitmap;
use std::{
    collections::HashMap,
    ops::Range,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

/// Filter indexes of namespaces, each built when the first filter asks for it.
type FilterIndexes = Mutex<HashMap<NamespaceId, Arc<OnceLock<FilterIndex>>>>;

/// A segment file with the structures derived from it.
#[derive(Debug)]
pub(crate) struct Segment {
    file: SegmentFile,
    dim: usize,
    rows: u32,
    namespaces: Vec<NamespaceRows>,
    kills: Kills,
    /// Of all rows; parts have a part of it.
    pub(super) bytes_codes: ArcSwapOption<Int8Rows>,
    pub(super) codes: ArcSwap<HashMap<Part, Arc<CodedRows>>>,
    pub(super) kept_codes: Box<Files>,
    pub(super) graphs: ArcSwap<HashMap<Part, GraphEntry>>,
    pub(super) inherited: Box<Inherited>,
    filter_indexes: Box<FilterIndexes>,
    watch: Box<Watch>,
}

/// Rows that are checked between two looks at whether to go on.
const ROWS_CHECKED_AT_ONCE: u32 = 4096;

/// What is known of the file since it was opened.
#[derive(Debug)]
struct Watch {
    /// Whether bytes were met that cannot be.
    is_suspect: AtomicBool,
    /// How many rows' ids and metadata were checked, and whether all that the rows say was.
    rows_checked: AtomicU32,
    is_checked: AtomicBool,
    stamp: Mutex<Option<Stamp>>,
}

impl Segment {
    /// Opens and checks a segment file. Cost: one pass over its bytes, or over what tells of its rows.
    ///
    /// # Errors
    /// A checksum that does not fit, sections that contradict each other, another shard's or segment's file.
    pub(crate) fn open(
        io: &SharedIo,
        path: &Path,
        (shape, verify): (ShardShape, Verify),
        head: SegmentHead,
    ) -> Result<Self, ShardError> {
        // Before it is read: what is changed from now on is noticed.
        let stamp = io.stamp(path).ok();
        let file = SegmentFile::open_and(io, path, head, verify)?;
        let damaged = |what: String| ShardError::damaged(path, what);
        let namespaces = read_namespaces(&file)?.map_err(damaged)?;
        let rows = namespaces.last().map_or(0, |entry| entry.slots.end);
        check_lengths(&file, rows, shape.dim.as_usize()).map_err(damaged)?;
        let kills = kills::decode(file.section(tag::KILLS)?).map_err(|error| damaged(error.to_string()))?;
        let watch = Watch {
            is_suspect: AtomicBool::new(false),
            rows_checked: AtomicU32::new(0),
            is_checked: AtomicBool::new(false),
            stamp: Mutex::new(stamp),
        };
        let segment = Self {
            file,
            dim: shape.dim.as_usize(),
            rows,
            namespaces,
            kills,
            bytes_codes: ArcSwapOption::empty(),
            codes: ArcSwap::default(),
            kept_codes: Box::default(),
            graphs: ArcSwap::default(),
            inherited: Box::default(),
            filter_indexes: Box::default(),
            watch: Box::new(watch),
        };
        if verify == Verify::AtOpen {
            segment.check_rows(&mut |_| true)?;
        }
        Ok(segment)
    }

    /// Whether every byte was verified, and what its rows say checked.
    pub(crate) fn is_verified(&self) -> bool {
        self.watch.is_checked.load(Ordering::Acquire)
    }

    /// Verifies what nobody has read yet, and checks what its rows say; `None` if it was ended before. `pace` is asked before so many
    /// more bytes are read.
    ///
    /// # Errors
    /// Bytes that are not as they were written, sections that contradict each other.
    pub(crate) fn verify_rest(&self, pace: &mut dyn FnMut(u64) -> bool) -> Result<Option<()>, ShardError> {
        match self.file.verify_rest(pace)? {
            Some(()) => self.check_rows(pace),
            None => Ok(None),
        }
    }

    /// Checks that ids are ids, metadata decodes, and that sections fit each other, where that was not done before; `None` if it was
    /// ended before.
    ///
    /// # Errors
    /// Where it is not so.
    pub(crate) fn check_rows(&self, pace: &mut dyn FnMut(u64) -> bool) -> Result<Option<()>, ShardError> {
        let damaged = |what| ShardError::damaged(self.file.path(), what);
        loop {
            let from = self.watch.rows_checked.load(Ordering::Acquire);
            let to = self.rows.min(from.saturating_add(ROWS_CHECKED_AT_ONCE));
            if from >= to {
                break;
            }
            if !pace(0) {
                return Ok(None);
            }
            check_rows(&self.file, from as usize..to as usize).map_err(damaged)?;
            self.watch.rows_checked.store(to, Ordering::Release);
        }
        let slots: Vec<_> = self.namespaces.iter().map(|entry| entry.slots.clone()).collect();
        check_ends(&self.file, self.rows as usize)
            .and_then(|()| sparse::check(&self.file, &slots))
            .map_err(damaged)?;
        self.watch.is_checked.store(true, Ordering::Release);
        Ok(Some(()))
    }

    pub(crate) fn len(&self) -> u32 {
        self.rows
    }

    pub(crate) fn namespaces(&self) -> &[NamespaceRows] {
        &self.namespaces
    }

    pub(crate) fn kills(&self) -> &Kills {
        &self.kills
    }

    pub(crate) fn file(&self) -> &SegmentFile {
        &self.file
    }

    /// Whether bytes of it were met that cannot be, since this was asked last.
    pub(crate) fn take_suspicion(&self) -> bool {
        self.watch.is_suspect.swap(false, Ordering::AcqRel)
    }

    /// Some numbers of a section.
    fn part<T: bytemuck::AnyBitPattern>(&self, tag: u32, span: Range<usize>) -> &[T] {
        self.sure(self.file.part(tag, span))
    }

    fn sure<T>(&self, read: Result<T, SegmentError>) -> T {
        read.unwrap_or_else(|_| self.implausible())
    }

    /// Ends whatever came upon bytes that cannot be.
    fn implausible(&self) -> ! {
        self.watch.is_suspect.store(true, Ordering::Release);
        implausible(self.file.path())
    }

    /// What the file system said of the file when it was opened, or when it was last found to be as it was written.
    pub(crate) fn stamp(&self) -> &Mutex<Option<Stamp>> {
        &self.watch.stamp
    }

    /// Vectors of consecutive rows, one after the other.
    pub(crate) fn vectors(&self, slots: Range<u32>) -> &[f32] {
        self.part(tag::VECTORS, slots.start as usize * self.dim..slots.end as usize * self.dim)
    }

    /// Inverse norms of consecutive rows.
    pub(crate) fn inverse_norms(&self, slots: Range<u32>) -> &[f32] {
        self.part(tag::INVERSE_NORMS, slots.start as usize..slots.end as usize)
    }

    /// Consecutive rows with their slots.
    pub(crate) fn block(&self, slots: Range<u32>) -> RowBlock<'_> {
        RowBlock {
            vectors: self.vectors(slots.clone()),
            inverse_norms: self.inverse_norms(slots.clone()),
            first_slot: SlotId::new(slots.start),
        }
    }

    /// All rows, of which those with these slots are read and no others.
    pub(crate) fn block_for(&self, slots: &RoaringBitmap) -> RowBlock<'_> {
        if !self.file.is_verified() {
            for slot in slots {
                self.vectors(slot..slot + 1);
            }
        }
        RowBlock {
            vectors: self.sure(self.file.raw(tag::VECTORS)),
            inverse_norms: self.inverse_norms(0..self.rows),
            first_slot: SlotId::new(0),
        }
    }

    /// The same of consecutive rows: those that [`Self::read_ahead`] was told are read, and no others.
    pub(crate) fn block_of_told(&self, slots: Range<u32>) -> RowBlock<'_> {
        let vectors: &[f32] = self.sure(self.file.raw(tag::VECTORS));
        RowBlock {
            vectors: &vectors[slots.start as usize * self.dim..slots.end as usize * self.dim],
            inverse_norms: self.inverse_norms(slots.clone()),
            first_slot: SlotId::new(slots.start),
        }
    }

    /// Has the vectors of rows ready, numbered from a slot on: many at once from the disk, and verified.
    pub(crate) fn read_ahead(&self, first: u32, rows: &[u32]) {
        let slots = || rows.iter().map(|row| first + row);
        let span = |slot: u32| slot as usize * self.dim..(slot as usize + 1) * self.dim;
        slots().for_each(|slot| self.file.fetch::<f32>(tag::VECTORS, span(slot)));
        if !self.file.is_verified() {
            slots().for_each(|slot| {
                self.vectors(slot..slot + 1);
            });
        }
    }

    pub(crate) fn row(&self, slot: SlotId) -> Row<'_> {
        let at = slot.get() as usize;
        Row {
            id: self.id(slot),
            vector: self.vectors(slot.get()..slot.get() + 1),
            inverse_norm: self.inverse_norms(slot.get()..slot.get() + 1)[0],
            sparse: self.sure(sparse::row(&self.file, at)),
            seq: SeqNo::new(self.part(tag::SEQS, at..at + 1)[0]),
            metadata: MetadataRef::Encoded(self.metadata(at)),
        }
    }

    /// The rows' sparse vectors, of which those with these slots are read and no others; empty if none has one.
    pub(crate) fn sparse_rows(&self, slots: Range<u32>) -> SparseRows<'_> {
        self.sure(sparse::rows(&self.file, slots.start as usize..slots.end as usize))
    }

    /// A namespace's posting lists; empty if none of its rows has a sparse vector.
    pub(crate) fn posting_lists(&self, namespace: NamespaceId) -> PostingLists<'_> {
        let at = self.namespaces.binary_search_by_key(&namespace, |entry| entry.namespace.id());
        let lists = |at| self.sure(sparse::lists(&self.file, at));
        at.map_or_else(|_| PostingLists::default(), lists)
    }

    /// A row's id.
    pub(crate) fn id(&self, slot: SlotId) -> &str {
        let at = slot.get() as usize;
        let offsets: &[u32] = self.part(tag::ID_OFFSETS, at..at + 2);
        let id = self.part(tag::IDS, offsets[0] as usize..offsets[1] as usize);
        // What is no id was changed since it was verified.
        let id = std::str::from_utf8(id).ok().filter(|id| !id.is_empty());
        id.unwrap_or_else(|| self.implausible())
    }

    /// A row's metadata.
    pub(crate) fn metadata(&self, at: usize) -> MetadataView<'_> {
        let offsets: &[u64] = self.part(tag::METADATA_OFFSETS, at..at + 2);
        MetadataView::over_checked(self.part(tag::METADATA, offsets[0] as usize..offsets[1] as usize))
    }

    pub(crate) fn filter_index_bytes(&self) -> usize {
        let indexes = self.filter_indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.values().filter_map(|cell| cell.get()).map(FilterIndex::bytes).sum()
    }

    /// Drops all filter indexes; returns how many bytes they took.
    pub(crate) fn drop_filter_indexes(&self) -> u64 {
        let bytes = self.filter_index_bytes() as u64;
        self.filter_indexes.lock().unwrap_or_else(PoisonError::into_inner).clear();
        bytes
    }

    /// The filter index of a namespace, built now if no filter asked for it before.
    pub(crate) fn filter_index(
        &self,
        namespace: NamespaceId,
        build: impl FnOnce() -> FilterIndex,
    ) -> Arc<OnceLock<FilterIndex>> {
        let cell = {
            // A panic while the map is locked cannot leave it half changed, so a poisoned lock is still good.
            let mut indexes = self.filter_indexes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(indexes.entry(namespace).or_default())
        };
        cell.get_or_init(build);
        cell
    }
}

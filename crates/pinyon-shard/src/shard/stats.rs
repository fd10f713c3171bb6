//! What a shard holds, counted from a snapshot.

use crate::{DerivedBytes, MappedBytes, ResidentBytes, derived::files, inner::Inner, rows::segment::Segment};
use pinyon_storage::wal;
use pinyon_types::{Epoch, NamespaceId, SegmentId, SeqNo, TenantId};

/// One namespace's share of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceStats {
    /// Its number.
    pub id: NamespaceId,
    /// Its name.
    pub name: TenantId,
    /// Live records.
    pub records: u64,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentStats {
    /// Its number.
    pub id: SegmentId,
    /// Rows, dead ones included.
    pub rows: u32,
    /// Dead rows.
    pub dead_rows: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Namespaces with a graph in memory.
    pub graphs: usize,
    /// What those bytes on disk are: they are mapped.
    pub mapped: MappedBytes,
    /// What is made of them and stays in memory.
    pub derived: DerivedBytes,
}

/// What a shard holds and what it costs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Namespaces that have records, by number.
    pub namespaces: Vec<NamespaceStats>,
    /// Live records.
    pub records: u64,
    /// Segments, newest first.
    pub segments: Vec<SegmentStats>,
    /// Records in the memtable.
    pub memtable_rows: usize,
    /// Bytes of the memtable, about.
    pub memtable_bytes: usize,
    /// Bytes of all log files as they lie on disk, the space that the current one has reserved included.
    pub log_bytes: u64,
    /// Bytes of the files in which graphs and codes are kept.
    pub derived_file_bytes: u64,
    /// Position of the last visible write.
    pub last_seq: SeqNo,
    /// Highest routing epoch seen.
    pub epoch_seen: Epoch,
}

impl ShardStats {
    /// Bytes on disk: segments, kept graphs and codes, and every log file, with the space that is reserved for what comes (a log grows in
    /// steps, so an empty shard takes one step).
    pub fn disk_bytes(&self) -> u64 {
        self.log_bytes
            + self.derived_file_bytes
            + self.segments.iter().map(|segment| segment.bytes).sum::<u64>()
    }

    /// Bytes that stay in memory as far as they are counted: the memtable, and codes, graphs and filter indexes of segments. What
    /// is mapped is not among them; nor is a table while it is being sealed.
    pub fn resident_bytes(&self) -> u64 {
        let ResidentBytes { derived, memtable } = self.resident();
        derived.total() + memtable
    }

    /// The same, by what they are.
    pub fn resident(&self) -> ResidentBytes {
        let derived = self.segments.iter().map(|segment| segment.derived).sum();
        ResidentBytes { derived, memtable: self.memtable_bytes as u64 }
    }
}

/// Asks the disk, not the log: the log's lock is held through syncs, and older files than the current one count too. A
/// file that is removed meanwhile, or a directory that cannot be listed, counts nothing.
fn bytes_of(inner: &Inner, names: &[String], is_wanted: impl Fn(&str) -> bool) -> u64 {
    let wanted = names.iter().filter(|name| is_wanted(name));
    wanted.filter_map(|name| inner.io.len(&inner.dir.join(name)).ok()).sum()
}

pub(crate) fn collect(inner: &Inner) -> ShardStats {
    let state = inner.snapshot.load_full();
    let names = inner.io.list(&inner.dir).unwrap_or_default();
    let namespaces: Vec<NamespaceStats> = state
        .namespaces()
        .into_iter()
        .map(|(id, (name, records))| NamespaceStats { id, name, records })
        .collect();
    let segments = state.layers.iter().map(|view| {
        let segment = view.layer.segment();
        SegmentStats {
            id: view.layer.id,
            rows: view.layer.len(),
            dead_rows: view.dead.len(),
            bytes: segment.map_or(0, |segment| segment.file().bytes()),
            graphs: segment.map_or(0, Segment::graph_count),
            mapped: segment.map_or_else(MappedBytes::default, |segment| MappedBytes::of(segment.file())),
            derived: segment.map_or_else(DerivedBytes::default, Segment::derived_bytes),
        }
    });
    ShardStats {
        records: namespaces.iter().map(|namespace| namespace.records).sum(),
        namespaces,
        segments: segments.collect(),
        memtable_rows: state.memtable.rows,
        memtable_bytes: state.memtable.bytes,
        log_bytes: bytes_of(inner, &names, wal::is_log_file_name),
        derived_file_bytes: bytes_of(inner, &names, files::is_derived_file_name),
        last_seq: state.seq,
        epoch_seen: state.epoch_seen,
    }
}

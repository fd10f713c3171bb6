//! Rows of a segment whose bytes may be damaged: each is read whole, or not at all.

use super::Named;
use crate::{
    ShardError, ShardShape,
    rows::{
        memtable::Kills,
        row::NamespaceRows,
        segment::{decode_kills, read_namespaces_of, tag},
    },
};
use pinyon_storage::{io::SharedIo, metadata_bytes::MetadataView, segment::RescuedFile};
use pinyon_types::{Metadata, Record, RecordId, SegmentId, SeqNo, SparseVector, Vector};
use std::path::Path;

/// A segment of which some is left.
#[derive(Debug)]
pub(super) struct RescuedRows {
    pub(super) id: SegmentId,
    file: RescuedFile,
    shape: ShardShape,
    pub(super) namespaces: Vec<NamespaceRows>,
    /// What it says of rows of older segments; nothing if that is damaged.
    pub(super) kills: Option<Kills>,
}

impl RescuedRows {
    /// Opens it.
    ///
    /// # Errors
    /// It is not the file that the manifest names, or what says where its rows are and whose is damaged.
    pub(super) fn open(
        io: &SharedIo,
        path: &Path,
        named: &Named,
        shape: ShardShape,
    ) -> Result<Self, ShardError> {
        let mut file = RescuedFile::open(io, path, named.head)?;
        if named.checksum.is_some_and(|checksum| checksum != file.checksum()) {
            return Err(ShardError::damaged(path, "it is not the file that MANIFEST names"));
        }
        let (entries, names) = (whole(&mut file, tag::NAMESPACES), whole(&mut file, tag::NAMES));
        let (Some(entries), Some(names)) = (entries, names) else {
            return Err(ShardError::damaged(path, "what says whose its rows are"));
        };
        let namespaces =
            read_namespaces_of(&entries, &names).map_err(|what| ShardError::damaged(path, what))?;
        let kills = whole(&mut file, tag::KILLS).and_then(|bytes| decode_kills(&bytes).ok());
        Ok(Self { id: named.head.segment, file, shape, namespaces, kills })
    }

    /// A sentence on what is damaged, if anything is.
    pub(super) fn problem(&self) -> Option<String> {
        let tags: Vec<String> = self.file.damaged().map(|tag| tag.to_string()).collect();
        if tags.is_empty() {
            return None;
        }
        let name = pinyon_storage::segment::segment_file_name(self.id);
        let lost_kills = match self.kills {
            Some(_) => "",
            None => {
                "; which rows of older segments were deleted or overwritten by it is lost, and they may come back"
            }
        };
        Some(format!("{name}: section {} is damaged{lost_kills}", tags.join(", ")))
    }

    /// The id of a row.
    pub(super) fn id_of(&mut self, slot: u32) -> Option<RecordId> {
        let [start, end] = self.pair_u32(tag::ID_OFFSETS, slot)?;
        let bytes = self.file.bytes(tag::IDS, u64::from(start)..u64::from(end))?;
        RecordId::new(std::str::from_utf8(bytes).ok()?).ok()
    }

    /// The log position that wrote it.
    pub(super) fn seq_of(&mut self, slot: u32) -> Option<SeqNo> {
        let at = u64::from(slot) * 8;
        let bytes = self.file.bytes(tag::SEQS, at..at + 8)?;
        Some(SeqNo::new(u64::from_le_bytes(bytes.try_into().ok()?)))
    }

    /// All of a row.
    pub(super) fn record(&mut self, slot: u32) -> Option<Record> {
        let id = self.id_of(slot)?;
        Some(Record {
            id,
            vector: self.vector(slot)?,
            sparse: self.sparse(slot)?,
            metadata: self.metadata(slot)?,
        })
    }

    /// Whether all of a row can be read.
    pub(super) fn is_whole(&mut self, slot: u32) -> bool {
        self.record(slot).is_some()
    }

    fn vector(&mut self, slot: u32) -> Option<Vector> {
        let width = self.shape.dim.as_usize() as u64 * 4;
        let start = u64::from(slot) * width;
        let bytes = self.file.bytes(tag::VECTORS, start..start + width)?;
        Vector::new(f32s(bytes), self.shape.dim).ok()
    }

    /// `Some(None)`: it has none.
    fn sparse(&mut self, slot: u32) -> Option<Option<SparseVector>> {
        if self.file.length(tag::SPARSE_OFFSETS).is_none() {
            return Some(None);
        }
        let [start, end] = self.pair_u64(tag::SPARSE_OFFSETS, slot)?;
        if start == end {
            return Some(None);
        }
        let span = start.checked_mul(4)?..end.checked_mul(4)?;
        let indices = u32s(self.file.bytes(tag::SPARSE_INDICES, span.clone())?);
        let values = f32s(self.file.bytes(tag::SPARSE_VALUES, span)?);
        SparseVector::new(indices, values).ok().map(Some)
    }

    fn metadata(&mut self, slot: u32) -> Option<Metadata> {
        let [start, end] = self.pair_u64(tag::METADATA_OFFSETS, slot)?;
        let bytes = self.file.bytes(tag::METADATA, start..end)?;
        Some(MetadataView::parse(bytes).ok()?.to_metadata())
    }

    fn pair_u32(&mut self, tag: u32, slot: u32) -> Option<[u32; 2]> {
        let at = u64::from(slot) * 4;
        u32s(self.file.bytes(tag, at..at + 8)?).try_into().ok()
    }

    fn pair_u64(&mut self, tag: u32, slot: u32) -> Option<[u64; 2]> {
        let at = u64::from(slot) * 8;
        let bytes = self.file.bytes(tag, at..at + 16)?;
        let (first, second) = bytes.split_at(8);
        Some([u64::from_le_bytes(first.try_into().ok()?), u64::from_le_bytes(second.try_into().ok()?)])
    }
}

/// A section, if every byte of it is as it was written.
fn whole(file: &mut RescuedFile, tag: u32) -> Option<Vec<u8>> {
    let length = file.length(tag)?;
    Some(file.bytes(tag, 0..length)?.to_vec())
}

fn u32s(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number)).collect()
}

fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect()
}

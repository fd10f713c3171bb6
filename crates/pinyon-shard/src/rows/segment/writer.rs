//! Writes rows that are already in (namespace, id) order into a segment file.

use super::{
    kills,
    layout::{ID_BYTES_TOTAL_MAX, ROWS_MAX, tag},
    sparse,
};
use crate::{
    ShardError,
    rows::{
        memtable::Kills,
        row::{NamespaceRows, Row},
    },
};
use pinyon_storage::{
    io::SharedIo,
    segment::{SegmentHead, SegmentWriter, unfinished_path},
};
use std::path::Path;

/// Rows to write. They are visited once per section, so visiting must be cheap and give the same rows each time.
pub(crate) trait RowSource {
    /// The namespaces in order of their numbers, with their rows.
    fn namespaces(&self) -> &[NamespaceRows];
    /// Number of rows.
    fn len(&self) -> usize;
    /// Row `at` of `0..len()`.
    fn row(&self, at: usize) -> Row<'_>;
}

/// Writes a segment file and makes it durable; it is not part of the shard until the manifest names it.
///
/// # Errors
/// More rows or id bytes than a segment can hold; otherwise the disk's.
pub(crate) fn write_segment(
    io: &SharedIo,
    path: &Path,
    head: SegmentHead,
    source: &dyn RowSource,
    dead_elsewhere: &Kills,
) -> Result<(), ShardError> {
    check_size(head, source)?;
    remove_leftover(io, path)?;
    let mut writer = SegmentWriter::create(io, path, head)?.with_blocks();
    write_namespaces(&mut writer, source.namespaces())?;
    writer.begin(tag::VECTORS)?;
    for row in rows(source) {
        writer.write(as_bytes(row.vector))?;
    }
    writer.begin(tag::INVERSE_NORMS)?;
    for row in rows(source) {
        writer.write(&row.inverse_norm.to_le_bytes())?;
    }
    writer.begin(tag::SEQS)?;
    for row in rows(source) {
        writer.write(&row.seq.get().to_le_bytes())?;
    }
    write_ids(&mut writer, source)?;
    write_metadata(&mut writer, source)?;
    sparse::write(&mut writer, source)?;
    writer.begin(tag::KILLS)?;
    writer.write(&kills::encode(dead_elsewhere))?;
    writer.finish()?;
    Ok(())
}

/// A try that failed may have left its unfinished file.
pub(crate) fn remove_leftover(io: &SharedIo, path: &Path) -> Result<(), ShardError> {
    let leftover = unfinished_path(path);
    if io.exists(&leftover).map_err(ShardError::io(&leftover))? {
        io.remove(&leftover).map_err(ShardError::io(&leftover))?;
    }
    Ok(())
}

fn rows(source: &dyn RowSource) -> impl Iterator<Item = Row<'_>> {
    (0..source.len()).map(|at| source.row(at))
}

/// The storage crate asserts at compile time that memory is little-endian, as files are.
fn as_bytes(vector: &[f32]) -> &[u8] {
    bytemuck::cast_slice(vector)
}

fn check_size(head: SegmentHead, source: &dyn RowSource) -> Result<(), ShardError> {
    let id_bytes: u64 = rows(source).map(|row| row.id.len() as u64).sum();
    if source.len() > ROWS_MAX as usize || id_bytes > ID_BYTES_TOTAL_MAX {
        return Err(ShardError::TooManyRows { segment: head.segment, rows_max: ROWS_MAX });
    }
    Ok(())
}

fn write_namespaces(writer: &mut SegmentWriter, namespaces: &[NamespaceRows]) -> Result<(), ShardError> {
    writer.begin(tag::NAMESPACES)?;
    for entry in namespaces {
        let name_bytes = u32::try_from(entry.namespace.name().as_str().len())
            .expect("invariant: names have at most 512 bytes");
        writer.write(&entry.namespace.id().get().to_le_bytes())?;
        writer.write(&entry.namespace.epoch().get().to_le_bytes())?;
        for number in [entry.slots.start, entry.slots.end, name_bytes, 0] {
            writer.write(&number.to_le_bytes())?;
        }
    }
    writer.begin(tag::NAMES)?;
    for entry in namespaces {
        writer.write(entry.namespace.name().as_str().as_bytes())?;
    }
    Ok(())
}

fn write_ids(writer: &mut SegmentWriter, source: &dyn RowSource) -> Result<(), ShardError> {
    writer.begin(tag::ID_OFFSETS)?;
    let mut offset = 0_u32;
    writer.write(&offset.to_le_bytes())?;
    for row in rows(source) {
        offset += u32::try_from(row.id.len()).expect("invariant: ids have at most 512 bytes");
        writer.write(&offset.to_le_bytes())?;
    }
    writer.begin(tag::IDS)?;
    for row in rows(source) {
        writer.write(row.id.as_bytes())?;
    }
    Ok(())
}

fn write_metadata(writer: &mut SegmentWriter, source: &dyn RowSource) -> Result<(), ShardError> {
    let mut encoded = Vec::new();
    let mut offset = 0_u64;
    writer.begin(tag::METADATA_OFFSETS)?;
    writer.write(&offset.to_le_bytes())?;
    for row in rows(source) {
        encoded.clear();
        row.metadata.encode(&mut encoded);
        offset += encoded.len() as u64;
        writer.write(&offset.to_le_bytes())?;
    }
    writer.begin(tag::METADATA)?;
    for row in rows(source) {
        encoded.clear();
        row.metadata.encode(&mut encoded);
        writer.write(&encoded)?;
    }
    Ok(())
}

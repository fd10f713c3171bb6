//! Whether the sections of a segment fit each other: afterwards no offset in them leads astray.

use super::layout::{ROWS_MAX, tag};
use crate::{Namespace, rows::row::NamespaceRows};
use pinyon_storage::{
    bytes::Reader,
    metadata_bytes::MetadataView,
    segment::{SegmentError, SegmentFile},
};
use pinyon_types::{Epoch, NamespaceId, RecordId, TenantId};
use std::{ops::Range, sync::Arc};

/// Rows of each namespace of a segment file.
///
/// # Errors
/// Entries that do not read.
pub(crate) fn namespace_rows(file: &SegmentFile) -> Result<Vec<u32>, String> {
    Ok(read_namespaces(file).map_err(say)??.iter().map(NamespaceRows::len).collect())
}

/// The namespaces, or what of them does not read.
///
/// # Errors
/// Bytes that are not as they were written, the system's.
pub(super) fn read_namespaces(
    file: &SegmentFile,
) -> Result<Result<Vec<NamespaceRows>, String>, SegmentError> {
    Ok(read_namespaces_of(file.section(tag::NAMESPACES)?, file.section(tag::NAMES)?))
}

#[allow(clippy::needless_pass_by_value)] // what map_err hands over
fn say(error: SegmentError) -> String {
    error.to_string()
}

/// Reads the namespaces of a segment from the two sections that tell them.
///
/// # Errors
/// Entries that do not read.
pub(crate) fn read_namespaces_of(entries: &[u8], names: &[u8]) -> Result<Vec<NamespaceRows>, String> {
    let (mut entries, mut names) = (Reader::new(entries), Reader::new(names));
    let mut namespaces: Vec<NamespaceRows> = Vec::new();
    while !entries.is_empty() {
        let entry = read_namespace(&mut entries, &mut names)?;
        let (slot, id) =
            namespaces.last().map_or((0, None), |last| (last.slots.end, Some(last.namespace.id())));
        if entry.slots.start != slot || entry.slots.end <= slot || id >= Some(entry.namespace.id()) {
            return Err(format!("namespace {} is out of order", entry.namespace.id()));
        }
        namespaces.push(entry);
    }
    names.finish().map_err(|error| error.to_string())?;
    Ok(namespaces)
}

fn read_namespace(entries: &mut Reader<'_>, names: &mut Reader<'_>) -> Result<NamespaceRows, String> {
    let mut read = || {
        let id = NamespaceId::new(entries.u64()?);
        let epoch = Epoch::new(entries.u64()?);
        let (start, end) = (entries.u32()?, entries.u32()?);
        let name_bytes = entries.u32()? as usize;
        entries.u32()?;
        Ok::<_, pinyon_storage::bytes::BytesError>((id, epoch, start..end, names.str(name_bytes)?))
    };
    let (id, epoch, slots, name) = read().map_err(|error| error.to_string())?;
    let name = TenantId::new(name).map_err(|error| error.to_string())?;
    Ok(NamespaceRows { namespace: Namespace::routed(id, name, epoch), slots, uses: Arc::default() })
}

/// Checks that every section has the length that the rows demand; reads none of them.
pub(super) fn check_lengths(file: &SegmentFile, rows: u32, dim: usize) -> Result<(), String> {
    if rows > ROWS_MAX {
        return Err(format!("{rows} rows are more than a segment can hold"));
    }
    let rows = rows as usize;
    let lengths = [
        ("vectors", tag::VECTORS, size_of::<f32>(), rows * dim),
        ("inverse norms", tag::INVERSE_NORMS, size_of::<f32>(), rows),
        ("log positions", tag::SEQS, size_of::<u64>(), rows),
        ("id offsets", tag::ID_OFFSETS, size_of::<u32>(), rows + 1),
        ("metadata offsets", tag::METADATA_OFFSETS, size_of::<u64>(), rows + 1),
    ];
    for (what, tag, width, expected) in lengths {
        let bytes = file.length(tag).ok_or_else(|| format!("no section {tag}, of {what}"))?;
        if bytes != expected as u64 * width as u64 {
            return Err(format!("{bytes} bytes of {what} where {expected} of {width} belong"));
        }
    }
    Ok(())
}

/// Checks of some rows that offsets ascend, ids are texts, metadata decodes.
pub(super) fn check_rows(file: &SegmentFile, rows: Range<usize>) -> Result<(), String> {
    check_ids(file, rows.clone())?;
    check_metadata(file, rows)
}

/// Checks that ids and metadata end where their sections end.
pub(super) fn check_ends(file: &SegmentFile, rows: usize) -> Result<(), String> {
    let ids = file.part::<u32>(tag::ID_OFFSETS, rows..rows + 1).map_err(say)?;
    if ids.first().copied().map(u64::from) != file.length(tag::IDS) {
        return Err("the ids do not end where their section ends".into());
    }
    let metadata = file.part::<u64>(tag::METADATA_OFFSETS, rows..rows + 1).map_err(say)?;
    if metadata.first().copied() != file.length(tag::METADATA) {
        return Err("the metadata do not end where their section ends".into());
    }
    Ok(())
}

fn check_ids(file: &SegmentFile, rows: Range<usize>) -> Result<(), String> {
    let offsets = file.part::<u32>(tag::ID_OFFSETS, rows.start..rows.end + 1).map_err(say)?;
    let bytes = file.section(tag::IDS).map_err(say)?;
    let mut spans = rows.zip(offsets.windows(2));
    let bad = spans.find(|(_, span)| {
        let id = bytes.get(span[0] as usize..span[1] as usize);
        let id = id.and_then(|id| std::str::from_utf8(id).ok());
        id.is_none_or(|id| RecordId::check(id).is_err())
    });
    bad.map_or(Ok(()), |(row, _)| Err(format!("the id of row {row} is not an id")))
}

fn check_metadata(file: &SegmentFile, rows: Range<usize>) -> Result<(), String> {
    let offsets = file.part::<u64>(tag::METADATA_OFFSETS, rows.start..rows.end + 1).map_err(say)?;
    let bytes = file.section(tag::METADATA).map_err(say)?;
    for (row, span) in rows.zip(offsets.windows(2)) {
        let metadata = usize::try_from(span[0])
            .ok()
            .zip(usize::try_from(span[1]).ok())
            .and_then(|(start, end)| bytes.get(start..end))
            .ok_or_else(|| format!("the metadata of row {row} lies outside its section"))?;
        MetadataView::parse(metadata).map_err(|error| format!("the metadata of row {row}: {error}"))?;
    }
    Ok(())
}

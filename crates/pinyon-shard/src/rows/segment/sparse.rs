//! Sparse vectors in a segment: row by row as they were written, and inverted into posting lists per namespace.

use super::{layout::tag, writer::RowSource};
use crate::ShardError;
use pinyon_index::{Inverted, PostingLists, SparseRows, Term, invert};
use pinyon_storage::segment::{SegmentError, SegmentFile, SegmentWriter};
use pinyon_types::SparseRef;
use std::ops::Range;

/// Writes the sections of sparse vectors, if any row has one.
pub(super) fn write(writer: &mut SegmentWriter, source: &dyn RowSource) -> Result<(), ShardError> {
    let rows = || (0..source.len()).map(|at| source.row(at).sparse);
    if rows().all(|row| row.indices.is_empty()) {
        return Ok(());
    }
    let mut offset = 0_u64;
    writer.begin(tag::SPARSE_OFFSETS)?;
    writer.write(&offset.to_le_bytes())?;
    for row in rows() {
        offset += row.indices.len() as u64;
        writer.write(&offset.to_le_bytes())?;
    }
    writer.begin(tag::SPARSE_INDICES)?;
    for row in rows() {
        writer.write(bytemuck::cast_slice(row.indices))?;
    }
    writer.begin(tag::SPARSE_VALUES)?;
    for row in rows() {
        writer.write(bytemuck::cast_slice(row.values))?;
    }
    write_lists(writer, source)
}

/// One namespace's lists are in memory at a time.
fn write_lists(writer: &mut SegmentWriter, source: &dyn RowSource) -> Result<(), ShardError> {
    let mut terms: Vec<Term> = Vec::new();
    let mut first_lists = vec![0_u64];
    writer.begin(tag::POSTINGS)?;
    for entry in source.namespaces() {
        let Inverted { terms: own, postings } =
            invert(entry.slots.clone(), |slot| source.row(slot as usize).sparse);
        writer.write(bytemuck::cast_slice(&postings))?;
        terms.extend(own);
        first_lists.push(terms.len() as u64);
    }
    writer.begin(tag::FIRST_LISTS)?;
    writer.write(bytemuck::cast_slice(&first_lists))?;
    writer.begin(tag::LIST_INDICES)?;
    for term in &terms {
        writer.write(&term.index.to_le_bytes())?;
    }
    let mut start = 0_u64;
    writer.begin(tag::LIST_STARTS)?;
    writer.write(&start.to_le_bytes())?;
    for term in &terms {
        start += term.rows;
        writer.write(&start.to_le_bytes())?;
    }
    writer.begin(tag::LIST_BOUNDS)?;
    for term in &terms {
        writer.write(bytemuck::cast_slice(&[term.least, term.greatest]))?;
    }
    Ok(())
}

/// A row's sparse vector; empty if it has none.
///
/// # Errors
/// Bytes that are not as they were written, the system's.
pub(super) fn row(file: &SegmentFile, at: usize) -> Result<SparseRef<'_>, SegmentError> {
    let [from, to] = *file.part::<u64>(tag::SPARSE_OFFSETS, at..at + 2)? else {
        return Ok(SparseRef::default());
    };
    let span = from as usize..to as usize;
    let indices = file.part(tag::SPARSE_INDICES, span.clone())?;
    Ok(SparseRef { indices, values: file.part(tag::SPARSE_VALUES, span)? })
}

/// All rows' sparse vectors, of which those of some rows are verified; empty if none has one.
///
/// # Errors
/// As [`row`].
pub(super) fn rows(file: &SegmentFile, some: Range<usize>) -> Result<SparseRows<'_>, SegmentError> {
    if let (Some(from), Some(to)) = ends(file.part::<u64>(tag::SPARSE_OFFSETS, some.start..some.end + 1)?) {
        file.part::<u32>(tag::SPARSE_INDICES, from..to)?;
        file.part::<f32>(tag::SPARSE_VALUES, from..to)?;
    }
    Ok(SparseRows {
        offsets: file.raw(tag::SPARSE_OFFSETS)?,
        indices: file.raw(tag::SPARSE_INDICES)?,
        values: file.raw(tag::SPARSE_VALUES)?,
    })
}

/// Where the first of some spans begins, and the last one ends.
fn ends(offsets: &[u64]) -> (Option<usize>, Option<usize>) {
    (offsets.first().map(|&from| from as usize), offsets.last().map(|&to| to as usize))
}

/// The posting lists of the namespace that comes `at`-th; empty if no row of the segment has a sparse vector.
///
/// # Errors
/// As [`row`].
pub(super) fn lists(file: &SegmentFile, at: usize) -> Result<PostingLists<'_>, SegmentError> {
    let [from, to] = *file.part::<u64>(tag::FIRST_LISTS, at..at + 2)? else {
        return Ok(PostingLists::default());
    };
    let (from, to) = (from as usize, to as usize);
    let starts = file.part(tag::LIST_STARTS, from..to + 1)?;
    if let (Some(from), Some(to)) = ends(starts) {
        file.part::<[u32; 2]>(tag::POSTINGS, from..to)?;
    }
    Ok(PostingLists {
        indices: file.part(tag::LIST_INDICES, from..to)?,
        starts,
        bounds: file.part(tag::LIST_BOUNDS, from..to)?,
        postings: file.raw(tag::POSTINGS)?,
    })
}

/// Checks that the sections fit each other and the rows, so that nothing read from them can lie outside.
pub(super) fn check(file: &SegmentFile, namespaces: &[Range<u32>]) -> Result<(), String> {
    if file.length(tag::SPARSE_OFFSETS).is_none() {
        let others = tag::SPARSE_INDICES..=tag::LIST_BOUNDS;
        return match file.sections().find(|(tag, _)| others.contains(tag)) {
            Some((tag, _)) => {
                Err(format!("section {tag} is of sparse vectors, of which there is no first one"))
            }
            None => Ok(()),
        };
    }
    let rows = namespaces.last().map_or(0, |slots| slots.end as usize);
    let components = check_rows(file, rows)?;
    check_lists(file, namespaces, components)
}

/// Returns how many components all rows have.
fn check_rows(file: &SegmentFile, rows: usize) -> Result<usize, String> {
    let offsets = file.u64s(tag::SPARSE_OFFSETS).map_err(say)?;
    let indices = file.u32s(tag::SPARSE_INDICES).map_err(say)?;
    let values = file.f32s(tag::SPARSE_VALUES).map_err(say)?;
    spans(offsets, rows, indices.len(), "sparse offsets")?;
    if values.len() != indices.len() || values.iter().any(|value| !value.is_finite()) {
        return Err("the weights of sparse vectors are not one finite number for each index".into());
    }
    if !ascends(offsets, indices) {
        return Err("the indices of a sparse vector do not ascend".into());
    }
    Ok(indices.len())
}

fn check_lists(file: &SegmentFile, namespaces: &[Range<u32>], components: usize) -> Result<(), String> {
    let first_lists = file.u64s(tag::FIRST_LISTS).map_err(say)?;
    let indices = file.u32s(tag::LIST_INDICES).map_err(say)?;
    let starts = file.u64s(tag::LIST_STARTS).map_err(say)?;
    let bounds = file.f32_pairs(tag::LIST_BOUNDS).map_err(say)?;
    let postings = file.u32_pairs(tag::POSTINGS).map_err(say)?;
    spans(first_lists, namespaces.len(), indices.len(), "first posting lists")?;
    spans(starts, indices.len(), postings.len(), "starts of posting lists")?;
    if bounds.len() != indices.len() || postings.len() != components {
        return Err("posting lists do not fit their bounds, or the sparse vectors".into());
    }
    if !ascends(first_lists, indices) {
        return Err("posting lists are out of order".into());
    }
    for (slots, span) in namespaces.iter().zip(first_lists.windows(2)) {
        let (from, to) = (span[0] as usize, span[1] as usize);
        for (list, bounds) in starts[from..=to].windows(2).zip(&bounds[from..to]) {
            check_list(&postings[list[0] as usize..list[1] as usize], *bounds, slots)?;
        }
    }
    Ok(())
}

#[allow(clippy::needless_pass_by_value)] // what map_err hands over
fn say(error: SegmentError) -> String {
    error.to_string()
}

fn check_list(list: &[[u32; 2]], [least, greatest]: [f32; 2], slots: &Range<u32>) -> Result<(), String> {
    let is_inside =
        |[slot, bits]: &[u32; 2]| slots.contains(slot) && (least..=greatest).contains(&f32::from_bits(*bits));
    if list.iter().all(is_inside) && list.windows(2).all(|pair| pair[0][0] < pair[1][0]) {
        return Ok(());
    }
    Err("a posting list is out of order, or has a row or a weight that does not belong to it".into())
}

/// Checks offsets: `count` spans from 0 to `total` without a step back.
fn spans(offsets: &[u64], count: usize, total: usize, what: &str) -> Result<(), String> {
    let fits = offsets.len() == count + 1
        && offsets.first() == Some(&0)
        && offsets.last() == Some(&(total as u64))
        && offsets.is_sorted();
    if fits { Ok(()) } else { Err(format!("the {what} do not fit what they point into")) }
}

/// Whether the numbers of every span ascend; the spans were checked.
fn ascends(offsets: &[u64], numbers: &[u32]) -> bool {
    let does =
        |span: &[u64]| numbers[span[0] as usize..span[1] as usize].windows(2).all(|pair| pair[0] < pair[1]);
    offsets.windows(2).all(does)
}

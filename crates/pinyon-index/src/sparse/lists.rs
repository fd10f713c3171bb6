//! Views over posting lists and over the rows they were made from.

use pinyon_types::SparseRef;
use std::ops::Range;

/// A row and the bits of its weight (f32).
pub type Posting = [u32; 2];

/// The weight in a posting.
pub(super) fn weight(posting: Posting) -> f64 {
    f64::from(f32::from_bits(posting[1]))
}

/// The posting lists of one set of rows, in order of their indices.
#[derive(Debug, Clone, Copy, Default)]
pub struct PostingLists<'a> {
    /// Which indices have a list, ascending.
    pub indices: &'a [u32],
    /// Where each list begins in `postings`, and where the last one ends: one more than there are lists.
    pub starts: &'a [u64],
    /// Least and greatest weight of each list.
    pub bounds: &'a [[f32; 2]],
    /// All lists; within one, rows ascend.
    pub postings: &'a [Posting],
}

/// One list.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<'a> {
    pub(super) postings: &'a [Posting],
    pub(super) least: f32,
    pub(super) greatest: f32,
}

impl<'a> PostingLists<'a> {
    /// The list of an index, if any row has it.
    pub(super) fn list(&self, index: u32) -> Option<List<'a>> {
        let at = self.indices.binary_search(&index).ok()?;
        let (from, to) = (*self.starts.get(at)? as usize, *self.starts.get(at + 1)? as usize);
        let [least, greatest] = *self.bounds.get(at)?;
        Some(List { postings: self.postings.get(from..to)?, least, greatest })
    }
}

/// Sparse vectors of rows, by slot.
#[derive(Debug, Clone, Copy, Default)]
pub struct SparseRows<'a> {
    /// Where each row's components begin, and where the last one's end: one more than rows. Empty if no row has any.
    pub offsets: &'a [u64],
    /// Indices, row after row.
    pub indices: &'a [u32],
    /// Weights, row after row.
    pub values: &'a [f32],
}

impl<'a> SparseRows<'a> {
    /// The components of a row; none if it has no sparse vector.
    pub fn row(&self, slot: u32) -> SparseRef<'a> {
        let at = slot as usize;
        let (Some(from), Some(to)) = (self.offsets.get(at), self.offsets.get(at + 1)) else {
            return SparseRef::default();
        };
        let span = *from as usize..*to as usize;
        SparseRef { indices: &self.indices[span.clone()], values: &self.values[span] }
    }
}

/// Adds up products with a query for one range of rows after another.
#[derive(Debug)]
pub struct Window<'a> {
    /// What is left of the query's lists, in order of their indices, each with the query's weight.
    lists: Vec<(f64, &'a [Posting])>,
}

impl<'a> Window<'a> {
    /// At the first row.
    pub fn new(query: SparseRef<'_>, lists: PostingLists<'a>) -> Self {
        let weighted = query.indices.iter().zip(query.values);
        let found =
            weighted.filter_map(|(index, value)| Some((f64::from(*value), lists.list(*index)?.postings)));
        Self { lists: found.collect() }
    }

    /// Puts the products of these rows into `sums`, which has a place for each. Ranges must ascend from call to call.
    /// Returns how many postings it read.
    pub fn sums(&mut self, slots: Range<u32>, sums: &mut [f64]) -> u64 {
        sums.fill(0.0);
        let mut read = 0;
        for (query, list) in &mut self.lists {
            let skipped = list.partition_point(|posting| posting[0] < slots.start);
            let length = list[skipped..].partition_point(|posting| posting[0] < slots.end);
            for posting in &list[skipped..skipped + length] {
                sums[(posting[0] - slots.start) as usize] += *query * weight(*posting);
            }
            *list = &list[skipped + length..];
            read += length as u64;
        }
        read
    }
}

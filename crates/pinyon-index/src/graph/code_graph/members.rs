//! Rows that others stand for: codes cannot tell them apart, and a graph that linked them all would be one crowd that leads nowhere.

use super::links::Links;
use std::ops::Range;

/// Who stands for whom: the rows of each one that stands for others, one after the other. Takes no room where nobody was absorbed.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// In order; the rows of `owners[at]` are `rows[ends[at - 1]..ends[at]]`.
    owners: Vec<u32>,
    ends: Vec<u32>,
    rows: Vec<u32>,
}

impl Members {
    pub(super) fn of(links: &Links, rows: usize) -> Self {
        let mut pairs: Vec<(u32, u32)> =
            (0..rows as u32).filter_map(|row| Some((links.owner(row)?, row))).collect();
        pairs.sort_unstable();
        let mut members = Self::default();
        for (owner, row) in pairs {
            if members.owners.last() != Some(&owner) {
                members.owners.push(owner);
                members.ends.push(0);
            }
            members.rows.push(row);
            if let Some(end) = members.ends.last_mut() {
                *end = members.rows.len() as u32;
            }
        }
        members
    }

    /// The rows that one stands for, itself not among them.
    pub(super) fn of_row(&self, row: u32) -> &[u32] {
        self.owners.binary_search(&row).map_or(&[], |at| &self.rows[self.range(at)])
    }

    fn range(&self, at: usize) -> Range<usize> {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        begin as usize..self.ends[at] as usize
    }

    /// How many rows were absorbed.
    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        (self.owners.len() + self.ends.len() + self.rows.len()) * size_of::<u32>()
    }
}

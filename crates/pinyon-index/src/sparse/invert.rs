//! From rows to posting lists.

use super::lists::Posting;
use pinyon_types::SparseRef;
use std::{collections::BTreeMap, ops::Range};

/// One list: its index, how long it is, and between which weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
    /// The index.
    pub index: u32,
    /// Rows that have it.
    pub rows: u64,
    /// The least weight.
    pub least: f32,
    /// The greatest weight.
    pub greatest: f32,
}

/// Posting lists, one after the other in order of their indices.
#[derive(Debug, Default)]
pub struct Inverted {
    /// What lists there are.
    pub terms: Vec<Term>,
    /// All lists.
    pub postings: Vec<Posting>,
}

/// Makes the posting lists of some rows. Memory: 8 bytes a component, besides the result's own bookkeeping.
pub fn invert<'a>(slots: Range<u32>, row: impl Fn(u32) -> SparseRef<'a>) -> Inverted {
    let mut terms: BTreeMap<u32, Term> = BTreeMap::new();
    for slot in slots.clone() {
        for (index, value) in components(row(slot)) {
            let term = terms.entry(index).or_insert(Term { index, rows: 0, least: value, greatest: value });
            term.rows += 1;
            term.least = term.least.min(value);
            term.greatest = term.greatest.max(value);
        }
    }
    let mut total = 0;
    let mut next: BTreeMap<u32, usize> = BTreeMap::new();
    for term in terms.values() {
        next.insert(term.index, total);
        total += term.rows as usize;
    }
    let mut postings = vec![[0; 2]; total];
    for slot in slots {
        for (index, value) in components(row(slot)) {
            let place = next.get_mut(&index).expect("invariant: every index was counted");
            postings[*place] = [slot, value.to_bits()];
            *place += 1;
        }
    }
    Inverted { terms: terms.into_values().collect(), postings }
}

fn components(row: SparseRef<'_>) -> impl Iterator<Item = (u32, f32)> {
    row.indices.iter().copied().zip(row.values.iter().copied())
}

//! A graph as plain numbers, to be kept somewhere, and put together again from numbers that nobody vouches for.

use super::{
    CodeGraph, ENTRIES, Links,
    links::{NOBODY, owner_in},
    members::Members,
    scratch::Scratches,
};
use crate::graph::{GraphError, GraphOptions};
use pinyon_distance::codes::Int8Rows;
use std::sync::Arc;

/// Rows of a graph: the highest bit of a row's number is a mark while one walks.
const ROWS_MAX: usize = i32::MAX as usize;

/// What a graph is besides the codes it was built on.
#[derive(Debug, Clone, Copy)]
pub struct GraphParts<'a> {
    /// How it was built.
    pub options: GraphOptions,
    /// The rows among which a walk finds its beginning, in the order in which they were put in.
    pub entries: &'a [u32],
    /// [`GraphOptions::places`] links for each row, row after row; `u32::MAX` ends a list that is not full. A first place with the
    /// highest bit set names, in its other bits, the row that stands for this one, which has no links then.
    pub links: &'a [u32],
}

impl CodeGraph {
    /// See [`GraphParts::entries`].
    pub fn entries(&self) -> &[u32] {
        &self.entries
    }

    /// See [`GraphParts::links`].
    pub fn links(&self) -> impl Iterator<Item = u32> {
        self.links.all()
    }

    /// The graph of these parts over the codes it was built on. Whether they are the same codes is the caller's to know
    /// ([`Int8Rows::fingerprint`]): over others a walk ends as well, but finds less. Cost: one pass over the links.
    ///
    /// # Errors
    /// Parts that are not those of a graph of so many rows: a link or an entry that is no row, a row that is linked to
    /// itself, an entry that comes twice, a list that goes on after its end, too many or too few of either, a row for which one
    /// stands that has no links itself.
    pub fn from_parts(codes: Arc<Int8Rows>, parts: GraphParts<'_>) -> Result<Self, GraphError> {
        let places = parts.options.checked()?.places();
        check_links(codes.len(), places, parts.links)?;
        check_entries(codes.len(), places, parts)?;
        let entry_codes = codes.pick(parts.entries);
        let links = Links::copy(places, parts.links);
        Ok(Self {
            members: Members::of(&links, codes.len()),
            links,
            entries: parts.entries.to_vec(),
            entry_codes,
            codes,
            scratches: Scratches::default(),
        })
    }
}

fn check_entries(rows: usize, places: usize, parts: GraphParts<'_>) -> Result<(), GraphError> {
    let entries = parts.entries;
    let owner = |row: usize| owner_in(parts.links[row * places]);
    let linked = (0..rows).filter(|row| owner(*row).is_none()).count();
    expect(entries.len() == ENTRIES.min(linked), "not as many entries as belong to its rows")?;
    let mut sorted = entries.to_vec();
    sorted.sort_unstable();
    expect(sorted.last().is_none_or(|last| (*last as usize) < rows), "an entry is no row")?;
    // One that comes twice would be found twice.
    expect(sorted.windows(2).all(|pair| pair[0] < pair[1]), "an entry comes twice")?;
    expect(entries.iter().all(|entry| owner(*entry as usize).is_none()), "another row stands for an entry")
}

fn check_links(rows: usize, places: usize, links: &[u32]) -> Result<(), GraphError> {
    expect(rows <= ROWS_MAX, "more rows than a graph can have")?;
    expect(rows.checked_mul(places) == Some(links.len()), "not as many links as belong to its rows")?;
    for (row, list) in links.chunks_exact(places).enumerate() {
        if let Some(owner) = owner_in(list[0]) {
            let has_links = |owner: usize| owner < rows && owner_in(links[owner * places]).is_none();
            expect(has_links(owner as usize), "no row with links stands for a row")?;
            expect(list[1..].iter().all(|link| *link == NOBODY), "a list goes on after its end")?;
            continue;
        }
        let end = list.iter().position(|link| *link == NOBODY).unwrap_or(places);
        let (list, rest) = list.split_at(end);
        expect(rest.iter().all(|link| *link == NOBODY), "a list goes on after its end")?;
        expect(list.iter().all(|link| (*link as usize) < rows), "a link leads to no row")?;
        expect(!list.contains(&(row as u32)), "a row is linked to itself")?;
    }
    Ok(())
}

const fn expect(holds: bool, problem: &'static str) -> Result<(), GraphError> {
    if holds { Ok(()) } else { Err(GraphError::Parts { problem }) }
}

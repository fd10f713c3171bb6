//! A graph as plain numbers, to be kept somewhere, and put together again from numbers that nobody vouches for.

use super::{CodeGraph, ENTRIES, Links, links::NOBODY, scratch::Scratches};
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
    /// [`GraphOptions::places`] links for each row, row after row; `u32::MAX` ends a list that is not full.
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
    /// itself, an entry that comes twice, a list that goes on after its end, too many or too few of either.
    pub fn from_parts(codes: Arc<Int8Rows>, parts: GraphParts<'_>) -> Result<Self, GraphError> {
        let places = parts.options.checked()?.places();
        check_entries(codes.len(), parts.entries)?;
        check_links(codes.len(), places, parts.links)?;
        let entry_codes = codes.pick(parts.entries);
        Ok(Self {
            links: Links::copy(places, parts.links),
            entries: parts.entries.to_vec(),
            entry_codes,
            codes,
            scratches: Scratches::default(),
        })
    }
}

fn check_entries(rows: usize, entries: &[u32]) -> Result<(), GraphError> {
    expect(rows <= ROWS_MAX, "more rows than a graph can have")?;
    expect(entries.len() == ENTRIES.min(rows), "not as many entries as belong to its rows")?;
    let mut sorted = entries.to_vec();
    sorted.sort_unstable();
    expect(sorted.last().is_none_or(|last| (*last as usize) < rows), "an entry is no row")?;
    // One that comes twice would be found twice.
    expect(sorted.windows(2).all(|pair| pair[0] < pair[1]), "an entry comes twice")
}

fn check_links(rows: usize, places: usize, links: &[u32]) -> Result<(), GraphError> {
    expect(rows.checked_mul(places) == Some(links.len()), "not as many links as belong to its rows")?;
    for (row, list) in links.chunks_exact(places).enumerate() {
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

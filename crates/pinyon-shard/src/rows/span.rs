//! Where the parts of a segment lie.

use crate::rows::{part::Part, row::NamespaceRows, segment::Segment};
use pinyon_types::NamespaceId;
use std::ops::Range;

/// A part and where its rows lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) part: Part,
    pub(crate) slots: Range<u32>,
}

impl Span {
    pub(crate) fn of(entry: &NamespaceRows) -> Self {
        Self { part: Part::Namespace(entry.namespace.id()), slots: entry.slots.clone() }
    }

    /// The parts of a segment whose namespaces have so many rows.
    pub(crate) fn of_sizes(sizes: &[u32]) -> Vec<Self> {
        let (mut spans, mut end) = (Vec::new(), 0);
        for (number, rows) in sizes.iter().enumerate() {
            let part = Part::Namespace(NamespaceId::new(number as u64));
            spans.push(Self { part, slots: end..end + rows });
            end += rows;
        }
        if sizes.len() > 1 {
            spans.push(Self { part: Part::Whole, slots: 0..end });
        }
        spans
    }

    /// All rows of a segment: those of its namespace if it has only one.
    pub(crate) fn whole(segment: &Segment) -> Self {
        match segment.namespaces() {
            [entry] => Self::of(entry),
            _ => Self { part: Part::Whole, slots: 0..segment.len() },
        }
    }

    /// The rows of a segment that are in a part.
    pub(crate) fn find(segment: &Segment, part: Part) -> Option<Self> {
        let Part::Namespace(id) = part else { return Some(Self::whole(segment)) };
        let entries = segment.namespaces();
        let at = entries.binary_search_by_key(&id, |entry| entry.namespace.id()).ok()?;
        entries.get(at).map(Self::of)
    }

    /// The parts of a segment: each of its namespaces, then all of it if it has several.
    pub(crate) fn all(segment: &Segment) -> impl Iterator<Item = Self> {
        let whole = Some(Self::whole(segment)).filter(|span| span.part == Part::Whole);
        segment.namespaces().iter().map(Self::of).chain(whole)
    }

    pub(crate) const fn len(&self) -> u32 {
        self.slots.end - self.slots.start
    }
}

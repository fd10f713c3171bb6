//! What one page of a target lacks, and what it has too much.

use pinyon_backend::Located;
use pinyon_types::{Record, RecordId, SparseVector};

/// What has to be written to a target so that it holds what the source holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    /// Records that it lacks, or has otherwise.
    pub(super) puts: Vec<Record>,
    /// Records that the source has not.
    pub(super) gone: Vec<RecordId>,
}

impl Difference {
    /// Of two pages in the order of their ids.
    pub(super) fn between(source: &[Located], target: &[Located]) -> Self {
        let (mut difference, mut target) = (Self::default(), target.iter().peekable());
        for wanted in source {
            while let Some(surplus) = target.next_if(|one| one.id_text() < wanted.id_text()) {
                difference.gone.push(surplus.id());
            }
            let found = target.next_if(|one| one.id_text() == wanted.id_text());
            if !found.is_some_and(|found| is_same(wanted, found)) {
                difference.puts.push(wanted.stored().record);
            }
        }
        difference.gone.extend(target.map(Located::id));
        debug_assert!(
            difference.puts.is_sorted_by(|a, b| a.id < b.id),
            "pages are in the order of their ids"
        );
        difference
    }

    /// The ids that it is about.
    pub(super) fn ids(&self) -> impl Iterator<Item = &RecordId> {
        self.puts.iter().map(|record| &record.id).chain(&self.gone)
    }
}

/// Whether two records with one id hold the same, bit for bit; numbers among metadata by their value.
pub(super) fn is_same(a: &Located, b: &Located) -> bool {
    let bits = |components: &[f32], others: &[f32]| {
        let pairs = components.iter().zip(others);
        components.len() == others.len() && { pairs }.all(|(a, b)| a.to_bits() == b.to_bits())
    };
    let sparse = |a: Option<SparseVector>, b: Option<SparseVector>| match (&a, &b) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            a.as_ref().indices == b.as_ref().indices && bits(a.as_ref().values, b.as_ref().values)
        }
        _ => false,
    };
    bits(a.components(), b.components()) && sparse(a.sparse(), b.sparse()) && a.metadata() == b.metadata()
}

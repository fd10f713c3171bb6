//! What a segment has from the graphs of those that it was merged from.

use crate::rows::part::Part;
use pinyon_index::Beginning;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What parts of a segment have inherited: each of them here is to have a graph, though it may be too small for its first one.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    parts: Mutex<HashMap<Part, Option<Beginning>>>,
}

impl Inherited {
    pub(crate) fn keep(&self, part: Part, beginning: Option<Beginning>) {
        self.lock().insert(part, beginning);
    }

    /// Whether a part's rows had a graph before.
    pub(super) fn had_graph(&self, part: Part) -> bool {
        self.lock().contains_key(&part)
    }

    /// Hands out a beginning: nobody needs it twice.
    pub(super) fn take(&self, part: Part) -> Option<Beginning> {
        self.lock().get_mut(&part)?.take()
    }

    #[cfg(test)]
    pub(crate) fn sound_rows(&self) -> Vec<usize> {
        self.lock().values().flatten().map(Beginning::sound_rows).collect()
    }

    /// A map of whole values cannot be left half changed, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, HashMap<Part, Option<Beginning>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

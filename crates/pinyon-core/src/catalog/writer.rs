//! What writes the routing table: the store, and how assignments lie in it. The store holds a base (all assignments at some epoch) and
//! the deltas since; when the deltas have grown to half of the base they are folded into a new one, so that what is written stays in
//! proportion to what changed.

use super::{
    checked::CheckedStore,
    draft::Draft,
    layout::{STATE_KEY, base_key, delta_key, encode_state},
    packing::pack,
    store::{CatalogError, Change},
    view::View,
};
use pinyon_types::Epoch;
use std::collections::VecDeque;

const FOLD_BYTES_MIN: usize = 1 << 20;
/// Values of a new base in one commit, so that no commit grows with the table, and whoever waits for one waits for few.
pub(super) const VALUES_PER_COMMIT: usize = 8;
/// Parts that are removed in one commit.
const REMOVED_PER_COMMIT: usize = 256;

/// Key and bytes of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) key: Vec<u8>,
    pub(super) bytes: usize,
}

/// What of the store the table's own affairs need to know.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// Which base counts.
    pub(super) generation: u64,
    pub(super) next_namespace: u64,
    pub(super) base: Vec<Part>,
    /// Oldest first.
    pub(super) deltas: VecDeque<Part>,
    /// Parts of bases that do not count: of the next one while it is written, of the one before while it is removed.
    pub(super) unnamed: Vec<Part>,
    /// See [`super::layout::REMOVED_KEY`].
    pub(super) removed_since: Option<u64>,
}

/// Who changes the table; one at a time.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) store: CheckedStore,
    pub(super) stored: Stored,
    /// Assignments that changed since `catalog.json` was written.
    pub(super) changes_since_export: usize,
    /// Deltas are not folded before they have this many bytes, however small the base is.
    pub(super) fold_bytes_min: usize,
}

impl Writer {
    pub(super) const fn new(store: CheckedStore, stored: Stored) -> Self {
        Self { store, stored, changes_since_export: 0, fold_bytes_min: FOLD_BYTES_MIN }
    }

    /// Says that what the store holds cannot be.
    pub(super) fn damaged(&self, problem: String) -> CatalogError {
        CatalogError::Damaged { path: self.store.path().to_owned(), problem }
    }

    /// Makes a draft durable, in one commit that takes as much as what it changes.
    pub(super) fn write(&mut self, draft: &mut Draft) -> Result<(), CatalogError> {
        let epoch = draft.epoch();
        let chunks: Vec<Vec<u8>> = pack(draft.changed_tenants()).collect();
        let parts = chunks.iter().enumerate();
        let deltas: Vec<Part> =
            parts.map(|(part, chunk)| Part { key: delta_key(epoch, part), bytes: chunk.len() }).collect();
        let mut changes = draft.take_others();
        let chunks = deltas.iter().zip(chunks);
        changes.extend(chunks.map(|(part, chunk)| Change { key: part.key.clone(), value: Some(chunk) }));
        changes.push(state(self.stored.generation, draft.next_namespace()));
        self.store.commit(&changes, epoch)?;
        self.stored.next_namespace = draft.next_namespace();
        self.stored.deltas.extend(deltas);
        self.changes_since_export += draft.changed_tenants().count();
        Ok(())
    }

    /// Whether the deltas have grown large beside the base.
    pub(super) fn is_fold_due(&self) -> bool {
        bytes_of(&self.stored.deltas) > self.fold_bytes_min.max(bytes_of(&self.stored.base) / 2)
    }

    /// Writes parts of the next base; nothing names them yet.
    pub(super) fn write_base(&mut self, chunks: Vec<Vec<u8>>) -> Result<(), CatalogError> {
        let (generation, first) = (self.stored.generation + 1, self.stored.unnamed.len());
        let parts = chunks.iter().zip(first..);
        let parts: Vec<Part> =
            parts.map(|(chunk, part)| Part { key: base_key(generation, part), bytes: chunk.len() }).collect();
        let changes = parts.iter().zip(chunks);
        let changes = changes.map(|(part, chunk)| Change { key: part.key.clone(), value: Some(chunk) });
        self.store.commit(&changes.collect::<Vec<_>>(), self.store.epoch())?;
        self.stored.unnamed.extend(parts);
        Ok(())
    }

    /// Makes the base that was written count, at an epoch and with other changes.
    pub(super) fn switch_base(&mut self, mut others: Vec<Change>, epoch: Epoch) -> Result<(), CatalogError> {
        let generation = self.stored.generation + 1;
        others.push(state(generation, self.stored.next_namespace));
        self.store.commit(&others, epoch)?;
        self.stored.generation = generation;
        std::mem::swap(&mut self.stored.base, &mut self.stored.unnamed);
        Ok(())
    }

    /// Removes some of the parts that nothing names; says whether any were left.
    pub(super) fn remove_unnamed(&mut self) -> Result<bool, CatalogError> {
        let left = self.stored.unnamed.len().saturating_sub(REMOVED_PER_COMMIT);
        let some = &self.stored.unnamed[left..];
        if some.is_empty() {
            return Ok(false);
        }
        self.store.commit(&removals(some), self.store.epoch())?;
        self.stored.unnamed.truncate(left);
        Ok(true)
    }

    /// Removes some of the oldest deltas, of so many that say nothing which the base does not say; says how many are left of these. What a
    /// crash leaves of them are the last ones, and the last one of each tenant says what the base says.
    pub(super) fn remove_deltas(&mut self, count: usize) -> Result<usize, CatalogError> {
        let some = count.min(REMOVED_PER_COMMIT);
        self.store.commit(&removals(self.stored.deltas.range(..some)), self.store.epoch())?;
        self.stored.deltas.drain(..some);
        Ok(count - some)
    }

    /// Writes everything that a view holds as a new base, at its epoch and with other changes, and removes what was before.
    pub(super) fn fold_all(&mut self, view: &View, mut others: Vec<Change>) -> Result<(), CatalogError> {
        while self.remove_unnamed()? {}
        let mut chunks = pack(view.iter().map(|(tenant, assignment)| (tenant, Some(*assignment)))).peekable();
        while chunks.peek().is_some() {
            self.write_base(chunks.by_ref().take(VALUES_PER_COMMIT).collect())?;
        }
        others.extend(removals(&self.stored.deltas));
        self.switch_base(others, view.epoch)?;
        self.stored.deltas.clear();
        while self.remove_unnamed()? {}
        Ok(())
    }
}

fn state(generation: u64, next_namespace: u64) -> Change {
    Change { key: STATE_KEY.to_vec(), value: Some(encode_state(generation, next_namespace)) }
}

/// Changes that remove parts.
fn removals<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Vec<Change> {
    parts.into_iter().map(|part| Change { key: part.key.clone(), value: None }).collect()
}

/// Bytes of some parts' values.
fn bytes_of<'a>(parts: impl IntoIterator<Item = &'a Part>) -> usize {
    parts.into_iter().map(|part| part.bytes).sum()
}

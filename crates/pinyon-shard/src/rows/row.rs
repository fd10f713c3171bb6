//! A row, wherever it lies, and where a namespace's rows lie.

use crate::{
    Namespace,
    rows::{fields::MetadataRef, uses::Use},
};
use pinyon_types::{SeqNo, SparseRef};
use std::{ops::Range, sync::Arc};

/// One row of a layer, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) id: &'a str,
    pub(crate) vector: &'a [f32],
    pub(crate) inverse_norm: f32,
    /// Without components if it has no sparse vector.
    pub(crate) sparse: SparseRef<'a>,
    pub(crate) seq: SeqNo,
    pub(crate) metadata: MetadataRef<'a>,
}

/// Where a namespace's rows lie in a layer.
#[derive(Debug, Clone)]
pub(crate) struct NamespaceRows {
    pub(crate) namespace: Namespace,
    pub(crate) slots: Range<u32>,
    /// Shared with every copy of the entry.
    pub(crate) uses: Arc<Use>,
}

impl NamespaceRows {
    pub(crate) fn new(namespace: Namespace, rows: Range<usize>) -> Self {
        let slot =
            |row: usize| u32::try_from(row).expect("invariant: segments are built from fewer than 2^32 rows");
        Self { namespace, slots: slot(rows.start)..slot(rows.end), uses: Arc::default() }
    }

    pub(crate) fn len(&self) -> u32 {
        self.slots.end - self.slots.start
    }
}

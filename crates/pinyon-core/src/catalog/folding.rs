//! What keeps the store small and the export new, beside the changes that somebody waits for: each step takes the writer's lock for a
//! commit of a few values. A crash between two steps leaves parts that nothing names, or deltas that say what the base says.

use super::{
    export::{export_head, export_pieces},
    packing::pack,
    routing_table::{RoutingTable, lock},
    store::CatalogError,
    view::View,
    writer::VALUES_PER_COMMIT,
};
use pinyon_storage::io;
use std::sync::Arc;

/// `catalog.json` is written again after this many changes, or a quarter of the table, whichever is more.
const EXPORT_CHANGES_MIN: usize = 1_000;

impl RoutingTable {
    /// Folds deltas that have grown and writes an export that has aged; lets go of the store's files while nobody changes anything. Called
    /// now and then by one thread; what it cannot do loses nothing and is tried again.
    pub(crate) fn rest(&self) {
        // Somebody else is at it.
        let Ok(_one_at_a_time) = self.upkeep.try_lock() else { return };
        if self.takes_changes() {
            if let Err(error) = self.fold_if_due() {
                tracing::warn!(error = %error, "routing table not folded");
            }
            if let Err(error) = self.export_if_due() {
                tracing::warn!(error = %error, "catalog.json not written");
            }
        }
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.store.rest();
        }
    }

    /// Writes `catalog.json`, the copy for people and for moving to another store.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(&self) -> Result<(), CatalogError> {
        let _one_at_a_time = lock(&self.upkeep);
        if lock(&self.writer).changes_since_export == 0 && self.is_exported() {
            return Ok(());
        }
        self.export()
    }

    /// Nobody else changes bases meanwhile: who does holds `upkeep` too.
    fn fold_if_due(&self) -> Result<(), CatalogError> {
        if !lock(&self.writer).is_fold_due() {
            return Ok(());
        }
        self.remove_unnamed()?;
        let (view, mut deltas) = self.now();
        let mut chunks = pack(view.iter().map(|(tenant, assignment)| (tenant, Some(*assignment)))).peekable();
        while chunks.peek().is_some() {
            let some = chunks.by_ref().take(VALUES_PER_COMMIT).collect();
            lock(&self.writer).write_base(some)?;
        }
        let mut writer = lock(&self.writer);
        let epoch = writer.store.epoch();
        writer.switch_base(Vec::new(), epoch)?;
        drop(writer);
        while deltas > 0 {
            deltas = lock(&self.writer).remove_deltas(deltas)?;
        }
        self.remove_unnamed()
    }

    /// The state as it is, and how many deltas led to it.
    fn now(&self) -> (Arc<View>, usize) {
        let writer = lock(&self.writer);
        (self.view.load_full(), writer.stored.deltas.len())
    }

    fn remove_unnamed(&self) -> Result<(), CatalogError> {
        while lock(&self.writer).remove_unnamed()? {}
        Ok(())
    }

    fn export_if_due(&self) -> Result<(), CatalogError> {
        let changes = lock(&self.writer).changes_since_export;
        if changes < EXPORT_CHANGES_MIN.max(self.len() / 4) { Ok(()) } else { self.export() }
    }

    /// Whether the export that is there was made at this epoch, which moves with every change.
    fn is_exported(&self) -> bool {
        let head = export_head(self.epoch());
        let mut found = vec![0; head.len()];
        let file = self.io.open_to_read(&self.export_path, io::Through::Cache);
        file.and_then(|file| file.read_at(&mut found, 0)).is_ok_and(|read| read == head.len())
            && found == head
    }

    /// To be called by one at a time.
    pub(super) fn export(&self) -> Result<(), CatalogError> {
        let path = &self.export_path;
        let before = lock(&self.writer).changes_since_export;
        let view = self.view.load_full();
        let mut pieces = export_pieces(view.sorted(), view.epoch);
        io::write_pieces_atomically(&*self.io, path, &mut pieces)
            .map_err(|error| CatalogError::Store { path: path.clone(), problem: error.to_string() })?;
        lock(&self.writer).changes_since_export -= before;
        Ok(())
    }
}

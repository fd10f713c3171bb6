//! Indexes by the names under which customers know them.

use super::envelope::ControlFailure;
use crate::http::App;
use pinyon_core::Index;
use std::sync::Arc;

/// The index that customers know by this name.
pub(super) fn find(app: &App, name: &str) -> Option<Arc<Index>> {
    app.indexes().get(name).filter(|index| index.is_listed())
}

/// As [`find`].
///
/// # Errors
/// There is none.
pub(super) fn known(app: &App, name: &str) -> Result<Arc<Index>, ControlFailure> {
    let missing = || ControlFailure::new(404, "NOT_FOUND", format!("Index {name} not found."));
    find(app, name).ok_or_else(missing)
}

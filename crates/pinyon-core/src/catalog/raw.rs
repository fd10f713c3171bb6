//! The raw stores by kind.

use super::{
    redb_store::RedbStore,
    sled_store::SledStore,
    store::{CatalogError, CatalogKind, CatalogStore},
};
use pinyon_storage::io::SharedIo;
use std::path::Path;

/// Opens a store of a kind; those that open their files themselves do so on the machine.
pub(super) fn open_raw(
    #[cfg_attr(not(any(test, feature = "testing")), expect(unused_variables))] io: &SharedIo,
    kind: CatalogKind,
    path: &Path,
) -> Result<Box<dyn CatalogStore>, CatalogError> {
    Ok(match kind {
        CatalogKind::Sled => Box::new(SledStore::open(path)?),
        CatalogKind::Redb => Box::new(RedbStore::open(path)?),
        #[cfg(any(test, feature = "testing"))]
        CatalogKind::File => Box::new(super::file_store::FileStore::open(io, path)?),
    })
}

//! Whether there is room: for another index, and on the disk.

use super::{Index, Indexes};
use crate::{EngineError, EngineSettings, ErrorCode, error::NO_DESCRIPTORS};
use pinyon_shard::{DiskBudget, WantedRoom};
use pinyon_storage::io::descriptors_left;
use std::sync::Arc;

/// Descriptors that are kept when indexes are made: for connections, health among them, and background steps.
const DESCRIPTORS_KEPT: u64 = 64;

impl Indexes {
    /// The disk below all of them, if somebody looks at it.
    pub fn disk(&self) -> Option<&Arc<DiskBudget>> {
        self.settings.shard_options.disk.as_ref()
    }

    /// Where room on the disk is scarce: what would make some and finds none to be rewritten in, by index and shard.
    pub fn wanted_room(&self) -> Vec<(String, String, WantedRoom)> {
        let of_index = |index: &Arc<Index>| {
            let name = index.description.name.clone();
            let wanted = index.engine.wanted_room();
            wanted.into_iter().map(move |(shard, wanted)| (name.clone(), shard, wanted))
        };
        self.all().iter().flat_map(of_index).collect()
    }
}

/// Whether another index may be made.
pub(super) fn check(settings: &EngineSettings) -> Result<(), EngineError> {
    check_descriptors()?;
    settings.check_disk()
}

/// Whether another index may be made: connections and background steps want descriptors too.
fn check_descriptors() -> Result<(), EngineError> {
    match descriptors_left() {
        Some(left) if left < DESCRIPTORS_KEPT => {
            let message = format!(
                "the index was not made, because no file descriptor is left for it: {NO_DESCRIPTORS}"
            );
            Err(EngineError::new(ErrorCode::NoDescriptors, message))
        }
        _ => Ok(()),
    }
}

//! Where bytes were met that cannot be: no answer, and a look at the files.

use crate::{Shard, ShardError, suspicion::Implausible};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering,
};

impl Shard {
    /// Does something that reads rows; where that comes upon bytes that cannot be there is no answer.
    pub(crate) fn reading<T>(&self, read: impl FnOnce() -> Result<T, ShardError>) -> Result<T, ShardError> {
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|unwound| {
            self.suspect();
            let path = Implausible::of(&*unwound).map_or(&self.inner.dir, |what| &what.path);
            Err(ShardError::Suspect { path: path.clone() })
        })
    }

    /// Has all of its files read again at the next look.
    pub fn suspect(&self) {
        self.inner.suspect.store(true, Ordering::Release);
    }

    /// Whether bytes were met that cannot be, since this was asked last.
    pub fn take_suspicion(&self) -> bool {
        let state = self.inner.snapshot.load_full();
        let segments = state.layers.iter().filter_map(|view| view.layer.segment());
        let of_shard = self.inner.suspect.swap(false, Ordering::AcqRel);
        // All of them are asked.
        segments.fold(of_shard, |sum, segment| segment.take_suspicion() | sum)
    }
}

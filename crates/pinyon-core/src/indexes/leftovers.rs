//! Directories of indexes against the registry. A crash while an index is made or deleted leaves a directory that no entry
//! names, and it goes. But the registry may also have lost entries: damage to the files of sled or redb can lead it back
//! to an earlier state, which checksums do not tell from the latest. So what cannot be such a leftover is a reason to stop.

use super::{
    IndexDescription, TENANTS_ID, index_dir,
    registry::{Registry, went_back},
};
use crate::{Engine, EngineError, engine::took_writes};
use std::path::{Path, PathBuf};

impl Registry {
    /// Removes what a crash left of indexes that no entry names.
    ///
    /// # Errors
    /// A registry that is older than the directories, with all of them still there; the disk's.
    pub(super) fn remove_leftovers(&self, known: &[IndexDescription]) -> Result<(), EngineError> {
        self.check_files(known)?;
        let failed = |error: std::io::Error| EngineError::io(&self.home, &error);
        let names = self.io.list_dirs(&self.home).map_err(failed)?.into_iter();
        let numbered = names.filter_map(|name| Some((number_of(&name)?, self.home.join(name))));
        let leftovers: Vec<(u64, PathBuf)> =
            numbered.filter(|(id, _)| known.iter().all(|one| one.id != *id)).collect();
        for (id, dir) in &leftovers {
            self.check_leftover(*id, dir)?;
        }
        leftovers.iter().try_for_each(|(_, dir)| self.io.remove_tree(dir)).map_err(failed)
    }

    /// An index has files before it is entered and until after it is struck: one without was struck since.
    fn check_files(&self, known: &[IndexDescription]) -> Result<(), EngineError> {
        for one in known.iter().filter(|one| one.id != TENANTS_ID) {
            let dir = index_dir(&self.home, one.id);
            if !Engine::holds_data_on(&self.io, &dir)? {
                let what = format!("it has index {}, but {} holds no data", one.name, dir.display());
                let way_out = format!("move {} away to go on without any such index", self.home.display());
                return Err(went_back(&self.home, &what, &way_out));
            }
        }
        Ok(())
    }

    /// A number up to the last one that was given belongs to an index that was struck. Beyond it there is only the one
    /// that was being made, and nobody wrote into that.
    fn check_leftover(&self, id: u64, dir: &Path) -> Result<(), EngineError> {
        let is_leftover = id <= self.last_id || (id == self.next_id() && !took_writes(&self.io, dir)?);
        if is_leftover {
            return Ok(());
        }
        let what = format!("it has no index for {}, which is in use", dir.display());
        Err(went_back(&self.home, &what, "move that directory away to go on without its index"))
    }
}

/// The number in the name of an index's directory; other directories are not ours to judge.
fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("index-")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

//! Listing log files, and removing those that nobody needs (SEG-3: the caller has made the floor durable before).

use super::{
    WalError,
    layout::{first_seq_of_name, log_file_name},
};
use crate::io::Io;
use pinyon_types::SeqNo;
use std::path::Path;

/// The first positions of the log files in a directory, ascending.
pub(super) fn list_logs(io: &dyn Io, dir: &Path) -> Result<Vec<SeqNo>, WalError> {
    let names = io.list(dir).map_err(|source| WalError::io(dir, source))?;
    let mut firsts: Vec<SeqNo> = names.iter().filter_map(|name| first_seq_of_name(name)).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// Removes log files whose entries are all at or below `floor`; never the file `keep`. Returns how many went.
///
/// # Errors
/// The system's; some files may be gone, which is harmless.
pub fn remove_logs_below(io: &dyn Io, dir: &Path, floor: SeqNo, keep: &Path) -> Result<usize, WalError> {
    let firsts = list_logs(io, dir)?;
    let mut removed = 0;
    // A log ends where the next one begins. The last one has no end yet, so it always stays.
    for (first_seq, next) in firsts.iter().zip(firsts.iter().skip(1)) {
        let path = dir.join(log_file_name(*first_seq));
        let ends_below = next.get() <= floor.get().saturating_add(1);
        if ends_below && path != keep {
            io.remove(&path).map_err(|source| WalError::io(&path, source))?;
            removed += 1;
        }
    }
    if removed > 0 {
        io.sync_dir(dir).map_err(|source| WalError::io(dir, source))?;
    }
    Ok(removed)
}

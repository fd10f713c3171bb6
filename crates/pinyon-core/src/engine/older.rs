//! Keeping versions out that know less: what they would write among files that they do not understand is damage.

use crate::{EngineError, ErrorCode, Readers, side_files};
use pinyon_storage::io::{LockGuard, SharedIo};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The format of a data directory as a whole that is known.
const FORMAT: u32 = 3;
/// The format of one in which no tenant was ever moved.
const FORMAT_WITHOUT_MOVES: u32 = 2;

/// Refuses a data directory of a later format, before anything of it is opened.
pub(super) fn check_format(io: &SharedIo, data_dir: &Path) -> Result<(), EngineError> {
    let path = format_file(data_dir);
    let Some(bytes) = side_files::read_on(io, &path)? else { return Ok(()) };
    let damaged = || {
        let message = format!(
            "{} does not say which format the data have. Put it back from a backup, or remove it if they are of this \
             version: every other file says its own; nothing was changed",
            path.display()
        );
        EngineError::new(ErrorCode::DataDamaged, message)
    };
    let (format, needs) = parse(&bytes).ok_or_else(damaged)?;
    if format <= FORMAT {
        return Ok(());
    }
    let message = format!(
        "the data in {} have format {format}, which needs pinyon {needs} or later; this is pinyon {}, which knows formats up \
         to {FORMAT}. Nothing was changed",
        data_dir.display(),
        env!("CARGO_PKG_VERSION")
    );
    Err(EngineError::new(ErrorCode::FailedPrecondition, message))
}

/// Says which format a data directory has, if nothing does yet.
pub(crate) fn write_format(io: &SharedIo, data_dir: &Path) -> Result<(), EngineError> {
    let path = format_file(data_dir);
    if side_files::read_on(io, &path)?.is_some() {
        return Ok(());
    }
    let whole = text(FORMAT_WITHOUT_MOVES, env!("CARGO_PKG_VERSION"));
    side_files::write_on(io, &path, whole.as_bytes(), Readers::All)
}

/// Keeps versions out that know of no moves, before there is the first: they would find a tenant's records twice.
pub(super) fn keep_out_of_moves(io: &SharedIo, data_dir: &Path) -> Result<(), EngineError> {
    let path = format_file(data_dir);
    let found = side_files::read_on(io, &path)?;
    if found.as_deref().and_then(parse).is_some_and(|(format, _)| format >= FORMAT) {
        return Ok(());
    }
    side_files::write_on(io, &path, text(FORMAT, env!("CARGO_PKG_VERSION")).as_bytes(), Readers::All)
}

fn format_file(data_dir: &Path) -> PathBuf {
    data_dir.join("FORMAT")
}

fn text(format: u32, needs: &str) -> String {
    format!("pinyon data directory, format {format}, needs pinyon {needs} or later\n")
}

/// The format, and the version that is needed for it. Only what was written is read: a byte that is not as it was would be another number.
fn parse(bytes: &[u8]) -> Option<(u32, &str)> {
    let whole = std::str::from_utf8(bytes).ok()?;
    let rest = whole.strip_prefix("pinyon data directory, format ")?;
    let (format, rest) = rest.split_once(", needs pinyon ")?;
    let needs = rest.strip_suffix(" or later\n")?;
    let format = format.parse().ok()?;
    (text(format, needs) == whole).then_some((format, needs))
}

/// Two locks of one directory.
#[derive(Debug)]
struct Both {
    _old: Arc<dyn LockGuard>,
    _new: Box<dyn LockGuard>,
}

impl LockGuard for Both {}

/// Where the lock of a data directory is. Versions that know of no names lock a file where a directory is now, and do nothing without.
///
/// # Errors
/// The system's.
pub(super) fn lock_file(io: &SharedIo, data_dir: &Path) -> Result<PathBuf, EngineError> {
    let lock = data_dir.join("LOCK");
    Ok(if is_older_lock(io, &lock)? { lock } else { lock.join("held") })
}

fn is_older_lock(io: &SharedIo, lock: &Path) -> Result<bool, EngineError> {
    let is_file = || Ok(io.exists(lock)? && !io.is_dir(lock)?);
    is_file().map_err(|error| EngineError::io(lock, &error))
}

/// Puts a directory in the place of the lock of versions that know of no names, which is held as long as the new one: somebody may have
/// opened it before.
pub(crate) fn keep_older_out(
    io: &SharedIo,
    dir: &Path,
    lock: &mut Arc<dyn LockGuard>,
) -> Result<(), EngineError> {
    let path = dir.join("LOCK");
    if !is_older_lock(io, &path)? {
        return Ok(());
    }
    let failed = |error: std::io::Error| EngineError::io(&path, &error);
    io.remove(&path).map_err(failed)?;
    io.create_dir_all(&path).map_err(failed)?;
    let new = io.lock(&path.join("held")).map_err(failed)?;
    *lock = Arc::new(Both { _old: Arc::clone(lock), _new: new });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_read_as_it_was_written_and_not_otherwise() {
        let whole = text(2, "0.1.0");
        assert_eq!(parse(whole.as_bytes()), Some((2, "0.1.0")));
        for at in 0..whole.len() {
            assert_eq!(parse(&whole.as_bytes()[..at]), None, "cut at {at}");
        }
        let zeros = whole.replace("format 2", "format 02");
        assert_eq!(parse(zeros.as_bytes()), None);
    }
}

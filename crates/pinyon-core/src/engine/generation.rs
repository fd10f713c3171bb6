//! Which generation of its data an engine's directory holds. The first lies in the directory itself; an engine that was
//! emptied goes on in a directory of its own, `generation-<number>`. A small file says which one counts: replacing it is
//! the moment at which everything before is gone.

use crate::{EngineError, ErrorCode, Readers, side_files};
use pinyon_storage::io::SharedIo;
use std::path::{Path, PathBuf};

const WHOLE: &str = "";
/// Follows the number until nothing is left of what came before.
const UNFINISHED: &str = " removing older ones";

/// A generation of an engine's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation {
    number: u64,
    /// Whether nothing is left of older ones, nor of what was remembered of them.
    pub(crate) is_finished: bool,
}

impl Generation {
    /// Reads which generation counts in a directory.
    ///
    /// # Errors
    /// A file that this program did not write, or one whose generation is not there; the system's.
    pub(crate) fn read(io: &SharedIo, dir: &Path) -> Result<Self, EngineError> {
        let path = file_in(dir);
        let Some(bytes) = side_files::read_on(io, &path)? else {
            return Ok(Self { number: 0, is_finished: true });
        };
        let damaged = |problem: &str| {
            let message = format!("{}: {problem}. Put the data directory back from a backup", path.display());
            EngineError::new(ErrorCode::DataDamaged, message)
        };
        let found = parse(&bytes).ok_or_else(|| damaged("does not name a generation of the data"))?;
        let home = found.home(dir);
        let is_there = io.exists(&home).map_err(|error| EngineError::io(&home, &error))?;
        if is_there { Ok(found) } else { Err(damaged("names a generation of the data that is not there")) }
    }

    /// The one that follows, which leaves this one to be removed.
    pub(crate) const fn next(self) -> Self {
        Self { number: self.number + 1, is_finished: false }
    }

    /// The directory that its catalog and shards lie in.
    pub(crate) fn home(self, dir: &Path) -> PathBuf {
        if self.number == 0 { dir.to_owned() } else { dir.join(format!("generation-{:08}", self.number)) }
    }

    /// The directory of which a directory is some generation's home.
    pub(crate) fn dir_of(home: &Path) -> &Path {
        let name = home.file_name().and_then(|name| name.to_str());
        let is_later = name.is_some_and(|name| name.starts_with("generation-"));
        home.parent().filter(|_| is_later).unwrap_or(home)
    }

    /// Makes this the generation that counts; durable when this returns.
    ///
    /// # Errors
    /// The system's; which one counts is not known then.
    pub(crate) fn commit(self, io: &SharedIo, dir: &Path) -> Result<(), EngineError> {
        let rest = if self.is_finished { WHOLE } else { UNFINISHED };
        let text = format!("generation {}{rest}\n", self.number);
        side_files::write_on(io, &file_in(dir), text.as_bytes(), Readers::All)
    }

    /// Removes the generations before this one and remembers that they are gone.
    ///
    /// # Errors
    /// The system's; the next start tries again.
    pub(crate) fn finish(self, io: &SharedIo, dir: &Path) -> Result<(), EngineError> {
        let failed = |error: std::io::Error| EngineError::io(dir, &error);
        io.remove_tree(&dir.join("catalog")).map_err(failed)?;
        let shards = dir.join("shards");
        io.remove_tree(&shards).map_err(failed)?;
        // Versions that know of no generations take shards without a catalog for damage, instead of beginning here anew.
        io.create_dir_all(&shards).map_err(failed)?;
        for (number, home) in numbered(io, dir)? {
            if number < self.number {
                io.remove_tree(&home).map_err(failed)?;
            }
        }
        Self { is_finished: true, ..self }.commit(io, dir)
    }

    /// Removes what a crash left of a generation that never counted.
    ///
    /// # Errors
    /// One that somebody wrote into: the file that says which counts was lost or went back. The system's.
    pub(crate) fn remove_unborn(self, io: &SharedIo, dir: &Path) -> Result<(), EngineError> {
        for (_, home) in numbered(io, dir)?.into_iter().filter(|(number, _)| *number > self.number) {
            if super::took_writes(io, &home)? {
                let message = format!(
                    "{} is older than {}, which is in use: it was lost or went back to an earlier state. Nothing was \
                     removed. Put it back from a backup",
                    file_in(dir).display(),
                    home.display()
                );
                return Err(EngineError::new(ErrorCode::DataDamaged, message));
            }
            io.remove_tree(&home).map_err(|error| EngineError::io(&home, &error))?;
        }
        Ok(())
    }
}

fn file_in(dir: &Path) -> PathBuf {
    dir.join("GENERATION")
}

fn parse(bytes: &[u8]) -> Option<Generation> {
    let text = std::str::from_utf8(bytes).ok()?.strip_prefix("generation ")?.strip_suffix('\n')?;
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(at);
    let is_finished = match rest {
        WHOLE => true,
        UNFINISHED => false,
        _ => return None,
    };
    Some(Generation { number: number.parse().ok()?, is_finished })
}

/// The generations that have directories of their own.
fn numbered(io: &SharedIo, dir: &Path) -> Result<Vec<(u64, PathBuf)>, EngineError> {
    let names = io.list_dirs(dir).map_err(|error| EngineError::io(dir, &error))?;
    let number = |name: &String| name.strip_prefix("generation-")?.parse().ok();
    Ok(names.into_iter().filter_map(|name| Some((number(&name)?, dir.join(name)))).collect())
}

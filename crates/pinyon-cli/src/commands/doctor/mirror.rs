//! A copy of a data directory in which anything may be tried: opening data writes into them. Files that are never written again are links to
//! those of the original; a repair removes or replaces the link.

use anyhow::{Context, anyhow};
use pinyon_core::{DataLock, lock_to_look};
use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// Endings of files that are never written again.
const SEALED: [&str; 4] = ["seg", "graph", "sample", "aside"];
/// What shards that were given up left: nobody reads it.
const UNREAD: &str = "dropped";

/// The copy. Dropping it removes it.
#[derive(Debug)]
pub struct Mirror {
    original: PathBuf,
    dir: PathBuf,
    /// Nobody changes the original meanwhile.
    _lock: Option<DataLock>,
}

impl Mirror {
    /// Copies a data directory, in which no process runs, below the system's directory for temporary files.
    ///
    /// # Errors
    /// Another process has it open; the system's.
    pub fn of(original: &Path) -> anyhow::Result<Self> {
        let original = fs::canonicalize(original).with_context(|| original.display().to_string())?;
        let lock = lock_to_look(&original)?;
        let dir = new_dir().context("the directory for temporary files (TMPDIR)")?;
        let mirror = Self { original, dir, _lock: lock };
        copy(&mirror.original, &mirror.dir).map_err(|error| {
            anyhow!(
                "{}: {error}; a check needs room for logs and catalogs there (TMPDIR)",
                mirror.dir.display()
            )
        })?;
        Ok(mirror)
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What was said of the copy, said of the original.
    pub fn of_original(&self, text: &str) -> String {
        text.replace(&self.dir.display().to_string(), &self.original.display().to_string())
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // What stays lies where the system tidies up.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn new_dir() -> io::Result<PathBuf> {
    for number in 0.. {
        let dir = std::env::temp_dir().join(format!("pinyon-doctor-{}-{number}", std::process::id()));
        match fs::create_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| dir),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        let Some(name) = path.file_name() else { continue };
        let target = to.join(name);
        if kind.is_dir() && name != UNREAD {
            fs::create_dir(&target)?;
            copy(&path, &target)?;
        } else if path.extension().is_some_and(|ending| SEALED.iter().any(|sealed| ending == *sealed)) {
            symlink(&path, &target)?;
        } else if kind.is_file() {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

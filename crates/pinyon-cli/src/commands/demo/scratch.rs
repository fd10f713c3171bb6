//! A new directory that goes when it is no longer needed.

use std::path::{Path, PathBuf};

/// A directory below the system's temporary one.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one.
    ///
    /// # Errors
    /// The system's.
    pub fn new(purpose: &str) -> std::io::Result<Self> {
        for number in 0.. {
            let path = std::env::temp_dir().join(format!("pinyon-{purpose}-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the loop above ends with a directory or an error")
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in a temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

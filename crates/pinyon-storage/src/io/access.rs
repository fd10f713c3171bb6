//! Who may read what is written: the owner alone, or his group too. Nobody else ever may.
//!
//! The process's file mode creation mask says it (umask(2)), because sled and redb open files themselves. The mask belongs to the
//! whole process: whoever starts a process sets it once, before anything is opened.

use rustix::{fs::Mode, process::umask};
use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

/// Who may read the files of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileAccess {
    /// The owner: files 0600, directories 0700.
    #[default]
    Owner,
    /// The owner's group too: files 0640, directories 0750.
    Group,
}

impl FileAccess {
    /// Bits that no file or directory has.
    const fn mask(self) -> u32 {
        match self {
            Self::Owner => 0o077,
            Self::Group => 0o027,
        }
    }
}

/// Makes every file and directory that this process creates from now on as private as this.
pub fn limit_new_files(access: FileAccess) {
    umask(Mode::from_raw_mode(access.mask()));
}

/// Takes from a directory that is there what nobody else should have; returns whether there was something to take. What lies
/// below it is reached through it only. A directory that is not there is no error: it will be made with the right mode.
///
/// # Errors
/// The system's, when the directory is somebody else's above all.
pub fn tighten_dir(dir: &Path, access: FileAccess) -> io::Result<bool> {
    let metadata = match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found?,
    };
    let mode = metadata.permissions().mode() & 0o7777;
    let wanted = mode & !access.mask();
    if mode == wanted {
        return Ok(false);
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(wanted))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_loses_what_others_could_and_keeps_the_rest() {
        let dir = std::env::temp_dir().join(format!("pinyon-access-{}", std::process::id()));
        assert!(!tighten_dir(&dir, FileAccess::Owner).unwrap(), "there is none yet");
        fs::create_dir(&dir).unwrap();
        let mode = || fs::metadata(&dir).unwrap().permissions().mode() & 0o7777;
        for (before, access, after) in [
            (0o755, FileAccess::Group, 0o750),
            (0o755, FileAccess::Owner, 0o700),
            (0o777, FileAccess::Group, 0o750),
            (0o700, FileAccess::Group, 0o700),
        ] {
            fs::set_permissions(&dir, fs::Permissions::from_mode(before)).unwrap();
            assert_eq!(tighten_dir(&dir, access).unwrap(), before != after);
            assert_eq!(mode(), after);
        }
        fs::remove_dir(&dir).unwrap();
    }
}

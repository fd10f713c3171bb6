//! Files that seem to be left over are set aside under another name, not removed: what names them may be older than they are.

use super::{Io, dir_of};
use std::{
    io,
    path::{Path, PathBuf},
};

const ENDING: &str = ".aside";

/// Whether a file was set aside.
pub fn is_aside(name: &str) -> bool {
    name.ends_with(ENDING)
}

/// Sets a file aside in its directory, durably; nothing reads it from then on.
///
/// # Errors
/// The system's.
pub fn set_aside(io: &dyn Io, path: &Path) -> io::Result<()> {
    io.rename(path, &aside_path(io, path)?)?;
    io.sync_dir(dir_of(path))
}

/// A name for a file that is set aside, which no other has.
pub(crate) fn aside_path(io: &dyn Io, path: &Path) -> io::Result<PathBuf> {
    for number in 1_u32.. {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 1 { ENDING.to_owned() } else { format!(".{number}{ENDING}") });
        let aside = PathBuf::from(name);
        if !io.exists(&aside)? {
            return Ok(aside);
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{MemoryIo, write_file_atomically};

    #[test]
    fn what_is_set_aside_is_still_there_also_the_second_time() {
        let (io, path) = (MemoryIo::new(), Path::new("/a/segment.seg"));
        io.create_dir_all(Path::new("/a")).unwrap();
        for bytes in [b"first", b"other"] {
            write_file_atomically(&io, path, bytes).unwrap();
            set_aside(&io, path).unwrap();
        }
        assert_eq!(io.list(Path::new("/a")).unwrap(), ["segment.seg.2.aside", "segment.seg.aside"]);
        assert_eq!(io.read(Path::new("/a/segment.seg.aside")).unwrap(), b"first");
        assert!(is_aside("segment.seg.2.aside") && !is_aside("segment.seg"));
    }
}

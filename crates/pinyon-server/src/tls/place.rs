//! Where the authority of `tls = local` lies: outside the data directory, so that no backup of the data carries the key of an
//! authority that clients trust.

use pinyon_core::{EngineError, ErrorCode, read_side_file};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The authority's directory: the one that was set, else below the user's state. One that an earlier version made in the data
/// directory is used until somebody moves it, because clients trust it.
///
/// # Errors
/// Nothing says where state is kept; files that cannot be looked at.
pub(crate) fn authority_dir(chosen: Option<&Path>, data_dir: &Path) -> Result<PathBuf, EngineError> {
    let state = (std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"));
    let dir = chosen.map(Path::to_owned).or_else(|| state_dir(state.0, state.1));
    let old = data_dir.join("tls");
    let has_old = holds_authority(&old)?;
    match dir {
        Some(dir) if !has_old || dir == old || holds_authority(&dir)? => Ok(dir),
        Some(dir) => {
            tracing::warn!(
                "the certificate authority lies in the data directory and goes with its backups; move it: mkdir -p {new} && \
                 mv {old}/ca.key {old}/ca.pem {new}/",
                new = dir.display(),
                old = old.display()
            );
            Ok(old)
        }
        None if has_old => Ok(old),
        None => {
            let message = "tls = local needs a place for its certificate authority and neither XDG_STATE_HOME nor HOME names \
                           one: set PINYON_TLS_DIR to a directory outside the data directory";
            Err(EngineError::new(ErrorCode::InvalidArgument, message))
        }
    }
}

fn holds_authority(dir: &Path) -> Result<bool, EngineError> {
    Ok(read_side_file(&dir.join("ca.key"))?.is_some() || read_side_file(&dir.join("ca.pem"))?.is_some())
}

/// Where a user's programs keep state (XDG Base Directory Specification; relative paths are ignored, as it says).
fn state_dir(state_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |text: OsString| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    let state = state_home.and_then(absolute);
    let state = state.or_else(|| Some(home.and_then(absolute)?.join(".local/state")));
    Some(state?.join("pinyon/tls"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_where_the_specification_says() {
        let dir = |state: Option<&str>, home: Option<&str>| {
            state_dir(state.map(OsString::from), home.map(OsString::from))
                .map(|dir| dir.display().to_string())
        };
        assert_eq!(dir(Some("/s"), Some("/h")).as_deref(), Some("/s/pinyon/tls"));
        assert_eq!(dir(Some("s"), Some("/h")).as_deref(), Some("/h/.local/state/pinyon/tls"));
        assert_eq!(dir(None, Some("/h")).as_deref(), Some("/h/.local/state/pinyon/tls"));
        assert_eq!(dir(Some(""), Some("")), None);
    }
}

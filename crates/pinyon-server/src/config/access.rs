//! The settings of who is let in, and who may read the files.

use super::{error::ConfigError, partial::Partial};
use crate::{KeyRing, auth::KeySource, strangers::Allowed};
use pinyon_core::FileAccess;
use std::net::SocketAddr;

/// The keys as they are now, and where they come from. Beyond loopback nobody listens without any.
pub(super) fn keys(
    merged: &Partial,
    listens: [Option<SocketAddr>; 2],
) -> Result<(KeyRing, KeySource), ConfigError> {
    let given = merged.api_keys.iter().flatten().map(String::as_str);
    let given = KeyRing::of_texts(given).map_err(|error| ConfigError::of("api_keys", error))?;
    let source = KeySource::new(given, merged.api_keys_file.clone());
    let keys = source.read().map_err(ConfigError)?;
    let mut beyond = listens.into_iter().flatten().filter(|listen| !listen.ip().is_loopback());
    if let Some(listen) = beyond.next().filter(|_| keys.is_open()) {
        return Err(ConfigError(format!(
            "listening on {listen} lets everybody in who can reach it: set PINYON_API_KEYS or PINYON_API_KEYS_FILE, or \
             listen on 127.0.0.1"
        )));
    }
    Ok((keys, source))
}

/// Who may read the files of the data.
pub(super) fn data_access(name: Option<&str>) -> Result<FileAccess, ConfigError> {
    match name {
        None | Some("owner") => Ok(FileAccess::Owner),
        Some("group") => Ok(FileAccess::Group),
        Some(other) => Err(ConfigError(format!("setting data_access: must be owner or group, is {other:?}"))),
    }
}

/// Hosts and origins that are let in beside the server's own.
pub(super) fn allowed(merged: &Partial) -> Result<Allowed, ConfigError> {
    let lists = (merged.allowed_hosts.as_deref(), merged.allowed_origins.as_deref());
    Allowed::read(lists.0.unwrap_or_default(), lists.1.unwrap_or_default()).map_err(ConfigError)
}

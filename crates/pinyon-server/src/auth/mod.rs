//! API keys: where they come from, who is let in, and who tries others.

mod guesses;
mod key_file;
mod key_ring;

pub use key_file::hashed_line;
pub use key_ring::KeyRing;

pub(crate) use guesses::Guesses;

use arc_swap::ArcSwap;
use axum::{http::HeaderMap, response::Response};
use pinyon_core::read_side_file;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Where keys come from: the settings themselves, and a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySource {
    given: KeyRing,
    file: Option<PathBuf>,
}

impl KeySource {
    pub(crate) const fn new(given: KeyRing, file: Option<PathBuf>) -> Self {
        Self { given, file }
    }

    /// The file that is watched, if there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// All keys, as the file is now.
    ///
    /// # Errors
    /// A file that is missing, unreadable or broken; names file, line and remedy, never a key.
    pub(crate) fn read(&self) -> Result<KeyRing, String> {
        let Some(path) = &self.file else { return Ok(self.given.clone()) };
        let named = |problem: String| format!("setting api_keys_file: {}: {problem}", path.display());
        let bytes = read_side_file(path).map_err(|error| format!("setting api_keys_file: {error}"))?;
        let bytes = bytes.ok_or_else(|| named("there is no such file".into()))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| named("it is no text in UTF-8".into()))?;
        Ok(self.given.clone().joined(key_file::read(text).map_err(named)?))
    }
}

/// Who is let in today. Keys may be replaced at any time, but a server that needs keys needs them until it ends.
#[derive(Debug)]
pub(crate) struct Access {
    keys: ArcSwap<KeyRing>,
    source: Mutex<KeySource>,
}

impl Access {
    pub(crate) fn new(keys: KeyRing, source: KeySource) -> Self {
        warn_of(&keys);
        Self { keys: ArcSwap::from_pointee(keys), source: Mutex::new(source) }
    }

    /// Whether a request brings one of the keys.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        self.keys.load().admits(given_key(headers))
    }

    /// Whether nobody needs a key.
    pub(crate) fn is_open(&self) -> bool {
        self.keys.load().is_open()
    }

    /// Where keys come from.
    pub(crate) fn source(&self) -> KeySource {
        self.source.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the keys again, from another source if one is given. On an error the old ones stay.
    ///
    /// # Errors
    /// As [`KeySource::read`]; keys where there were none, or none where there were some.
    pub(crate) fn read_again(&self, other: Option<KeySource>) -> Result<(), String> {
        let source = other.unwrap_or_else(|| self.source());
        let keys = source.read()?;
        if keys.is_open() != self.is_open() {
            return Err("a server does not begin or cease to need keys while it runs; restart it".into());
        }
        warn_of(&keys);
        tracing::info!(keys = keys.count(), "api keys read again");
        self.keys.store(Arc::new(keys));
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = source;
        Ok(())
    }
}

fn warn_of(keys: &KeyRing) {
    for warning in keys.warnings() {
        tracing::warn!(warning, "api keys");
    }
}

/// The key that a request brings: in Pinecone's header, or in the one that everybody else knows. The scheme's name has any
/// case (RFC 9110, 11.1).
pub(crate) fn given_key(headers: &HeaderMap) -> Option<&str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    header("api-key").or_else(|| {
        let (scheme, key) = header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim_start())
    })
}

/// Rides on the refusal of a key, for the door to count who sends them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyRefused {
    /// Short hash of the key; nothing if there was none.
    pub(crate) key: Option<u64>,
}

/// Marks an answer as the refusal of the request's key.
pub(crate) fn mark_refused(headers: &HeaderMap, mut response: Response) -> Response {
    let hash = |key: &str| {
        let hash = blake3::hash(key.as_bytes());
        hash.as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    };
    let key = given_key(headers).filter(|key| !key.is_empty()).map(hash);
    response.extensions_mut().insert(KeyRefused { key });
    response
}

#[cfg(test)]
mod tests;

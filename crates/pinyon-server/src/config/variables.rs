//! Values of settings as environment variables hold them.

use super::error::ConfigError;
use std::{collections::BTreeMap, path::PathBuf};

/// Settings that the reference module knows by the same names, without our prefix.
pub(super) const MODULE_NAMES: [&str; 9] = [
    "NUM_SHARDS",
    "SHARD_PREFIX",
    "VECTOR_DIMENSION",
    "MAX_VECTORS_PER_SHARD",
    "MAX_NAMESPACES_PER_SHARD",
    "OFFLINE",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "EMBEDDER",
];

/// Variables that no setting was read from yet: by our own name, the name that was written and the value.
#[derive(Clone, Default)]
pub(super) struct Variables(pub(super) BTreeMap<String, (String, String)>);

impl Variables {
    /// Takes a setting's value out.
    pub(super) fn take<T: FromText>(&mut self, setting: &str) -> Result<Option<T>, ConfigError> {
        let own = format!("PINYON_{}", setting.to_ascii_uppercase());
        let Some((written, text)) = self.0.remove(&own) else { return Ok(None) };
        T::from_text(&text)
            .map(Some)
            .map_err(|error| ConfigError(format!("environment variable {written}: {error}; it is {text:?}")))
    }

    /// Takes a variable out, whatever it holds.
    pub(super) fn take_as_is(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).map(|(_, text)| text)
    }
}

/// A value as people write it in a variable.
pub(super) trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, String>;
}

macro_rules! from_str {
    ($($kind:ty),+) => {
        $(impl FromText for $kind {
            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error: <Self as std::str::FromStr>::Err| error.to_string())
            }
        })+
    };
}

from_str!(u16, u32, u64, usize, f64, String, PathBuf);

impl FromText for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("must be true or false".into()),
        }
    }
}

/// A list has commas between its items. One that is empty is for the list's reader to refuse: left out, a list of commas
/// would count as not set.
impl FromText for Vec<String> {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.split(',').map(str::trim).map(str::to_owned).collect())
    }
}

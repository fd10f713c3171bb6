//! Settings from environment variables: `PINYON_<SETTING>`, and the reference module's own names.

use super::{ConfigError, Partial, partial::IMAGE_NAMES};
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

/// Variables that belong to the command line, not to these settings.
const OTHER_NAMES: [&str; 3] = ["PINYON_SERVER", "PINYON_CONFIG", "PINYON_API_KEY"];

/// Environment variables, from the process or a `.env` file: by our own name, with the name that was written and the value.
#[derive(Clone, Default)]
pub struct Environment(Variables);

impl Environment {
    /// Takes variables; those with neither our prefix nor a name of the module's are left out. Empty ones count as
    /// not set.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut ours = BTreeMap::new();
        for (name, value) in variables.into_iter().filter(|(_, value)| !value.is_empty()) {
            let is_ours = name.starts_with("PINYON_") && !is_other(&name);
            if MODULE_NAMES.contains(&name.as_str()) {
                // Our own name for the same setting wins.
                ours.entry(format!("PINYON_{name}")).or_insert((name, value));
            } else if is_ours || IMAGE_NAMES.contains(&name.as_str()) {
                ours.insert(name.clone(), (name, value));
            }
        }
        Self(Variables(ours))
    }

    /// The layer of settings that they make.
    ///
    /// # Errors
    /// A value of the wrong kind, or a `PINYON_` name that does not exist.
    pub fn into_partial(mut self) -> Result<Partial, ConfigError> {
        let partial = Partial::from_variables(&mut self.0)?;
        match self.0.0.into_keys().next() {
            Some(unknown) => {
                Err(ConfigError(format!("environment variable {unknown} is not a setting of Pinyon")))
            }
            None => Ok(partial),
        }
    }
}

/// Variables that no setting was read from yet: by our own name, the name that was written and the value.
#[derive(Clone, Default)]
pub(super) struct Variables(BTreeMap<String, (String, String)>);

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

fn is_other(name: &str) -> bool {
    // The test suite's own variables too.
    OTHER_NAMES.contains(&name) || name.starts_with("PINYON_TEST_") || name.starts_with("PINYON_BENCH_")
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

/// Reads the text of a `.env` file: NAME=value lines, quotes around values and `export` before names allowed.
///
/// # Errors
/// A line that is neither empty, a comment, nor an assignment.
pub fn read_dotenv(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let mut variables = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| ConfigError(format!(".env line {number}: expected NAME=value")))?;
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        variables.push((name.trim().to_owned(), quoted.unwrap_or(value).to_owned()));
    }
    Ok(variables)
}

//! Settings from environment variables: `PINYON_<SETTING>`, and the reference module's own names.

use super::{
    error::ConfigError,
    partial::{IMAGE_NAMES, Partial},
    variables::{MODULE_NAMES, Variables},
};
use std::collections::BTreeMap;

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

fn is_other(name: &str) -> bool {
    // The test suite's own variables too.
    OTHER_NAMES.contains(&name) || name.starts_with("PINYON_TEST_") || name.starts_with("PINYON_BENCH_")
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

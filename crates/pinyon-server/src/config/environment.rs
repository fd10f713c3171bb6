//! Settings from environment variables: `PINYON_<SETTING>`, and the reference module's own names.

use super::{ConfigError, Partial};
use std::{collections::BTreeMap, str::FromStr};

/// Names of the reference module and the settings they stand for.
const MODULE_NAMES: [(&str, &str); 9] = [
    ("NUM_SHARDS", "PINYON_NUM_SHARDS"),
    ("SHARD_PREFIX", "PINYON_SHARD_PREFIX"),
    ("VECTOR_DIMENSION", "PINYON_VECTOR_DIMENSION"),
    ("MAX_VECTORS_PER_SHARD", "PINYON_MAX_VECTORS_PER_SHARD"),
    ("MAX_NAMESPACES_PER_SHARD", "PINYON_MAX_NAMESPACES_PER_SHARD"),
    ("OFFLINE", "PINYON_OFFLINE"),
    ("OPENAI_API_KEY", "PINYON_OPENAI_API_KEY"),
    ("OPENAI_BASE_URL", "PINYON_OPENAI_BASE_URL"),
    ("EMBEDDER", "PINYON_EMBEDDER"),
];

/// Names of the vendor's image that serves one index. Whoever has them set for something else is not bothered: their values
/// are looked at in single-index mode only.
const IMAGE_NAMES: [&str; 5] = ["PORT", "DIMENSION", "METRIC", "INDEX_TYPE", "VECTOR_TYPE"];

/// Variables that belong to the command line, not to these settings.
const OTHER_NAMES: [&str; 4] = ["PINYON_SERVER", "PINYON_CONFIG", "PINYON_API_KEY", "PINYON_LOG"];

/// Environment variables, from the process or a `.env` file: by our own name, with the name that was written and the value.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, (String, String)>);

impl Environment {
    /// Takes variables; those with neither our prefix nor a name of the module's are left out. Empty ones count as
    /// not set.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut ours = BTreeMap::new();
        for (name, value) in variables.into_iter().filter(|(_, value)| !value.is_empty()) {
            let known = MODULE_NAMES.iter().find(|(module, _)| *module == name);
            let is_ours = name.starts_with("PINYON_") && !is_other(&name);
            match known {
                // Our own name for the same setting wins.
                Some((_, own)) => drop(ours.entry((*own).to_owned()).or_insert((name, value))),
                None if is_ours || IMAGE_NAMES.contains(&name.as_str()) => {
                    ours.insert(name.clone(), (name, value));
                }
                None => {}
            }
        }
        Self(ours)
    }

    /// The layer of settings that they make.
    ///
    /// # Errors
    /// A value of the wrong kind, or a `PINYON_` name that does not exist.
    pub fn into_partial(mut self) -> Result<Partial, ConfigError> {
        let partial = self.take_server()?.overlaid_by(self.take_engine()?);
        match self.0.into_keys().next() {
            Some(unknown) => {
                Err(ConfigError(format!("environment variable {unknown} is not a setting of Pinyon")))
            }
            None => Ok(partial),
        }
    }

    fn take_server(&mut self) -> Result<Partial, ConfigError> {
        Ok(Partial {
            data_dir: self.take("DATA_DIR")?,
            listen: self.take("LISTEN")?,
            tls: self.take("TLS")?,
            tls_cert: self.take("TLS_CERT")?,
            tls_key: self.take("TLS_KEY")?,
            single_index: self.take("SINGLE_INDEX")?,
            image_port: self.take_as_is("PORT"),
            image_dimension: self.take_as_is("DIMENSION"),
            image_metric: self.take_as_is("METRIC"),
            image_index_type: self.take_as_is("INDEX_TYPE"),
            image_vector_type: self.take_as_is("VECTOR_TYPE"),
            tenants_index: self.take("TENANTS_INDEX")?,
            index_port_first: self.take("INDEX_PORT_FIRST")?,
            advertised_host: self.take("ADVERTISED_HOST")?,
            host_format: self.take("HOST_FORMAT")?,
            api_keys: self.take::<String>("API_KEYS")?.map(|keys| split_keys(&keys)),
            ..Partial::default()
        })
    }

    fn take_engine(&mut self) -> Result<Partial, ConfigError> {
        Ok(Partial {
            num_shards: self.take("NUM_SHARDS")?,
            shard_prefix: self.take("SHARD_PREFIX")?,
            vector_dimension: self.take("VECTOR_DIMENSION")?,
            metric: self.take("METRIC")?,
            placement: self.take("PLACEMENT")?,
            catalog: self.take("CATALOG")?,
            embedder: self.take("EMBEDDER")?,
            offline: self.take::<Flag>("OFFLINE")?.map(|Flag(value)| value),
            openai_base_url: self.take("OPENAI_BASE_URL")?,
            openai_model: self.take("OPENAI_MODEL")?,
            openai_api_key: self.take("OPENAI_API_KEY")?,
            max_vectors_per_shard: self.take("MAX_VECTORS_PER_SHARD")?,
            max_namespaces_per_shard: self.take("MAX_NAMESPACES_PER_SHARD")?,
            rebalance_namespaces: self.take("REBALANCE_NAMESPACES")?,
            p95_warn_ms: self.take("P95_WARN_MS")?,
            cross_shard_qps_max: self.take("CROSS_SHARD_QPS_MAX")?,
            cross_shard_cache_mib: self.take("CROSS_SHARD_CACHE_MIB")?,
            seal_kib: self.take("SEAL_KIB")?,
            graph: self.take("GRAPH")?,
            scan_factor: self.take("SCAN_FACTOR")?,
            recall_min: self.take("RECALL_MIN")?,
            memory_mib: self.take("MEMORY_MIB")?,
            search_threads: self.take("SEARCH_THREADS")?,
            missing_fields: self.take("MISSING_FIELDS")?,
            ..Partial::default()
        })
    }

    fn take<T: FromStr>(&mut self, setting: &str) -> Result<Option<T>, ConfigError>
    where
        T::Err: std::fmt::Display,
    {
        let Some((written, text)) = self.0.remove(&format!("PINYON_{setting}")) else { return Ok(None) };
        text.parse()
            .map(Some)
            .map_err(|error| ConfigError(format!("environment variable {written}: {error}; it is {text:?}")))
    }

    fn take_as_is(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).map(|(_, text)| text)
    }
}

fn is_other(name: &str) -> bool {
    // The test suite's own variables too.
    OTHER_NAMES.contains(&name) || name.starts_with("PINYON_TEST_") || name.starts_with("PINYON_BENCH_")
}

fn split_keys(keys: &str) -> Vec<String> {
    keys.split(',').map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

/// A value that is on or off, as people write it.
struct Flag(bool);

impl FromStr for Flag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Self(true)),
            "false" | "0" | "no" | "off" => Ok(Self(false)),
            _ => Err("must be true or false"),
        }
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

//! Settings: those that the data were made with, a TOML file, then the environment (and a `.env` file beneath it), then flags; each layer over the one
//! before. Unknown keys are refused. Resolved once.

mod access;
mod defaults;
mod disk;
mod environment;
mod error;
mod machine;
mod memory;
mod moves;
mod partial;
mod requests;
mod setting;
mod settings;
mod single;
mod sockets;
mod stored;
#[cfg(test)]
mod tests;
mod tls;
mod variables;

pub use defaults::{DATA_DIR_DEFAULT, LISTEN_DEFAULT, LOG_DEFAULT, TENANTS_INDEX};
pub use environment::{Environment, read_dotenv};
pub use error::ConfigError;
pub use partial::{Partial, SETTINGS};
pub use setting::Setting;
pub use settings::Settings;

use crate::{
    KeyRing,
    advertised_host::AdvertisedHost,
    pinecone::{HostFormat, StatsFilter},
};
use defaults::{OPENAI_BASE_URL_DEFAULT, OPENAI_MODEL_DEFAULT, SCAN_MS_MAX_DEFAULT};
use pinyon_core::{
    ANSWER_BYTES_MAX, CatalogKind, CrossShardSettings, EngineSettings, GraphEngine, MissingFields,
    PlacementPolicy, QuestionsKept, ShapeSource, ShardOptions, Thresholds, check_index_name, limit_new_files,
};
use pinyon_embed::{ApiKey, Embedder, HashEmbedder, OpenAiEmbedder, OpenAiSettings, ThreadPause};
use pinyon_types::{Dim, Metric};
use settings::PineconeSettings;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// Most KiB that a memtable may have: 4 GiB, which a start has to read back from the log.
const SEAL_KIB_MAX: usize = 4 << 20;

/// Least recall that codes and graphs may be asked for: below it results would be a matter of luck.
const RECALL_MIN: f64 = 0.5;

/// Resolves settings for the directory that the layers name: below them lie the settings that its data were made with, so
/// that only what somebody asked for can contradict the data. Reading those opens the catalog, which may write files: from here on the
/// process makes files for whom the setting says.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_for_data(layers: impl IntoIterator<Item = Partial>) -> Result<Settings, ConfigError> {
    let merged = layers.into_iter().fold(Partial::default(), Partial::overlaid_by);
    limit_new_files(access::data_access(merged.data_access.as_deref())?);
    let stored = stored::layer(&data_dir(&merged));
    resolve([stored, merged])
}

fn data_dir(merged: &Partial) -> PathBuf {
    merged.data_dir.clone().unwrap_or_else(|| DATA_DIR_DEFAULT.into())
}

/// Resolves settings from their layers: later ones win.
///
/// # Errors
/// A value that is out of range or contradicts another; listening beyond loopback without keys.
pub fn resolve(layers: impl IntoIterator<Item = Partial>) -> Result<Settings, ConfigError> {
    let merged = layers.into_iter().fold(Partial::default(), Partial::overlaid_by);
    let listen = listen(&merged)?;
    let ops_listen = sockets::ops_listen(&merged)?;
    let (keys, key_source) = access::keys(&merged, [Some(listen), ops_listen])?;
    let allowed = access::allowed(&merged)?;
    let engine = engine_settings(&merged)?;
    let pinecone = pinecone_settings(&merged)?;
    let data_dir = data_dir(&merged);
    let tls = tls::settings(&merged)?;
    let tls_demands = tls::demands(&merged, &tls)?;
    let log = text(&merged.log, LOG_DEFAULT);
    let data_access = access::data_access(merged.data_access.as_deref())?;
    let sockets = sockets::settings(&merged)?;
    let requests_bytes = requests::bytes(merged.requests_mib, merged.memory_mib)?;
    let mut shown = show(&engine, &data_dir, listen, &keys);
    shown.push(("stats_filter", pinecone.stats_filter.name().into()));
    shown.push(("tls", tls.shown()));
    shown.push(("requests_mib", (requests_bytes >> 20).to_string()));
    shown.extend(ops_listen.iter().map(|address| ("ops_listen", address.to_string())));
    shown.extend(pinecone.single_index.iter().map(|index| ("single_index", index.name.clone())));
    Ok(Settings {
        data_dir,
        listen,
        keys,
        key_source,
        allowed,
        engine,
        pinecone,
        tls,
        tls_demands,
        data_access,
        log,
        sockets,
        ops_listen,
        requests_bytes,
        shown,
    })
}

impl Setting {
    /// Its default, as text: that of a start that no layer says anything to.
    ///
    /// # Errors
    /// None that the defaults could have.
    pub fn default_text(&self) -> Result<String, ConfigError> {
        Ok((self.default)(&resolve([])?))
    }
}

fn listen(merged: &Partial) -> Result<SocketAddr, ConfigError> {
    let text = merged.listen.clone().map_or_else(|| single::listen_default(merged), Ok)?;
    text.parse().map_err(|_| {
        ConfigError(format!("setting listen: {text:?} is not ADDRESS:PORT, like {LISTEN_DEFAULT}"))
    })
}

fn pinecone_settings(merged: &Partial) -> Result<PineconeSettings, ConfigError> {
    let tenants_index = merged.tenants_index.clone().unwrap_or_else(|| TENANTS_INDEX.into());
    check_index_name(&tenants_index).map_err(|error| ConfigError::of("tenants_index", error.problem))?;
    let advertised = merged.advertised_host.as_deref().map(AdvertisedHost::read);
    let host_format = match merged.host_format.as_deref() {
        None | Some("auto") => HostFormat::Auto,
        Some("url") => HostFormat::Url,
        Some("bare") => HostFormat::Bare,
        Some(other) => {
            return Err(ConfigError(format!("setting host_format: must be auto, url or bare, is {other:?}")));
        }
    };
    Ok(PineconeSettings {
        tenants_index,
        index_port_first: merged.index_port_first,
        advertised_host: advertised.transpose().map_err(|error| ConfigError::of("advertised_host", error))?,
        host_format,
        stats_filter: stats_filter(merged.stats_filter.as_deref())?,
        single_index: single::index(merged)?,
    })
}

fn stats_filter(name: Option<&str>) -> Result<StatsFilter, ConfigError> {
    match name {
        None | Some("deny") => Ok(StatsFilter::Deny),
        Some("allow") => Ok(StatsFilter::Allow),
        Some(other) => Err(ConfigError(format!("setting stats_filter: must be deny or allow, is {other:?}"))),
    }
}

/// Bytes of records that an answer may hold.
fn answer_bytes(answer_mib: Option<u64>) -> Result<usize, ConfigError> {
    const MIB_MAX: u64 = 64;
    match answer_mib {
        None => Ok(ANSWER_BYTES_MAX),
        Some(mib @ 1..=MIB_MAX) => Ok((mib as usize) << 20),
        Some(mib) => Err(ConfigError(format!("setting answer_mib: must be 1 to {MIB_MAX} MiB, is {mib}"))),
    }
}

/// The engine's part of the settings.
///
/// # Errors
/// A value that is out of range or contradicts another.
pub fn engine_settings(merged: &Partial) -> Result<EngineSettings, ConfigError> {
    let defaults = Thresholds::module();
    let dim = Dim::new(merged.vector_dimension.unwrap_or(1536))
        .map_err(|e| ConfigError::of("vector_dimension", e))?;
    let metric =
        Metric::from_name(&text(&merged.metric, "cosine")).map_err(|e| ConfigError::of("metric", e))?;
    let placement = PlacementPolicy::from_name(&text(&merged.placement, "mmh3"));
    let catalog = CatalogKind::from_name(&text(&merged.catalog, "sled"));
    let namespaces_max = merged.max_namespaces_per_shard.unwrap_or(defaults.namespaces_per_shard_max);
    let settings = EngineSettings {
        shards: merged.num_shards.unwrap_or(4),
        shard_prefix: text(&merged.shard_prefix, "tenant-shard"),
        dim,
        metric,
        placement: placement.map_err(|e| ConfigError::of("placement", e))?,
        embedder: embedder(merged, dim)?,
        catalog: catalog.map_err(|e| ConfigError::of("catalog", e))?,
        shard_options: shard_options(merged)?,
        thresholds: Thresholds {
            vectors_per_shard_max: merged.max_vectors_per_shard.unwrap_or(defaults.vectors_per_shard_max),
            namespaces_per_shard_max: namespaces_max,
            // 18 of 20 in the module: the same share of another limit.
            namespaces_per_shard_warn: merged.rebalance_namespaces.unwrap_or(nine_tenths(namespaces_max)),
            p95_warn: merged.p95_warn_ms.map_or(defaults.p95_warn, Duration::from_millis),
        },
        cross_shard: CrossShardSettings {
            per_second_max: merged.cross_shard_qps_max.filter(|rate| *rate > 0),
            cache_bytes: merged.cross_shard_cache_mib.unwrap_or(0).saturating_mul(1 << 20),
        },
        search_threads: merged
            .search_threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from).max(2)),
        scrub_period: disk::scrub_period(merged.scrub_hours),
        verified_at_start: pinyon_core::VERIFIED_AT_START,
        shape_source: ShapeSource::Settings,
        moves: moves::settings(merged)?,
        environment: pinyon_core::Environment::system(),
        answer_bytes_max: answer_bytes(merged.answer_mib)?,
        missing_fields: MissingFields::from_name(&text(&merged.missing_fields, "exclude"))
            .map_err(|e| ConfigError(format!("setting {e}")))?,
        scan_factor: merged.scan_factor.unwrap_or(1.0),
    };
    if settings.search_threads == 0 || settings.search_threads > 1024 {
        return Err(ConfigError::of("search_threads", "must be 1 to 1024"));
    }
    // The engine checks again; here the mistake is known before anything is opened.
    settings.check().map_err(|error| ConfigError(format!("setting {error}")))?;
    Ok(settings)
}

/// Of any number that somebody may set.
fn nine_tenths(number: u64) -> u64 {
    number - number.div_ceil(10)
}

/// A layer's value, or the default.
fn text(value: &Option<String>, default: &str) -> String {
    value.clone().unwrap_or_else(|| default.into())
}

fn shard_options(merged: &Partial) -> Result<ShardOptions, ConfigError> {
    let options = match merged.seal_kib {
        None => ShardOptions::server(),
        Some(kib) if (1..=SEAL_KIB_MAX).contains(&kib) => ShardOptions::sealing_at(kib << 10),
        Some(kib) => {
            return Err(ConfigError(format!(
                "setting seal_kib: must be 1 to {SEAL_KIB_MAX} KiB a shard, is {kib}"
            )));
        }
    };
    let recall_min = merged.recall_min.unwrap_or(options.recall_min);
    if !(RECALL_MIN..=1.0).contains(&recall_min) {
        return Err(ConfigError(format!("setting recall_min: must be {RECALL_MIN} to 1, is {recall_min}")));
    }
    let memory = memory::budget(merged.memory_mib)?;
    let disk = Some(disk::budget(&data_dir(merged), merged.disk_low_mib, merged.disk_full_mib)?);
    let scan_ms_max = merged.scan_ms_max.unwrap_or(SCAN_MS_MAX_DEFAULT);
    let scan_ms_max = usize::try_from(scan_ms_max).unwrap_or(usize::MAX);
    let questions_kept = match merged.questions_kept.as_deref() {
        None => options.questions_kept,
        Some(name) => QuestionsKept::named(name).ok_or_else(|| {
            ConfigError(format!("setting questions_kept: must be memory, disk or none, is {name:?}"))
        })?,
    };
    let erasure = Some(disk::erasure(merged.erase_namespaces_seconds, merged.erase_records_seconds));
    let options = ShardOptions { recall_min, scan_ms_max, questions_kept, memory, disk, erasure, ..options };
    let graph = merged.graph.as_deref().unwrap_or_default();
    match GraphEngine::named(graph) {
        Some(graph) => Ok(options.with_graph(graph)),
        None if graph.is_empty() => Ok(options),
        None => Err(ConfigError(format!("setting graph: must be codes or hnsw_rs, is {graph:?}"))),
    }
}

/// The embedder that was asked for. An OpenAI key alone asks for nothing.
fn embedder(merged: &Partial, dim: Dim) -> Result<Arc<dyn Embedder>, ConfigError> {
    match merged.embedder.as_deref().unwrap_or("hash") {
        "hash" => Ok(Arc::new(HashEmbedder::new(dim))),
        "openai" if merged.offline == Some(true) => Err(ConfigError(
            "EMBEDDER=openai calls another machine and OFFLINE=true forbids that: choose one of them".into(),
        )),
        "openai" => {
            let settings = OpenAiSettings {
                base_url: text(&merged.openai_base_url, OPENAI_BASE_URL_DEFAULT),
                model: text(&merged.openai_model, OPENAI_MODEL_DEFAULT),
                dim,
                key: merged.openai_api_key.clone().map(ApiKey::new),
            };
            Ok(Arc::new(OpenAiEmbedder::new(settings, Box::new(ThreadPause))))
        }
        other => Err(ConfigError(format!("setting embedder: must be hash or openai, is {other:?}"))),
    }
}

fn show(
    engine: &EngineSettings,
    data_dir: &std::path::Path,
    listen: SocketAddr,
    keys: &KeyRing,
) -> Vec<(&'static str, String)> {
    vec![
        ("data_dir", data_dir.display().to_string()),
        ("listen", listen.to_string()),
        ("api_keys", if keys.is_open() { "none (loopback only)".into() } else { "set (hidden)".into() }),
        ("num_shards", engine.shards.to_string()),
        ("shard_prefix", engine.shard_prefix.clone()),
        ("vector_dimension", engine.dim.to_string()),
        ("metric", engine.metric.to_string()),
        ("placement", engine.placement.name().into()),
        ("catalog", engine.catalog.name().into()),
        ("embedder", engine.embedder.model_id().into()),
        (
            "cross_shard_qps_max",
            engine.cross_shard.per_second_max.map_or("none".into(), |rate| rate.to_string()),
        ),
        ("cross_shard_cache_mib", (engine.cross_shard.cache_bytes >> 20).to_string()),
        ("seal_kib", (engine.shard_options.seal_bytes >> 10).to_string()),
        ("graph", engine.shard_options.graph.name().into()),
        ("memory_mib", memory::shown(engine.shard_options.memory.as_ref())),
        ("scan_factor", engine.scan_factor.to_string()),
        ("recall_min", engine.shard_options.recall_min.to_string()),
        ("questions_kept", engine.shard_options.questions_kept.name().into()),
        ("missing_fields", engine.missing_fields.name().into()),
    ]
}

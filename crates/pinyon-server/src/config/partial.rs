//! The one list of settings: name, type, default, meaning. The layers, the environment's names, the refusal of unknown ones
//! and README's table are made from it, so a setting is added here and nowhere else.

use super::{
    defaults::{OPENAI_BASE_URL_DEFAULT, OPENAI_MODEL_DEFAULT, SCAN_MS_MAX_DEFAULT},
    error::ConfigError,
    setting::Setting,
    settings::Settings,
    variables::Variables,
};
use pinyon_core::ErasureTimes;
use serde::Deserialize;
use std::path::PathBuf;

fn erasure_of(settings: &Settings) -> ErasureTimes {
    settings.engine.shard_options.erasure.unwrap_or(ErasureTimes::DEFAULT)
}

/// Makes everything from the list. A doc comment is the setting's meaning in README's table: one line, the file's key and
/// no default in it. The default is written by a function of the settings that a start without any layer resolves.
macro_rules! settings {
    (
        $($group:literal { $($(#[doc = $meaning:literal])+ $name:ident: $kind:ty = $default:expr;)+ })+
        image { $($(#[doc = $image_meaning:literal])+ $image:ident = $variable:literal;)+ }
    ) => {
        /// One layer of settings, as in the TOML file. What it does not say is left to the layer below.
        #[derive(Clone, Default, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Partial {
            $($($(#[doc = $meaning])+ pub $name: Option<$kind>,)+)+
            $($(#[doc = $image_meaning])+ #[serde(skip)] pub $image: Option<String>,)+
        }

        /// Every setting, in README's order.
        pub const SETTINGS: &[Setting] = &[
            $($(Setting {
                group: $group,
                name: stringify!($name),
                meaning: concat!($($meaning),+),
                default: $default,
            },)+)+
        ];

        /// Names of the vendor's image that serves one index. Whoever has them set for something else is not bothered:
        /// their values are looked at in single-index mode only.
        pub(super) const IMAGE_NAMES: &[&str] = &[$($variable),+];

        impl Partial {
            /// These settings with those of `upper` over them.
            #[must_use]
            pub fn overlaid_by(self, upper: Self) -> Self {
                Self {
                    $($($name: upper.$name.or(self.$name),)+)+
                    $($image: upper.$image.or(self.$image),)+
                }
            }

            /// Takes every setting's variable out of `variables`.
            pub(super) fn from_variables(variables: &mut Variables) -> Result<Self, ConfigError> {
                Ok(Self {
                    $($($name: variables.take(stringify!($name))?,)+)+
                    $($image: variables.take_as_is($variable),)+
                })
            }
        }
    };
}

settings! {
    "Server" {
        /// Directory of all data; made at the first start.
        data_dir: PathBuf = |settings| settings.data_dir.display().to_string();
        /// ADDRESS:PORT of the control port; port 0 takes a free one.
        listen: String = |settings| settings.listen.to_string();
        /// Keys that are let in, at least one to listen beyond loopback; in the environment with commas between them.
        api_keys: Vec<String> = |_| "none".into();
        /// File of keys, a line `NAME KEY` each; watched while the server runs.
        api_keys_file: PathBuf = |_| "none".into();
        /// Hosts that a server without keys answers to, beside its own; in the environment with commas between them.
        allowed_hosts: Vec<String> = |_| "none".into();
        /// Origins whose pages may ask this server; in the environment with commas between them.
        allowed_origins: Vec<String> = |_| "none".into();
        /// TLS on the same ports, beside plain text: off, or local for a CA of its own.
        tls: String = |settings| settings.tls.shown();
        /// PEM file with a certificate and its chain, to speak TLS with; needs `tls_key`.
        tls_cert: PathBuf = |_| "none".into();
        /// PEM file with that certificate's key.
        tls_key: PathBuf = |_| "none".into();
        /// Refuses plain text on every port.
        tls_only: bool = |_| "false".into();
        /// PEM file with the CAs of clients; clients must show a certificate of one, over TLS only.
        tls_client_ca: PathBuf = |_| "none".into();
        /// Directory of the CA that `tls` local makes.
        tls_dir: PathBuf = |_| "`$XDG_STATE_HOME/pinyon/tls`".into();
        /// Who may read the files of the data: owner, or group for the owner's group too.
        data_access: String = |_| "owner".into();
        /// What is logged: error, warn, info, debug or trace, or `PART=LEVEL` with commas between them.
        log: String = |settings| settings.log.clone();
        /// ADDRESS:PORT of a port that serves only `/livez`, `/readyz`, `/health` and `/metrics`.
        ops_listen: String = |_| "none".into();
        /// Connections of the control port, and of all indexes' ports together, 16 to 1,000,000.
        connections_max: usize = |settings| settings.sockets.connections_max().to_string();
        /// Connections of one address (IPv4) or network (IPv6 /64) among them; this machine's are not counted.
        connections_per_source_max: usize = |settings| settings.sockets.per_source_max().to_string();
        /// Addresses or ranges (`10.0.0.0/8`) of proxies that carry many clients: not counted as one source.
        trusted_proxies: Vec<String> = |_| "none".into();
    }
    "Names and hosts" {
        /// Text before a shard's number in its name.
        shard_prefix: String = |settings| settings.engine.shard_prefix.clone();
        /// Name of the one index to serve, on one port.
        single_index: String = |_| "none".into();
        /// Name under which Pinecone's clients see the tenant API's index.
        tenants_index: String = |settings| settings.pinecone.tenants_index.clone();
        /// First port that indexes get.
        index_port_first: u16 = |_| "the one after `listen`".into();
        /// Host that clients are told to find indexes at: a name, or `{index}.name` where the DNS has a wildcard.
        advertised_host: String = |_| "the one they asked".into();
        /// How hosts of indexes are written: auto, url (with `http://` or `https://`) or bare.
        host_format: String = |_| "auto".into();
    }
    "What data are made with" {
        /// Number of shards, 1 to 256.
        num_shards: u32 = |settings| settings.engine.shards.to_string();
        /// Components of every vector, 1 to 20,000.
        vector_dimension: u32 = |settings| settings.engine.dim.to_string();
        /// Metric: cosine, dotproduct or euclidean.
        metric: String = |settings| settings.engine.metric.to_string();
        /// Policy that gives a new tenant its shard: mmh3, ring or least-loaded.
        placement: String = |settings| settings.engine.placement.name().into();
        /// Store of the routing table: sled, or redb for more than a hundred thousand tenants.
        catalog: String = |settings| settings.engine.catalog.name().into();
        /// Embedder of texts: hash (local, lexical) or openai (any compatible endpoint).
        embedder: String = |_| "hash".into();
    }
    "Embedder" {
        /// Forbids calls to other machines.
        offline: bool = |_| "false".into();
        /// Endpoint that embeddings are asked of, with `embedder` openai.
        openai_base_url: String = |_| OPENAI_BASE_URL_DEFAULT.into();
        /// Embedding model that is asked for there.
        openai_model: String = |_| OPENAI_MODEL_DEFAULT.into();
        /// Key for that endpoint; alone it makes no call.
        openai_api_key: String = |_| "none".into();
    }
    "Search" {
        /// Effort of queries that name none, 0.5 to 4 times what self-tests found to be enough.
        scan_factor: f64 = |settings| settings.engine.scan_factor.to_string();
        /// Recall@10 that graphs must be sure to have to answer where scans could, 0.5 to 1.
        recall_min: f64 = |settings| settings.engine.shard_options.recall_min.to_string();
        /// Milliseconds that a scan of codes may take before a graph that may miss its recall answers instead.
        scan_ms_max: u64 = |_| SCAN_MS_MAX_DEFAULT.to_string();
        /// Where a sample of query vectors is kept to test graphs with: memory, disk (for the next start), or none.
        questions_kept: String = |settings| settings.engine.shard_options.questions_kept.name().into();
        /// What filters with `$ne` and `$nin` do with records that lack the field: exclude or include them.
        missing_fields: String = |settings| settings.engine.missing_fields.name().into();
        /// What Pinecone's statistics with a filter answer of serverless indexes: deny (400, as the service) or allow.
        stats_filter: String = |settings| settings.pinecone.stats_filter.name().into();
        /// Graph of namespaces from 20,000 records on: codes or hnsw_rs.
        graph: String = |settings| settings.engine.shard_options.graph.name().into();
        /// Threads that search shards, 1 to 1024.
        search_threads: usize = |_| "one per core, at least 2".into();
        /// Cross-shard queries let in per second; more get 429, 0 lets all in.
        cross_shard_qps_max: u32 = |settings| settings.engine.cross_shard.per_second_max.unwrap_or(0).to_string();
        /// MiB of cross-shard answers that are kept until anything is written; 0 keeps none.
        cross_shard_cache_mib: u64 = |settings| (settings.engine.cross_shard.cache_bytes >> 20).to_string();
    }
    "Memory" {
        /// MiB that the process may take of its own, without mapped files: at least 128, 0 for no limit.
        memory_mib: u64 = |_| "three quarters of the memory there is".into();
        /// MiB that bodies of requests, and what is made of them, may take at once; more get 429.
        requests_mib: u64 = |_| "an eighth of the memory there is, 16 to 1024".into();
        /// MiB of records in the answer to a query, 1 to 64; records fetched by id may take 16 times as much.
        answer_mib: u64 = |settings| (settings.engine.answer_bytes_max >> 20).to_string();
        /// KiB of a shard's memtable at which a segment is written.
        seal_kib: usize = |settings| (settings.engine.shard_options.seal_bytes >> 10).to_string();
    }
    "Disk" {
        /// MiB free below which `/health`, metrics and the log warn; 0 never.
        disk_low_mib: u64 = |_| "a tenth of the disk, at most 2048".into();
        /// MiB free below which only deletions are let in; 0 never.
        disk_full_mib: u64 = |_| "a twentieth of the disk, at most 1024".into();
        /// Seconds after which a namespace whose records were all deleted at once is gone from the files; 0 never.
        erase_namespaces_seconds: u64 = |settings| erasure_of(settings).namespaces.as_secs().to_string();
        /// Seconds after which records that were deleted or overwritten are gone from the files; 0 never.
        erase_records_seconds: u64 = |settings| erasure_of(settings).records.as_secs().to_string();
        /// Hours in which every file is read again once, to find what the disk has lost; 0 never.
        scrub_hours: u64 = |settings| settings.engine.scrub_period.map_or(0, |period| period.as_secs() / 3600).to_string();
    }
    "Moves" {
        /// Tenants of an index that are moved at once, 1 to 64; others wait.
        moves_at_once: usize = |settings| settings.engine.moves.at_once.to_string();
        /// Records a second that one move reads at most; 0 for no limit.
        move_rows_per_second: u64 = |settings| settings.engine.moves.rows_per_second.to_string();
        /// MiB of records a second that one move reads at most; 0 for no limit.
        move_mib_per_second: u64 = |settings| (settings.engine.moves.bytes_per_second >> 20).to_string();
    }
    "Thresholds of health and advice" {
        /// Vectors above which a shard is overloaded.
        max_vectors_per_shard: u64 = |settings| settings.engine.thresholds.vectors_per_shard_max.to_string();
        /// Tenants that a shard should hold at most.
        max_namespaces_per_shard: u64 = |settings| settings.engine.thresholds.namespaces_per_shard_max.to_string();
        /// Tenants from which on a shard should be relieved; nine tenths of the setting above.
        rebalance_namespaces: u64 = |settings| settings.engine.thresholds.namespaces_per_shard_warn.to_string();
        /// 95th percentile of latency, in milliseconds, above which a shard is overloaded.
        p95_warn_ms: u64 = |settings| settings.engine.thresholds.p95_warn.as_millis().to_string();
    }
    image {
        /// Port of the image that serves one index; read, like the next four, with `single_index` only.
        image_port = "PORT";
        /// Dimension in that image.
        image_dimension = "DIMENSION";
        /// Metric in that image.
        image_metric = "METRIC";
        /// Kind of index in that image.
        image_index_type = "INDEX_TYPE";
        /// Kind of vectors in that image.
        image_vector_type = "VECTOR_TYPE";
    }
}

impl Partial {
    /// Reads a TOML file's text.
    ///
    /// # Errors
    /// No TOML, or a key that does not exist; the message names the line.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError(format!("{file}: {}", error.to_string().trim_end())))
    }
}

impl std::fmt::Debug for Partial {
    /// Secrets may be in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Partial(hidden)")
    }
}

//! One layer of settings: what it does not say is left to the layer below.

use super::ConfigError;
use serde::Deserialize;
use std::path::PathBuf;

macro_rules! partial {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        /// One layer of settings, as in the TOML file.
        #[derive(Clone, Default, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Partial {
            $($(#[$doc])* pub $name: Option<$kind>,)*
        }

        impl Partial {
            /// These settings with those of `upper` over them.
            #[must_use]
            pub fn overlaid_by(self, upper: Self) -> Self {
                Self { $($name: upper.$name.or(self.$name),)* }
            }
        }
    };
}

partial! {
    /// Where the data are.
    data_dir: PathBuf,
    /// Where to listen: ADDRESS:PORT.
    listen: String,
    /// TLS beside plain text: off or local.
    tls: String,
    /// A certificate in PEM, with its chain, to speak TLS with.
    tls_cert: PathBuf,
    /// That certificate's key in PEM.
    tls_key: PathBuf,
    /// The one index that is served, on the one port.
    single_index: String,
    /// `PORT` of the image that serves one index; this and the next four are read with `single_index` only.
    #[serde(skip)]
    image_port: String,
    /// `DIMENSION` of that image.
    #[serde(skip)]
    image_dimension: String,
    /// `METRIC` of that image.
    #[serde(skip)]
    image_metric: String,
    /// `INDEX_TYPE` of that image.
    #[serde(skip)]
    image_index_type: String,
    /// `VECTOR_TYPE` of that image.
    #[serde(skip)]
    image_vector_type: String,
    /// Name under which Pinecone's clients see the tenants' index.
    tenants_index: String,
    /// The first port that indexes are given; the one after the control port if nobody says.
    index_port_first: u16,
    /// The name that clients are told to find indexes at, in place of the one they came to.
    advertised_host: String,
    /// How hosts of indexes are written: auto, url or bare.
    host_format: String,
    /// Keys that are let in.
    api_keys: Vec<String>,
    /// Number of shards, 1 to 256.
    num_shards: u32,
    /// What stands before a shard's number in its name.
    shard_prefix: String,
    /// Components of every vector, 1 to 20,000.
    vector_dimension: u32,
    /// cosine, dotproduct or euclidean.
    metric: String,
    /// mmh3, ring or least-loaded.
    placement: String,
    /// sled or redb.
    catalog: String,
    /// hash or openai.
    embedder: String,
    /// Whether calls to other machines are forbidden.
    offline: bool,
    /// Where embeddings are asked for.
    openai_base_url: String,
    /// The embedding model's name.
    openai_model: String,
    /// The key for that endpoint.
    openai_api_key: String,
    /// Vectors above which a shard is overloaded.
    max_vectors_per_shard: u64,
    /// Tenants that a shard should hold at most.
    max_namespaces_per_shard: u64,
    /// Tenants from which on a shard should be relieved.
    rebalance_namespaces: u64,
    /// 95th percentile of latency above which a shard is overloaded, in milliseconds.
    p95_warn_ms: u64,
    /// Cross-shard queries that are let in a second; 0 lets all in.
    cross_shard_qps_max: u32,
    /// MiB of cross-shard answers that are kept until something is written; 0 keeps none.
    cross_shard_cache_mib: u64,
    /// KiB of a shard's memtable at which a segment is written.
    seal_kib: usize,
    /// The graph that large namespaces get: codes or hnsw_rs.
    graph: String,
    /// Effort of queries that name none, 0.5 to 4.
    scan_factor: f64,
    /// Recall@10 that codes and graphs must show on their own rows, 0.5 to 1.
    recall_min: f64,
    /// MiB that memtables, codes, graphs and filter indexes may take; 0 for no limit.
    memory_mib: u64,
    /// Threads that answer fan-outs.
    search_threads: usize,
    /// Whether $ne and $nin match records that lack the field: exclude or include.
    missing_fields: String,
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

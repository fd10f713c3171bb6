//! Where the data are, and what shapes new ones.

use clap::Args;
use std::path::PathBuf;

/// Settings that shape an engine; each may also come from `--config`, the environment or `.env`. Data that are there know
/// with which settings they were made; the defaults are those of new data.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingFlags {
    /// A TOML file with settings.
    #[arg(long, env = "PINYON_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Number of shards [default: the data's, or 4].
    #[arg(long, value_name = "N")]
    pub num_shards: Option<u32>,
    /// Components of every vector [default: the data's, or 1536].
    #[arg(long, value_name = "N")]
    pub vector_dimension: Option<u32>,
    /// cosine, dotproduct or euclidean [default: the data's, or cosine].
    #[arg(long)]
    pub metric: Option<String>,
    /// mmh3, ring or least-loaded [default: the data's, or mmh3].
    #[arg(long)]
    pub placement: Option<String>,
    /// sled or redb [default: the data's, or sled].
    #[arg(long)]
    pub catalog: Option<String>,
    /// hash or openai [default: the data's, or hash].
    #[arg(long)]
    pub embedder: Option<String>,
}

/// A server.
#[derive(Debug, Clone, Args)]
pub struct Host {
    /// A running server.
    #[arg(long, env = "PINYON_SERVER", value_name = "URL", default_value = "http://127.0.0.1:5080")]
    pub server: String,
    /// Its API key.
    #[arg(long, env = "PINYON_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub api_key: Option<String>,
}

/// Where the data are.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// A server.
    #[command(flatten)]
    pub host: Host,
    /// Open the data in this directory instead of asking a server.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Settings of new data, with `--data-dir`; data that are there know theirs.
    #[command(flatten)]
    pub settings: SettingFlags,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

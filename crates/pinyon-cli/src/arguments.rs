//! What the command line takes.

mod offline;
mod target;
mod tenants;

pub use offline::{Doctor, Inspect, Settings};
pub use target::{Host, SettingFlags, Target};
pub use tenants::{EraseTenant, Move, Moves, TenantVerb, Tenants};

use crate::commands::keys::Keys;
use clap::{Args, Parser, Subcommand, builder::RangedI64ValueParser};
use pinyon_types::limits;
use std::path::PathBuf;

/// A self-hosted, multi-tenant, sharded vector engine.
#[derive(Debug, Parser)]
#[command(
    name = "pinyon",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 3 the answer is no (unhealthy, findings left, partial result). Tables fit the terminal, or 80 columns where there is none; COLUMNS sets another width; --json cuts nothing."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Serve the HTTP API.
    Serve(Serve),
    /// Walk through everything on the example data.
    Demo(Demo),
    /// Embed and keep documents from a JSON Lines file.
    Ingest(Ingest),
    /// Find what is near to a text.
    Query(Query),
    /// Find it, and say how: what answered in each part of each shard, and what that cost.
    Explain(Query),
    /// Read documents of a tenant: by id, by filter, or all.
    Fetch(Fetch),
    /// Remove documents of a tenant: by id, by filter, or all.
    Delete(Delete),
    /// List tenants, or assign one to a shard.
    Tenants(Tenants),
    /// Move a tenant to another shard while it is read and written.
    Move(Move),
    /// List moves, or turn one back.
    Moves(Moves),
    /// List indexes and their settings, or change one's; asks a running server.
    Indexes(Indexes),
    /// List shards and their segments.
    Shards(Plain),
    /// Judge the shards; exit code 3 when something is wrong.
    Health(Plain),
    /// Say whether to shard, from given numbers or the running system's.
    Advise(Advise),
    /// Measure.
    Bench(Bench),
    /// Read every file, compare routing with what the shards hold, say what can be done; exit code 3 when something is wrong.
    Doctor(Doctor),
    /// List every setting with its names, its default and its meaning.
    Settings(Settings),
    /// Show what a log, segment or manifest file holds.
    Inspect(Inspect),
    /// Make lines for the file of keys.
    Keys(Keys),
}

/// `pinyon serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where the data are [default: pinyon-data].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:5080]; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// A port that serves only health and metrics [default: none].
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub ops_listen: Option<String>,
    /// Serve one index on the one port, made as the environment's DIMENSION, METRIC, INDEX_TYPE and VECTOR_TYPE say.
    #[arg(long, value_name = "NAME")]
    pub single_index: Option<String>,
    /// TLS beside plain text, on the same ports: local makes a CA of its own [default: off].
    #[arg(long, value_name = "off|local")]
    pub tls: Option<String>,
    /// Settings.
    #[command(flatten)]
    pub settings: SettingFlags,
    /// Write the start-up lines as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `pinyon demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep the data here [default: a new directory, removed at the end].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The example data [default: those built into the program].
    #[arg(long, value_name = "DIR")]
    pub examples: Option<PathBuf>,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

/// `pinyon ingest`.
#[derive(Debug, Args)]
pub struct Ingest {
    /// JSON Lines: {"id", "text", "metadata"?, "tenant_id"?}; `-` reads standard input.
    pub file: PathBuf,
    /// The tenant of lines that name none.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Documents per durable write.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// Where to.
    #[command(flatten)]
    pub target: Target,
}

fn top_k() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(limits::TOP_K_MAX))
}

/// `pinyon query` and `pinyon explain`.
#[derive(Debug, Args)]
pub struct Query {
    /// What to look for.
    pub text: String,
    /// In this tenant; without it across all.
    #[arg(long, value_name = "NAME")]
    pub tenant: Vec<String>,
    /// How many results.
    #[arg(long, short = 'k', default_value_t = limits::TOP_K_DEFAULT, value_parser = top_k())]
    pub top_k: u32,
    /// A filter as JSON, like '{"year": {"$gte": 2020}}'.
    #[arg(long, value_name = "JSON")]
    pub filter: Option<String>,
    /// Answer with what is there after this time.
    #[arg(long, value_name = "MS")]
    pub timeout_ms: Option<u64>,
    /// How hard to try, 0.5 to 4: more finds more and takes longer [default: SCAN_FACTOR].
    #[arg(long, value_name = "FACTOR")]
    pub scan_factor: Option<f64>,
    /// Most rows whose scores are computed from their vectors after codes or a graph have chosen them.
    #[arg(long, value_name = "N")]
    pub max_candidates: Option<i64>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// `pinyon fetch`.
#[derive(Debug, Args)]
pub struct Fetch {
    /// Ids of documents; all of the tenant without.
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Whose documents.
    #[arg(long, value_name = "NAME")]
    pub tenant: String,
    /// Only documents that pass a filter as JSON, like '{"year": {"$gte": 2020}}'.
    #[arg(long, value_name = "JSON", conflicts_with = "ids")]
    pub filter: Option<String>,
    /// With their vectors, in JSON.
    #[arg(long, requires = "json")]
    pub vectors: bool,
    /// Where; with `--json` each document is a line that `pinyon ingest` reads.
    #[command(flatten)]
    pub target: Target,
}

/// `pinyon delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// Ids of documents.
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Whose documents.
    #[arg(long, value_name = "NAME")]
    pub tenant: String,
    /// Documents that pass a filter as JSON, like '{"year": {"$lt": 2020}}'.
    #[arg(long, value_name = "JSON")]
    pub filter: Option<String>,
    /// Every document of the tenant.
    #[arg(long)]
    pub all: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// `pinyon indexes`.
#[derive(Debug, Args)]
pub struct Indexes {
    /// Change this index's settings (needs `--scan-factor`).
    #[arg(long, value_name = "NAME", requires = "scan_factor")]
    pub configure: Option<String>,
    /// The effort of queries that name none, 0.5 to 4, or `default` for the server's SCAN_FACTOR.
    #[arg(long, value_name = "FACTOR", requires = "configure", value_parser = scan_factor)]
    pub scan_factor: Option<ScanFactor>,
    /// Where.
    #[command(flatten)]
    pub host: Host,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

/// An index's scan factor, or that it has none of its own.
#[derive(Debug, Clone, Copy)]
pub struct ScanFactor(pub Option<f64>);

fn scan_factor(text: &str) -> Result<ScanFactor, String> {
    if text == "default" {
        return Ok(ScanFactor(None));
    }
    let factor = text.parse().map_err(|_| "must be a number from 0.5 to 4, or `default`")?;
    Ok(ScanFactor(Some(factor)))
}

/// A verb that needs only to know where.
#[derive(Debug, Args)]
pub struct Plain {
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// `pinyon advise`.
#[derive(Debug, Args)]
pub struct Advise {
    /// Number of tenants.
    #[arg(long)]
    pub tenants: Option<u64>,
    /// Number of vectors.
    #[arg(long)]
    pub vectors: Option<u64>,
    /// 95th percentile of query latency in milliseconds.
    #[arg(long)]
    pub p95_ms: Option<f64>,
    /// Namespaces in one index.
    #[arg(long)]
    pub namespaces: Option<u64>,
    /// Share of all vectors that the ten largest tenants hold, 0 to 1.
    #[arg(long)]
    pub top_10_share: Option<f64>,
    /// Share of queries that cross tenants, 0 to 1.
    #[arg(long)]
    pub cross_tenant_share: Option<f64>,
    /// Where; not asked when numbers are given.
    #[command(flatten)]
    pub target: Target,
}

/// `pinyon bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// What to measure.
    #[command(subcommand)]
    pub subject: BenchSubject,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchSubject {
    /// What a query costs in one tenant and across shards, for several numbers of shards.
    Fanout(Fanout),
}

/// `pinyon bench fanout`.
#[derive(Debug, Args)]
pub struct Fanout {
    /// Documents to measure with, as for `ingest`; generated ones without.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Numbers of shards to compare.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8")]
    pub shards: Vec<u32>,
    /// Generated documents.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub documents: u32,
    /// Tenants of generated documents.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub tenants: u32,
    /// Components of a vector.
    #[arg(long, default_value_t = 384)]
    pub vector_dimension: u32,
    /// Queries of each kind per round and number of shards.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(20..))]
    pub queries: u32,
    /// Rounds; each asks every number of shards, in turns. Differences within their spread are not told.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(5..=1_000))]
    pub rounds: u32,
    /// Longest time to wait for codes and graphs, for each number of shards; 0 measures what was just written.
    #[arg(long, value_name = "S", default_value_t = 1_800, value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub settle_seconds: u64,
    /// Write the plot here.
    #[arg(long, value_name = "FILE", default_value = "fanout.svg")]
    pub plot: PathBuf,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

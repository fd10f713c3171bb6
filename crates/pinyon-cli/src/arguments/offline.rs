//! Verbs that look at files and settings.

use super::target::Target;
use clap::Args;
use std::path::PathBuf;

/// `pinyon doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Rebuild the routing table from the shards, of every index or the one that `--index` names; needs `--data-dir`.
    #[arg(long, requires = "data_dir")]
    pub repair: bool,
    /// Only this index, for `--repair`.
    #[arg(long, value_name = "NAME", requires = "repair")]
    pub index: Option<String>,
    /// Save what can still be read of a shard that is quarantined: it takes its place, the old files are set aside; needs `--data-dir`.
    #[arg(long, value_name = "SHARD", requires = "data_dir", conflicts_with = "repair")]
    pub salvage: Option<String>,
    /// Give up a shard that is quarantined: an empty one takes its place, its files are set aside; needs `--data-dir`.
    #[arg(long, value_name = "SHARD", requires = "data_dir", conflicts_with_all = ["repair", "salvage"])]
    pub drop: Option<String>,
    /// Go on with a shard that went back to an earlier state, without what was written since; needs `--data-dir`.
    #[arg(long, value_name = "SHARD", requires = "data_dir", conflicts_with_all = ["repair", "salvage", "drop"])]
    pub accept_older: Option<String>,
    /// Show what would be done and what would be left, and change nothing; needs `--data-dir`.
    #[arg(long, requires = "data_dir")]
    pub dry_run: bool,
    #[command(flatten)]
    pub target: Target,
}

impl Doctor {
    /// Whether it asks for more than a look.
    pub const fn changes_anything(&self) -> bool {
        self.repair || self.salvage.is_some() || self.drop.is_some() || self.accept_older.is_some()
    }
}

/// `pinyon settings`.
#[derive(Debug, Args)]
pub struct Settings {
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

/// `pinyon inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A log (`wal-….log`), a segment (`segment-….seg`), a MANIFEST, or a shard's directory.
    pub path: PathBuf,
    /// Do not find out what codes find: that makes them, in memory, as a start does, and takes seconds for a million rows.
    #[arg(long)]
    pub no_recall: bool,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

//! What verbs take that are about tenants.

use super::target::Target;
use clap::{Args, Subcommand};

/// `pinyon tenants`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Tenants {
    /// What to do with one, if it is more than to list or assign it.
    #[command(subcommand)]
    pub verb: Option<TenantVerb>,
    /// Assign this tenant (needs `--shard`).
    #[arg(long, value_name = "NAME", requires = "shard")]
    pub assign: Option<String>,
    /// The shard to assign to.
    #[arg(long, value_name = "N", requires = "assign")]
    pub shard: Option<u32>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// `pinyon tenants VERB`.
#[derive(Debug, Subcommand)]
pub enum TenantVerb {
    /// Delete a tenant with its records for good: no file that is in use holds anything of it afterwards.
    Erase(EraseTenant),
}

/// `pinyon tenants erase`.
#[derive(Debug, Args)]
pub struct EraseTenant {
    /// Which tenants.
    #[arg(value_name = "NAME", required = true)]
    pub tenants: Vec<String>,
    /// The index whose namespaces these are, if it is not the tenants' own; asks a running server.
    #[arg(long, value_name = "NAME", conflicts_with = "data_dir")]
    pub index: Option<String>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// `pinyon move`.
#[derive(Debug, Args)]
pub struct Move {
    /// Which tenant.
    pub tenant: String,
    /// The number of the shard to move it to.
    #[arg(long, value_name = "SHARD")]
    pub to: u32,
    /// Wait until it is over, and show how far it is; exit code 3 if it did not get there. In a directory it is always waited for.
    #[arg(long)]
    pub wait: bool,
    /// What to call this move: asked for again by the same name it is the same move.
    #[arg(long, value_name = "NAME")]
    pub request_id: Option<String>,
    /// The index whose namespace it is, if it is not the tenants' own; asks a running server.
    #[arg(long, value_name = "NAME", conflicts_with = "data_dir")]
    pub index: Option<String>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// `pinyon moves`.
#[derive(Debug, Args)]
pub struct Moves {
    /// Turn this one back: the tenant stays where it is.
    #[arg(long, value_name = "MOVE")]
    pub abort: Option<String>,
    /// Those of this index only; asks a running server.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["data_dir", "abort"])]
    pub index: Option<String>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

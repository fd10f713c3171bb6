//! `/admin/v1/moves`: tenants on their way from one shard to another.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of `POST /admin/v1/moves`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    /// Which tenant.
    pub tenant_id: String,
    /// The shard to move it to.
    pub shard_id: u32,
    /// The index whose namespace it is; the tenants' own if none is named.
    #[serde(default)]
    pub index: Option<String>,
    /// What the asker calls this move: who asks again with the same name is told of the same move.
    #[serde(default)]
    pub request_id: Option<String>,
}

/// A move, as it is now.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct MoveInfo {
    /// Its name, in this server.
    pub id: String,
    /// What its asker calls it, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The index.
    pub index: String,
    /// The tenant.
    pub tenant_id: String,
    /// From which shard.
    pub from_shard: u32,
    /// To which.
    pub to_shard: u32,
    /// `copying`; `cleaning` once the target owns the tenant; `aborting` or `failing` while a copy is dropped again; `stopped` if copies differ
    /// and are kept for people to look at; then `done`, `aborted` or `failed`.
    pub phase: String,
    /// Records that were read since this server works at it, those that were compared too.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Records that the tenant had when copying began.
    pub rows_in_all: u64,
    /// Rounds of catching up with writers that found something.
    pub rounds: u64,
    /// Records a second.
    pub rows_per_second: f64,
    /// Seconds that copying and comparing will take, about; nothing where that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<f64>,
    /// Milliseconds for which the tenant's writers waited at the switch.
    pub closed_ms: f64,
    /// Milliseconds for which each of their writes waits at the moment, because the target cannot keep up.
    pub slowed_ms: f64,
    /// What the copy waits for between two steps: `rate`, the limits of the settings; or `latency`, searches of its shards that take longer
    /// than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_by: Option<String>,
    /// Whom it waits for: `readers` that began before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was asked for, in milliseconds since 1970.
    pub began_ms: u64,
    /// When its phase began.
    pub changed_ms: u64,
}

/// Answer of `GET /admin/v1/moves`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct MoveList {
    /// Those that have not ended and those that ended not long ago, by index; the latest last.
    pub moves: Vec<MoveInfo>,
}

impl MoveInfo {
    /// Whether nothing more happens by itself.
    pub fn is_over(&self) -> bool {
        matches!(self.phase.as_str(), "done" | "aborted" | "failed" | "stopped")
    }
}

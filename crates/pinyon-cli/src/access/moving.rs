//! Where tenants live, and how they come to live elsewhere.

use super::{Access, escape};
use pinyon_server::{config, convert::moves};
use pinyon_wire::{
    admin::AssignRequest,
    moves::{MoveInfo, MoveList, MoveRequest},
    tenant::ShardResponse,
};
use serde::Deserialize;

/// What becomes of a tenant that is assigned.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Assigned {
    /// It lived elsewhere, and moves.
    Moves(Box<MoveInfo>),
    /// It lives there.
    Lives(ShardResponse),
}

const MOVES: &str = "/admin/v1/moves";

/// A move of the tenants' own index.
fn local_move(one: pinyon_core::MoveReport) -> MoveInfo {
    moves::report(0, config::TENANTS_INDEX, one)
}

impl Access {
    /// Places a tenant on a shard, or begins to move it there.
    ///
    /// # Errors
    /// What the engine or the server says.
    pub fn assign(&self, tenant_id: &str, shard_id: u32) -> anyhow::Result<Assigned> {
        match self {
            Self::Remote(client) => {
                let path = format!("/admin/v1/tenants/{}", escape(tenant_id));
                client.send("PUT", &path, &AssignRequest { shard_id })
            }
            Self::Local(engine) => {
                if engine.lookup(tenant_id)?.is_some_and(|home| home.shard.get() != shard_id) {
                    return Ok(Assigned::Moves(Box::new(local_move(
                        engine.move_tenant(tenant_id, shard_id, "")?,
                    ))));
                }
                engine.assign(tenant_id, shard_id)?;
                self.shard_of(tenant_id).map(Assigned::Lives)
            }
        }
    }

    /// Where a tenant lives, or would be placed.
    ///
    /// # Errors
    /// What the engine or the server says.
    pub fn shard_of(&self, tenant_id: &str) -> anyhow::Result<ShardResponse> {
        match self {
            Self::Remote(client) => client.get(&format!("/shard/{}", escape(tenant_id))),
            Self::Local(engine) => {
                let tenant = engine.tenant(tenant_id)?;
                let (placed, shard) = (tenant.is_known(), tenant.shard()?);
                let index_name = engine.index_name(shard);
                Ok(ShardResponse { tenant_id: tenant_id.into(), shard_id: shard.get(), index_name, placed })
            }
        }
    }

    /// Begins to move a tenant.
    ///
    /// # Errors
    /// What the engine or the server says.
    pub fn begin_move(&self, request: &MoveRequest) -> anyhow::Result<MoveInfo> {
        match self {
            Self::Remote(client) => client.send("POST", MOVES, request),
            Self::Local(engine) => {
                let request_id = request.request_id.as_deref().unwrap_or_default();
                Ok(local_move(engine.move_tenant(&request.tenant_id, request.shard_id, request_id)?))
            }
        }
    }

    /// The moves that there are, of all indexes if none is named.
    ///
    /// # Errors
    /// What the server says.
    pub fn moves(&self, index: Option<&str>) -> anyhow::Result<MoveList> {
        match self {
            Self::Remote(client) => {
                let index = index.map_or_else(String::new, |index| format!("?index={}", escape(index)));
                client.get(&format!("{MOVES}{index}"))
            }
            Self::Local(engine) => {
                Ok(MoveList { moves: engine.moves().into_iter().map(local_move).collect() })
            }
        }
    }

    /// One move.
    ///
    /// # Errors
    /// What the server says; there is none of that name.
    pub fn show_move(&self, id: &str) -> anyhow::Result<MoveInfo> {
        match self {
            Self::Remote(client) => client.get(&format!("{MOVES}/{}", escape(id))),
            Self::Local(engine) => {
                let found = moves::parse(id).and_then(|(_, id)| engine.find_move(id));
                found.map(local_move).ok_or_else(|| anyhow::anyhow!("there is no move {id}"))
            }
        }
    }

    /// Turns a move back.
    ///
    /// # Errors
    /// What the engine or the server says.
    pub fn abort_move(&self, id: &str) -> anyhow::Result<MoveInfo> {
        match self {
            Self::Remote(client) => client.delete(&format!("{MOVES}/{}", escape(id))),
            Self::Local(engine) => {
                let (_, number) = moves::parse(id).ok_or_else(|| anyhow::anyhow!("there is no move {id}"))?;
                Ok(local_move(engine.abort_move(number)?))
            }
        }
    }
}

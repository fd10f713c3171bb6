//! The shards of an engine. Nothing but this file knows how they are kept.

use super::{Member, Quarantine};
use crate::{EngineError, ErrorCode, load::TenantLoads};
use pinyon_backend::ShardBackend;
use pinyon_shard::Shard;
use pinyon_types::{Clock, ShardId};
use std::{collections::BTreeMap, sync::Arc};

/// What a fan-out's threads hold: the shards and nothing that locks the directory, because a thread that is late may
/// outlive the engine it worked for.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) clock: Arc<dyn Clock>,
    members: BTreeMap<ShardId, Member>,
    shard_prefix: String,
    pub(crate) tenant_loads: TenantLoads,
    /// When loads began to be counted.
    pub(crate) began_us: u64,
}

impl Fleet {
    /// Of shards numbered from 0 on.
    pub(super) fn new(members: Vec<Member>, shard_prefix: String, clock: Arc<dyn Clock>) -> Self {
        let members = (0..).map(ShardId::new).zip(members).collect();
        let (tenant_loads, began_us) = (TenantLoads::default(), clock.now_us());
        Self { clock, members, shard_prefix, tenant_loads, began_us }
    }

    /// Says in the log which shards are kept out, and why.
    pub(super) fn name_kept_out(shard_prefix: &str, members: &[Member]) {
        for (number, quarantine) in (0..).zip(members.iter().map(Member::quarantine)) {
            if let Some(quarantine) = quarantine {
                let shard = format!("{shard_prefix}-{}", ShardId::new(number));
                tracing::error!(shard, "{quarantine}; everything else is served");
            }
        }
    }

    /// A shard's name: `tenant-shard-2`.
    pub(crate) fn index_name(&self, shard: ShardId) -> String {
        format!("{}-{shard}", self.shard_prefix)
    }

    /// A shard's place in the fleet. The routing table may name one that is not there: what it says of tenants outlives shards.
    pub(crate) fn member(&self, shard: ShardId) -> Result<&Member, EngineError> {
        self.members.get(&shard).ok_or_else(|| {
            let message = format!("there is no shard {}; run `pinyon doctor`", self.index_name(shard));
            EngineError::new(ErrorCode::Quarantined, message)
        })
    }

    /// Every shard, whether it is served or kept out, in order.
    pub(crate) fn members(&self) -> impl Iterator<Item = (ShardId, &Member)> {
        self.members.iter().map(|(shard, member)| (*shard, member))
    }

    /// What requests ask of a shard, or why it is kept out.
    pub(crate) fn backend(&self, shard: ShardId) -> Result<Arc<dyn ShardBackend>, EngineError> {
        self.member(shard)?.result(|| self.index_name(shard))
    }

    /// What requests ask, of every shard that is served.
    pub(crate) fn backends(&self) -> impl Iterator<Item = (ShardId, Arc<dyn ShardBackend>)> {
        self.members().filter_map(|(number, member)| Some((number, member.backend()?)))
    }

    /// The shards that are served and whose files are this engine's to keep.
    pub(crate) fn local(&self) -> impl Iterator<Item = (ShardId, Shard)> {
        self.members().filter_map(|(number, member)| Some((number, member.local()?)))
    }

    /// The shards that are kept out.
    pub(crate) fn quarantined(&self) -> impl Iterator<Item = (ShardId, Quarantine)> {
        self.members().filter_map(|(number, member)| Some((number, member.quarantine()?)))
    }
}

//! Many assignments in one value: u8 kind (0 removed, 1 placed, 2 explicit), u16 length and name, u64 namespace, u32
//! shard, u64 epoch; one after the other.

use super::view::{Assignment, Pin};
use pinyon_storage::bytes::{BytesError, Reader};
use pinyon_types::{Epoch, NamespaceId, ShardId, TenantId};

/// Values stay well below the store's limit.
const CHUNK_BYTES: usize = 48 << 10;

const REMOVED: u8 = 0;
const PLACED: u8 = 1;
const EXPLICIT: u8 = 2;

/// A tenant's assignment, or that it has none any more.
pub(super) type Packed = (TenantId, Option<Assignment>);

/// Packs assignments into as many values as they need.
pub(super) fn pack<'a>(
    assignments: impl Iterator<Item = (&'a TenantId, Option<Assignment>)>,
) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    for (tenant, assignment) in assignments {
        if chunk.len() > CHUNK_BYTES {
            chunks.push(std::mem::take(&mut chunk));
        }
        put(&mut chunk, tenant, assignment);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

fn put(out: &mut Vec<u8>, tenant: &TenantId, assignment: Option<Assignment>) {
    out.push(match assignment.map(|one| one.pin) {
        None => REMOVED,
        Some(Pin::Placed) => PLACED,
        Some(Pin::Explicit) => EXPLICIT,
    });
    let length =
        u16::try_from(tenant.as_str().len()).expect("invariant: tenant names have at most 512 bytes");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(tenant.as_str().as_bytes());
    let (namespace, shard, epoch) =
        assignment.map_or((0, 0, 0), |one| (one.namespace.get(), one.shard.get(), one.epoch.get()));
    out.extend_from_slice(&namespace.to_le_bytes());
    out.extend_from_slice(&shard.to_le_bytes());
    out.extend_from_slice(&epoch.to_le_bytes());
}

/// Reads a value back.
pub(super) fn unpack(bytes: &[u8]) -> Result<Vec<Packed>, String> {
    let mut reader = Reader::new(bytes);
    let mut assignments = Vec::new();
    while !reader.is_empty() {
        assignments.push(get(&mut reader)?);
    }
    Ok(assignments)
}

fn get(reader: &mut Reader<'_>) -> Result<Packed, String> {
    let text = |error: BytesError| error.to_string();
    let kind = reader.u8().map_err(text)?;
    let length = usize::from(reader.u16().map_err(text)?);
    let tenant = TenantId::new(reader.str(length).map_err(text)?).map_err(|error| error.to_string())?;
    let namespace = NamespaceId::new(reader.u64().map_err(text)?);
    let shard = ShardId::new(reader.u32().map_err(text)?);
    let epoch = Epoch::new(reader.u64().map_err(text)?);
    let assigned = |pin| Some(Assignment { namespace, shard, epoch, pin });
    match kind {
        REMOVED => Ok((tenant, None)),
        PLACED => Ok((tenant, assigned(Pin::Placed))),
        EXPLICIT => Ok((tenant, assigned(Pin::Explicit))),
        other => Err(format!("assignment of unknown kind {other}")),
    }
}

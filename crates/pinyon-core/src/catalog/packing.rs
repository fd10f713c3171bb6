//! Many assignments in one value: u8 kind (0 removed, 1 placed, 2 explicit; 3 and 4 the same with a position base), u16 length and name,
//! u64 namespace, u32 shard, u64 epoch, u64 position base where the kind says so; one after the other.

use super::view::{Assignment, Pin};
use pinyon_storage::bytes::{BytesError, Reader};
use pinyon_types::{Epoch, NamespaceId, ShardId, TenantId};

/// Values stay well below the store's limit.
const CHUNK_BYTES: usize = 48 << 10;

const REMOVED: u8 = 0;
const PLACED: u8 = 1;
const EXPLICIT: u8 = 2;
const PLACED_WITH_BASE: u8 = 3;
const EXPLICIT_WITH_BASE: u8 = 4;

/// A tenant's assignment, or that it has none any more.
pub(super) type Packed = (TenantId, Option<Assignment>);

/// Packs assignments into values, one after the other, as many as they need.
pub(super) fn pack<'a>(
    assignments: impl Iterator<Item = (&'a TenantId, Option<Assignment>)>,
) -> impl Iterator<Item = Vec<u8>> {
    let mut assignments = assignments.fuse();
    std::iter::from_fn(move || {
        let mut chunk = Vec::new();
        while chunk.len() <= CHUNK_BYTES
            && let Some((tenant, assignment)) = assignments.next()
        {
            put(&mut chunk, tenant, assignment);
        }
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn put(out: &mut Vec<u8>, tenant: &TenantId, assignment: Option<Assignment>) {
    let base = assignment.map_or(0, |one| one.position_base);
    out.push(match (assignment.map(|one| one.pin), base) {
        (None, _) => REMOVED,
        (Some(Pin::Placed), 0) => PLACED,
        (Some(Pin::Explicit), 0) => EXPLICIT,
        (Some(Pin::Placed), _) => PLACED_WITH_BASE,
        (Some(Pin::Explicit), _) => EXPLICIT_WITH_BASE,
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
    if base > 0 {
        out.extend_from_slice(&base.to_le_bytes());
    }
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
    let (pin, has_base) = match kind {
        REMOVED => return Ok((tenant, None)),
        PLACED => (Pin::Placed, false),
        EXPLICIT => (Pin::Explicit, false),
        PLACED_WITH_BASE => (Pin::Placed, true),
        EXPLICIT_WITH_BASE => (Pin::Explicit, true),
        other => return Err(format!("assignment of unknown kind {other}")),
    };
    let position_base = if has_base { reader.u64().map_err(text)? } else { 0 };
    Ok((tenant, Some(Assignment { namespace, shard, epoch, pin, position_base })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_read_back_and_take_what_they_took_before_there_were_bases() {
        let tenant = TenantId::new("zoe").unwrap();
        let one = |pin, position_base| Assignment {
            namespace: NamespaceId::new(8),
            shard: ShardId::new(3),
            epoch: Epoch::new(9),
            pin,
            position_base,
        };
        let cases = [
            (None, 26),
            (Some(one(Pin::Placed, 0)), 26),
            (Some(one(Pin::Explicit, 0)), 26),
            (Some(one(Pin::Placed, 1)), 34),
            (Some(one(Pin::Explicit, u64::MAX)), 34),
        ];
        for (assignment, bytes) in cases {
            let packed: Vec<_> = pack([(&tenant, assignment)].into_iter()).collect();
            assert_eq!(packed[0].len(), bytes, "{assignment:?}");
            assert_eq!(unpack(&packed[0]).unwrap(), [(tenant.clone(), assignment)]);
            assert!(unpack(&packed[0][..bytes - 1]).is_err());
        }
    }

    #[test]
    fn a_value_ends_with_the_first_assignment_beyond_its_size() {
        let names: Vec<TenantId> =
            (0..5_000).map(|one| TenantId::new(&format!("t{one:08}")).unwrap()).collect();
        let packed: Vec<_> = pack(names.iter().map(|name| (name, None))).collect();
        assert!(packed.len() > 2 && packed.iter().all(|one| one.len() <= CHUNK_BYTES + 32));
        assert!(packed[..packed.len() - 1].iter().all(|one| one.len() > CHUNK_BYTES));
        let read = packed.iter().flat_map(|one| unpack(one).unwrap()).map(|(name, _)| name);
        assert!(read.eq(names.iter().cloned()));
        assert_eq!(pack(std::iter::empty()).count(), 0);
    }
}

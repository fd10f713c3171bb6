//! The copies that are no tenant's: written for one that has not moved yet, or left behind by one that has. Each is entered before it
//! exists and struck when it is gone, so that no crash leaves one that nobody knows of.

use super::{
    codec::{self, CopyToDrop},
    store::Change,
};
use pinyon_types::{NamespaceId, ShardId};
use std::{collections::BTreeMap, sync::Arc};

/// Prefix of the keys.
pub(super) const PREFIX: &[u8] = b"drop/";

/// Copies by the shard that holds them and their number.
#[derive(Debug, Clone, Default)]
pub(crate) struct CopiesToDrop {
    copies: BTreeMap<(ShardId, NamespaceId), CopyToDrop>,
    /// Their numbers, as searches of a whole shard leave them out.
    numbers: BTreeMap<ShardId, Arc<[NamespaceId]>>,
}

impl CopiesToDrop {
    /// By shard and number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ShardId, NamespaceId, &CopyToDrop)> {
        self.copies.iter().map(|((shard, number), copy)| (*shard, *number, copy))
    }

    pub(crate) fn get(&self, shard: ShardId, number: NamespaceId) -> Option<&CopyToDrop> {
        self.copies.get(&(shard, number))
    }

    /// The numbers of those on a shard, in order; nothing where there are none.
    pub(crate) fn on(&self, shard: ShardId) -> Option<&Arc<[NamespaceId]>> {
        self.numbers.get(&shard)
    }

    /// What to store for a copy, whose place is taken.
    pub(super) fn put(
        &mut self,
        shard: ShardId,
        number: NamespaceId,
        copy: CopyToDrop,
    ) -> Result<Change, String> {
        let value = codec::encode_copy(&copy)?;
        self.copies.insert((shard, number), copy);
        self.count(shard);
        Ok(Change { key: key(shard, number), value: Some(value) })
    }

    /// What to store so that a copy is forgotten, if it is there.
    pub(super) fn remove(&mut self, shard: ShardId, number: NamespaceId) -> Option<Change> {
        self.copies.remove(&(shard, number))?;
        self.count(shard);
        Some(Change { key: key(shard, number), value: None })
    }

    /// Takes what the store has under a key.
    pub(super) fn read(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let (shard, number) =
            place(key).ok_or_else(|| format!("{} is no copy", String::from_utf8_lossy(key)))?;
        self.copies.insert((shard, number), codec::decode_copy(value)?);
        self.count(shard);
        Ok(())
    }

    fn count(&mut self, shard: ShardId) {
        let all = (shard, NamespaceId::new(0))..=(shard, NamespaceId::new(u64::MAX));
        let numbers: Arc<[NamespaceId]> = self.copies.range(all).map(|((_, number), _)| *number).collect();
        match numbers.is_empty() {
            true => drop(self.numbers.remove(&shard)),
            false => drop(self.numbers.insert(shard, numbers)),
        }
    }
}

fn key(shard: ShardId, number: NamespaceId) -> Vec<u8> {
    format!("drop/{:08x}/{:016x}", shard.get(), number.get()).into_bytes()
}

/// The shard and the number in a key, if they are written as they would be here.
fn place(bytes: &[u8]) -> Option<(ShardId, NamespaceId)> {
    let rest = std::str::from_utf8(bytes.strip_prefix(PREFIX)?).ok()?;
    let (shard, number) = rest.split_once('/')?;
    let shard = ShardId::new(u32::from_str_radix(shard, 16).ok()?);
    let number = NamespaceId::new(u64::from_str_radix(number, 16).ok()?);
    (key(shard, number) == bytes).then_some((shard, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::SeededRng;

    #[test]
    fn numbers_on_a_shard_are_those_of_its_copies_whatever_came_and_went() {
        let (mut copies, mut rng) = (CopiesToDrop::default(), SeededRng::new(3));
        let mut stored = BTreeMap::new();
        for _ in 0..1_000 {
            let (shard, number) = (ShardId::new(rng.below(3) as u32), NamespaceId::new(1 + rng.below(20)));
            let copy = CopyToDrop { tenant: format!("tenant {number}"), ..CopyToDrop::default() };
            let change = match rng.below(2) {
                0 => Some(copies.put(shard, number, copy).unwrap()),
                _ => copies.remove(shard, number),
            };
            if let Some(change) = change {
                stored.insert(change.key, change.value);
            }
            let mut again = CopiesToDrop::default();
            stored.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))).for_each(|(key, value)| {
                again.read(key, value).unwrap();
            });
            assert_eq!((&again.copies, &again.numbers), (&copies.copies, &copies.numbers));
            for shard in (0..3).map(ShardId::new) {
                let of_shard = copies.iter().filter(|(on, ..)| *on == shard).map(|(_, number, _)| number);
                assert_eq!(copies.on(shard).map_or(vec![], |all| all.to_vec()), of_shard.collect::<Vec<_>>());
            }
        }
        assert!(copies.read(b"drop/1/0000000000000001", b"").is_err());
    }
}

//! The names of an index and of its shards, as the catalog remembers them: what lies in their places under another name is not theirs.

use pinyon_shard::Birth;
use pinyon_storage::bytes::{BytesError, Reader};
use pinyon_types::UniqueId;

/// What an index and its shards are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The index.
    pub(crate) index: UniqueId,
    /// Its shards, by their numbers.
    pub(crate) shards: Vec<UniqueId>,
    /// How far the making of the shards has come.
    pub(crate) birth: Birth,
}

impl Identity {
    /// New names for an index, unless it has one, and for its shards.
    pub(crate) fn drawn(index: UniqueId, shards: u32, birth: Birth) -> Result<Self, String> {
        let index = if index.is_none() { draw()? } else { index };
        let shards = (0..shards).map(|_| draw()).collect::<Result<_, _>>()?;
        Ok(Self { index, shards, birth })
    }

    /// The same with another name for one shard.
    pub(crate) fn renamed(mut self, number: u32) -> Result<Self, String> {
        let shard =
            self.shards.get_mut(number as usize).ok_or_else(|| format!("there is no shard {number}"))?;
        *shard = draw()?;
        Ok(self)
    }
}

/// A name that nothing else has.
pub(crate) fn draw() -> Result<UniqueId, String> {
    let mut bytes = [0; UniqueId::BYTES];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random bytes: {error}"))?;
    Ok(UniqueId::new(bytes))
}

pub(super) fn encode(identity: &Identity) -> Vec<u8> {
    let birth = match identity.birth {
        Birth::Making => 0,
        Birth::Upgrading => 1,
        Birth::Made => 2,
    };
    let mut bytes = vec![birth];
    bytes.extend_from_slice(&identity.index.to_bytes());
    bytes.extend_from_slice(&(identity.shards.len() as u32).to_le_bytes());
    identity.shards.iter().for_each(|shard| bytes.extend_from_slice(&shard.to_bytes()));
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Identity, String> {
    let cut = |error: BytesError| format!("its identity: {error}");
    let mut reader = Reader::new(bytes);
    let birth = match reader.u8().map_err(cut)? {
        0 => Birth::Making,
        1 => Birth::Upgrading,
        2 => Birth::Made,
        other => return Err(format!("its identity: {other} is no state of shards")),
    };
    let index = name(&mut reader).map_err(cut)?;
    let count = reader.u32().map_err(cut)?;
    let shards = (0..count).map(|_| name(&mut reader)).collect::<Result<_, _>>().map_err(cut)?;
    reader.finish().map_err(cut)?;
    Ok(Identity { index, shards, birth })
}

fn name(reader: &mut Reader<'_>) -> Result<UniqueId, BytesError> {
    let mut bytes = [0; UniqueId::BYTES];
    bytes.copy_from_slice(reader.take(UniqueId::BYTES)?);
    Ok(UniqueId::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_are_never_the_same() {
        for birth in [Birth::Making, Birth::Upgrading, Birth::Made] {
            let identity = Identity::drawn(UniqueId::NONE, 4, birth).unwrap();
            let bytes = encode(&identity);
            assert_eq!(decode(&bytes).unwrap(), identity);
            (0..bytes.len()).for_each(|cut| assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}"));
            assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
        }
        let one = Identity::drawn(UniqueId::NONE, 300, Birth::Made).unwrap();
        let mut names: Vec<UniqueId> = one.shards.iter().copied().chain([one.index]).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 301);
        let renamed = one.clone().renamed(7).unwrap();
        let differ = |at: &usize| one.shards[*at] != renamed.shards[*at];
        assert_eq!((0..300).filter(differ).collect::<Vec<_>>(), [7]);
        assert!(one.renamed(300).is_err());
    }
}

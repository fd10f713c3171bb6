//! Where a shard belongs, and what is known of it outside of its directory: files of another shard, or of an earlier day, are told from
//! its own though each of them is whole.

use crate::ShardError;
use pinyon_storage::{
    Owner,
    io::SharedIo,
    manifest::{MadeWith, Manifest},
    segment::{SegmentError, SegmentFile, SegmentHead},
    witness::{Claim, Subject, Witness},
};
use pinyon_types::{SegmentId, SeqNo};
use std::{path::Path, sync::Arc};

/// How far the making of a shard has come, as those who had it made remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Birth {
    /// It may not be there yet.
    Making,
    /// It is there, and may still be as a version without names made it.
    Upgrading,
    /// It is there, with its name.
    Made,
}

/// Where a shard belongs.
#[derive(Debug, Clone)]
pub struct ShardPlace {
    /// Whose name stands in its files.
    pub owner: Owner,
    /// Whether there is a shard.
    pub birth: Birth,
    /// What its index is made with, for its manifest.
    pub made_with: Option<MadeWith>,
    /// What is known of it from outside.
    pub witness: Option<Arc<Witness>>,
    /// Where there is no shard yet: the position behind which its log begins.
    pub starts_after: SeqNo,
}

impl ShardPlace {
    /// The place of a shard that nobody else knows: its own manifest says whose it is.
    pub(crate) const fn unknown(number: u32) -> Self {
        let owner = Owner::numbered(number);
        Self { owner, birth: Birth::Making, made_with: None, witness: None, starts_after: SeqNo::ZERO }
    }

    /// Takes the names that a manifest has, where nobody else knows any.
    pub(crate) fn or_of(mut self, manifest: &Manifest) -> Self {
        if self.owner.shard.is_none() {
            self.owner = Owner { number: self.owner.number, ..manifest.owner };
        }
        self.made_with = self.made_with.or_else(|| manifest.made_with.clone());
        self
    }

    /// Checks that a manifest is this shard's, and its latest.
    ///
    /// # Errors
    /// [`ShardError::Foreign`], [`ShardError::Stale`].
    pub(crate) fn check(&self, dir: &Path, manifest: &Manifest) -> Result<(), ShardError> {
        let stale = |what: String| ShardError::Stale { path: dir.to_owned(), what };
        if manifest.generation == 0 {
            let is_expected = self.birth == Birth::Upgrading || self.owner.shard.is_none();
            let what = "its MANIFEST is of an earlier version than its index";
            return if is_expected { Ok(()) } else { Err(stale(what.into())) };
        }
        if manifest.owner != self.owner {
            let (found, expected) = (manifest.owner, self.owner);
            return Err(ShardError::Foreign { path: dir.to_owned(), found, expected });
        }
        match self.claim() {
            Some(claim) if manifest.generation < claim.generation => Err(stale(format!(
                "its MANIFEST is number {}, and number {} was stored",
                manifest.generation, claim.generation
            ))),
            _ => Ok(()),
        }
    }

    /// The last position that is known to have been acknowledged.
    pub(crate) fn acknowledged(&self) -> SeqNo {
        SeqNo::new(self.claim().map_or(0, |claim| claim.position))
    }

    fn claim(&self) -> Option<Claim> {
        self.witness.as_ref()?.claim(Subject::Shard(self.owner.number), self.owner.shard)
    }

    /// Has it known that a position is durable.
    pub(crate) fn raise_position(&self, position: SeqNo) {
        self.raise(Claim { position: position.get(), ..Claim::default() });
    }

    /// The same of a manifest.
    pub(crate) fn raise_manifest(&self, manifest: &Manifest) {
        self.raise(Claim { generation: manifest.generation, epoch: manifest.epoch_seen, ..Claim::default() });
    }

    fn raise(&self, claim: Claim) {
        if let Some(witness) = &self.witness {
            witness.raise(Subject::Shard(self.owner.number), Claim { owner: self.owner.shard, ..claim });
        }
    }

    /// Makes durable what was claimed.
    pub(crate) fn rest(&self) {
        if let Some(witness) = &self.witness {
            witness.rest();
        }
    }

    /// Opens a file that is made of a segment or beside it, and is this shard's or was made before shards had names.
    pub(crate) fn open(
        &self,
        io: &SharedIo,
        path: &Path,
        segment: SegmentId,
    ) -> Result<SegmentFile, SegmentError> {
        let of = |owner| SegmentFile::open(io, path, SegmentHead { owner, segment });
        match of(self.owner) {
            Err(SegmentError::Foreign { found, .. }) if found == Owner::numbered(self.owner.number) => {
                of(found)
            }
            opened => opened,
        }
    }
}

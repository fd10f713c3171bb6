//! A store under suspicion: every value carries a checksum, and one more value tells how many there must be, what they
//! sum up to, and at which epoch. So a store that lost something or went back in time is found out when it is read.

use super::{
    redb_store::RedbStore,
    rewrite,
    sled_store::SledStore,
    store::{CatalogError, CatalogKind, CatalogStore, Change, VALUE_BYTES_MAX, guarded},
};
use pinyon_storage::{
    io::SharedIo,
    witness::{Claim, Subject, Witness},
};
use pinyon_types::{Epoch, UniqueId};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const META_KEY: &[u8] = b"!meta";
const VERSION: u8 = 1;
/// Version byte and checksum before every value.
const SEAL_BYTES: usize = 5;

/// Looks without a change after which a store is closed.
const IDLE_LOOKS: u32 = 20;
/// Stores with more entries stay open: reading them again would keep a change waiting.
const RESTING_ENTRIES_MAX: usize = 64;

/// Keys and values.
pub(crate) type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// A raw store with its checks.
#[derive(Debug)]
pub(crate) struct CheckedStore {
    /// Closed while nobody changes anything.
    raw: Option<Box<dyn CatalogStore>>,
    /// How it is opened again; if not here, it is never closed.
    kind: Option<CatalogKind>,
    /// Where it lies, and what is written beside it.
    io: SharedIo,
    /// Looks since the last change.
    idle_looks: u32,
    path: PathBuf,
    epoch: Epoch,
    /// Checksum of every entry, so that the sum can follow each change.
    checksums: BTreeMap<Vec<u8>, u64>,
    poisoned: Option<String>,
    /// Whether it takes changes, for who does not want to wait for one that is on its way.
    takes_changes: Arc<AtomicBool>,
    /// Who knows from outside how far it came.
    witness: Option<Arc<Witness>>,
}

/// What the store holds.
#[derive(Debug, Default)]
pub(super) struct Image {
    pub(super) entries: Entries,
}

impl CheckedStore {
    /// Opens the store of a kind in `dir`, which must exist, or begins one there.
    ///
    /// # Errors
    /// A damaged store, another kind of store than the one that is there, the store's own.
    pub(crate) fn open_on(
        io: &SharedIo,
        dir: &Path,
        kind: CatalogKind,
    ) -> Result<(Self, Entries), CatalogError> {
        rewrite::end_copying(io, dir, kind)?;
        if let Some(found) = CatalogKind::present_in(io, dir)?.filter(|found| *found != kind) {
            return Err(CatalogError::OtherStore { path: dir.to_owned(), found, asked: kind });
        }
        let path = dir.join(kind.file_name());
        let (store, image) = Self::open(io, open_raw(io, kind, &path)?, &path)?;
        Ok((Self { kind: Some(kind), ..store }, image.entries))
    }

    /// The same in a directory of the machine.
    #[cfg(test)]
    pub(crate) fn open_in(dir: &Path, kind: CatalogKind) -> Result<(Self, Entries), CatalogError> {
        Self::open_on(&crate::system_io(), dir, kind)
    }

    /// Stands in for a store that could not be read: it has nothing and takes nothing.
    pub(super) fn lost(io: &SharedIo, path: &Path, problem: String) -> Self {
        Self {
            io: Arc::clone(io),
            raw: None,
            kind: None,
            idle_looks: 0,
            path: path.to_owned(),
            epoch: Epoch::ZERO,
            checksums: BTreeMap::new(),
            poisoned: Some(problem),
            takes_changes: Arc::new(AtomicBool::new(false)),
            witness: None,
        }
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// A value that does not fit its checksum, or values that do not add up.
    pub(super) fn open(
        io: &SharedIo,
        mut raw: Box<dyn CatalogStore>,
        path: &Path,
    ) -> Result<(Self, Image), CatalogError> {
        let damaged = |problem: String| CatalogError::Damaged { path: path.to_owned(), problem };
        let mut entries = BTreeMap::new();
        for (key, sealed) in guarded(path, || raw.load_all())? {
            let value = unseal(&key, &sealed);
            let value = value.ok_or_else(|| damaged(format!("entry {} does not read back", show(&key))))?;
            entries.insert(key, value.to_vec());
        }
        let meta = entries.remove(META_KEY);
        let checksums: BTreeMap<Vec<u8>, u64> =
            entries.iter().map(|(key, value)| (key.clone(), checksum(key, value))).collect();
        let epoch = match meta {
            None if entries.is_empty() => Epoch::ZERO,
            None => return Err(damaged("its entries are there, but not what they must add up to".into())),
            Some(meta) => check_meta(&meta, &checksums).map_err(damaged)?,
        };
        Ok((
            Self {
                raw: Some(raw),
                kind: None,
                io: Arc::clone(io),
                idle_looks: IDLE_LOOKS,
                path: path.to_owned(),
                epoch,
                checksums,
                poisoned: None,
                takes_changes: Arc::new(true.into()),
                witness: None,
            },
            Image { entries },
        ))
    }

    pub(crate) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether it takes changes (none failed); the same value as long as the store lives.
    pub(crate) fn takes_changes(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.takes_changes)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn io(&self) -> &SharedIo {
        &self.io
    }

    /// Closes a small store that was not changed since it was opened, or for some looks: open it takes files, and megabytes of memory.
    pub(crate) fn rest(&mut self) {
        self.idle_looks = self.idle_looks.saturating_add(1);
        let may_rest =
            self.kind.is_some() && self.poisoned.is_none() && self.checksums.len() <= RESTING_ENTRIES_MAX;
        if may_rest && self.idle_looks > IDLE_LOOKS {
            self.raw = None;
        }
    }

    /// Opens it again. It must hold what it held.
    fn wake(&mut self) -> Result<(), CatalogError> {
        self.idle_looks = 0;
        let Some(kind) = self.kind.filter(|_| self.raw.is_none()) else { return Ok(()) };
        let (found, _) = Self::open(&self.io, open_raw(&self.io, kind, &self.path)?, &self.path)?;
        if (found.epoch, &found.checksums) != (self.epoch, &self.checksums) {
            let problem = format!(
                "it was closed at epoch {} and is at epoch {} now, with other entries perhaps",
                self.epoch, found.epoch
            );
            return Err(CatalogError::Damaged { path: self.path.clone(), problem });
        }
        self.raw = found.raw;
        Ok(())
    }

    #[cfg(test)]
    pub(super) const fn is_open(&self) -> bool {
        self.raw.is_some()
    }

    /// Has a witness know of every change from now on.
    ///
    /// # Errors
    /// [`CatalogError::RolledBack`] if it knows of later ones.
    pub(crate) fn watch(&mut self, witness: Arc<Witness>) -> Result<(), CatalogError> {
        let claim = witness.claim(Subject::Store, UniqueId::NONE);
        let seen = Epoch::new(claim.map_or(0, |claim| claim.epoch));
        if seen > self.epoch {
            return Err(CatalogError::RolledBack { have: self.epoch, seen });
        }
        self.witness = Some(witness);
        self.tell_witness();
        Ok(())
    }

    fn tell_witness(&self) {
        if let Some(witness) = &self.witness {
            witness.raise(Subject::Store, Claim { epoch: self.epoch.get(), ..Claim::default() });
        }
    }

    /// Makes all changes or none, durably, and moves to `epoch`.
    ///
    /// # Errors
    /// The store's; it takes no more changes then.
    pub(crate) fn commit(&mut self, changes: &[Change], epoch: Epoch) -> Result<(), CatalogError> {
        if let Some(reason) = &self.poisoned {
            return Err(CatalogError::Poisoned { reason: reason.clone() });
        }
        if let Err(error) = self.wake() {
            // Nothing was changed. Where only a descriptor was missing the next change may find one.
            return Err(if matches!(error, CatalogError::Damaged { .. }) {
                self.poison(error)
            } else {
                error
            });
        }
        let mut checksums = self.checksums.clone();
        let mut sealed = Vec::with_capacity(changes.len() + 1);
        for change in changes {
            match &change.value {
                Some(value) => drop(checksums.insert(change.key.clone(), checksum(&change.key, value))),
                None => drop(checksums.remove(&change.key)),
            }
            sealed.push(seal_change(change));
        }
        let meta = encode_meta(epoch, &checksums);
        sealed.push(seal_change(&Change { key: META_KEY.to_vec(), value: Some(meta) }));
        let committed = guarded(&self.path, || match &mut self.raw {
            Some(raw) => raw.commit(&sealed),
            None => Err(CatalogError::Store { path: self.path.clone(), problem: "it is closed".into() }),
        });
        committed.map_err(|error| self.poison(error))?;
        self.checksums = checksums;
        self.epoch = epoch;
        self.tell_witness();
        Ok(())
    }

    /// Puts a copy in the place of the files, in which nothing is that was removed or replaced. The store is closed by it.
    ///
    /// # Errors
    /// The store's; it goes on as it was.
    pub(super) fn rewrite(&mut self) -> Result<(), CatalogError> {
        if let Some(reason) = &self.poisoned {
            return Err(CatalogError::Poisoned { reason: reason.clone() });
        }
        self.wake()?;
        // One that cannot be opened again stands in for a file only in tests.
        let (Some(kind), Some(raw)) = (self.kind, &mut self.raw) else { return Ok(()) };
        let entries = guarded(&self.path, || raw.load_all())?;
        self.raw = None;
        rewrite::replace(&self.io, &self.path, kind, entries)?;
        // What was copied must be what is known.
        self.wake()
    }

    fn poison(&mut self, error: CatalogError) -> CatalogError {
        self.poisoned = Some(error.to_string());
        self.takes_changes.store(false, Ordering::Relaxed);
        error
    }
}

/// Opens a store of a kind; those that open their files themselves do so on the machine.
pub(super) fn open_raw(
    #[cfg_attr(not(any(test, feature = "testing")), expect(unused_variables))] io: &SharedIo,
    kind: CatalogKind,
    path: &Path,
) -> Result<Box<dyn CatalogStore>, CatalogError> {
    Ok(match kind {
        CatalogKind::Sled => Box::new(SledStore::open(path)?),
        CatalogKind::Redb => Box::new(RedbStore::open(path)?),
        #[cfg(any(test, feature = "testing"))]
        CatalogKind::File => Box::new(super::file_store::FileStore::open(io, path)?),
    })
}

fn seal_change(change: &Change) -> Change {
    let value = change.value.as_ref().map(|value| {
        assert!(
            value.len() + SEAL_BYTES <= VALUE_BYTES_MAX,
            "the routing table packs values below the limit"
        );
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&seal(&change.key, value).to_le_bytes());
        sealed.extend_from_slice(value);
        sealed
    });
    Change { key: change.key.clone(), value }
}

fn seal(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), value)
}

fn unseal<'a>(key: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (head, value) = sealed.split_at_checked(SEAL_BYTES)?;
    let (version, stored) = head.split_first()?;
    let fits = *version == VERSION && stored == seal(key, value).to_le_bytes();
    fits.then_some(value)
}

/// A checksum whose sum over all entries does not depend on their order.
fn checksum(key: &[u8], value: &[u8]) -> u64 {
    let (key, value) = (crc32c::crc32c(key), crc32c::crc32c(value));
    crate::placement::fmix64((u64::from(key) << 32) | u64::from(value))
}

fn encode_meta(epoch: Epoch, checksums: &BTreeMap<Vec<u8>, u64>) -> Vec<u8> {
    let sum = checksums.values().fold(0_u64, |sum, one| sum.wrapping_add(*one));
    [epoch.get(), checksums.len() as u64, sum].iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn check_meta(meta: &[u8], checksums: &BTreeMap<Vec<u8>, u64>) -> Result<Epoch, String> {
    let epoch = meta.first_chunk::<8>().map(|bytes| Epoch::new(u64::from_le_bytes(*bytes)));
    let epoch = epoch.ok_or_else(|| "what its entries must add up to is too short".to_owned())?;
    if meta == encode_meta(epoch, checksums) {
        return Ok(epoch);
    }
    Err(format!("its {} entries do not add up to what was written at epoch {epoch}", checksums.len()))
}

fn show(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

#[cfg(test)]
mod tests;

//! A store under suspicion: every value carries a checksum, and one more value tells how many there must be, what they
//! sum up to, and at which epoch. So a store that lost something or went back in time is found out when it is read.

use super::{
    raw::open_raw,
    rewrite,
    sealing::{META_KEY, Sum, check_meta, checksum, encode_meta, seal_change, show, unseal},
    store::{CatalogError, CatalogKind, CatalogStore, Change, guarded},
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
    sum: Sum,
    poisoned: Option<String>,
    /// Where the change would have led after which it takes none.
    attempted: Option<(Epoch, Sum)>,
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
            sum: Sum::default(),
            poisoned: Some(problem),
            attempted: None,
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
        let sum = Sum::of(&checksums);
        let epoch = match meta {
            None if entries.is_empty() => Epoch::ZERO,
            None => return Err(damaged("its entries are there, but not what they must add up to".into())),
            Some(meta) => check_meta(&meta, sum).map_err(damaged)?,
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
                sum,
                poisoned: None,
                attempted: None,
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

    /// Puts something between itself and its raw store, to fail as one fails.
    #[cfg(test)]
    pub(super) fn open_and_wrap(
        &mut self,
        wrap: impl FnOnce(Box<dyn CatalogStore>) -> Box<dyn CatalogStore>,
    ) {
        self.wake().unwrap();
        self.raw = self.raw.take().map(wrap);
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

    /// Says why it takes no changes, if it does not.
    ///
    /// # Errors
    /// [`CatalogError::Poisoned`].
    pub(super) fn check(&self) -> Result<(), CatalogError> {
        let poisoned = |reason: &String| Err(CatalogError::Poisoned { reason: reason.clone() });
        self.poisoned.as_ref().map_or(Ok(()), poisoned)
    }

    /// Makes all changes or none, durably, and moves to `epoch`.
    ///
    /// # Errors
    /// The store's; it takes no more changes then.
    pub(crate) fn commit(&mut self, changes: &[Change], epoch: Epoch) -> Result<(), CatalogError> {
        self.check()?;
        if let Err(error) = self.wake() {
            // Nothing was changed. Where only a descriptor was missing the next change may find one.
            return Err(if matches!(error, CatalogError::Damaged { .. }) {
                self.poison(error)
            } else {
                error
            });
        }
        let (sum, checksums) = self.summed(changes);
        let mut sealed: Vec<Change> = changes.iter().map(seal_change).collect();
        let meta = encode_meta(epoch, sum);
        sealed.push(seal_change(&Change { key: META_KEY.to_vec(), value: Some(meta) }));
        let committed = guarded(&self.path, || match &mut self.raw {
            Some(raw) => raw.commit(&sealed),
            None => Err(CatalogError::Store { path: self.path.clone(), problem: "it is closed".into() }),
        });
        if let Err(error) = committed {
            self.attempted = Some((epoch, sum));
            return Err(self.poison(error));
        }
        for (key, checksum) in checksums {
            match checksum {
                Some(checksum) => drop(self.checksums.insert(key.to_vec(), checksum)),
                None => drop(self.checksums.remove(key)),
            }
        }
        (self.epoch, self.sum) = (epoch, sum);
        self.tell_witness();
        Ok(())
    }

    /// What all entries add up to after these changes, and the checksums that they leave. Looks at nothing else, however much there is.
    fn summed<'a>(&self, changes: &'a [Change]) -> (Sum, BTreeMap<&'a [u8], Option<u64>>) {
        let (mut sum, mut checksums) = (self.sum, BTreeMap::new());
        for Change { key, value } in changes {
            let new = value.as_ref().map(|value| checksum(key, value));
            let earlier = checksums.insert(key.as_slice(), new);
            let old = earlier.unwrap_or_else(|| self.checksums.get(key).copied());
            sum = old.map_or(sum, |old| sum.without(old));
            sum = new.map_or(sum, |new| sum.with(new));
        }
        (sum, checksums)
    }

    /// Reads the store after a change whose outcome nobody knows; if it holds what it held before that change or after it, it takes
    /// changes again. It is copied into new files first: what the system gives back after a sync that failed may be on no disk.
    ///
    /// # Errors
    /// The store's; it goes on taking no changes, and may be read again.
    pub(super) fn read_again(&mut self) -> Result<Image, CatalogError> {
        let (Some(kind), Some(dir)) = (self.kind, self.path.parent()) else {
            self.check()?;
            return Err(self.damaged("it has no files that could be read again".into()));
        };
        self.raw = None;
        rewrite::end_copying(&self.io, dir, kind)?;
        let (mut found, _) = self.opened_as_expected(kind)?;
        let entries =
            guarded(&self.path, || found.raw.as_mut().map_or(Ok(Vec::new()), |raw| raw.load_all()))?;
        drop(found);
        rewrite::copy(&self.io, &self.path, kind, entries)?;
        rewrite::put_in_place(&self.io, &self.path)?;
        rewrite::remove_old(&self.io, &self.path)?;
        let (found, image) = self.opened_as_expected(kind)?;
        let Self { raw, epoch, checksums, sum, .. } = found;
        (self.raw, self.epoch, self.checksums, self.sum) = (raw, epoch, checksums, sum);
        (self.poisoned, self.attempted, self.idle_looks) = (None, None, 0);
        self.takes_changes.store(true, Ordering::Relaxed);
        self.tell_witness();
        Ok(image)
    }

    /// Opens the files, which must hold what is known, or what the change that failed would have made of it.
    fn opened_as_expected(&self, kind: CatalogKind) -> Result<(Self, Image), CatalogError> {
        let exists = self.io.exists(&self.path);
        if !exists.map_err(|error| self.damaged(error.to_string()))? {
            return Err(self.damaged("it is not there any more".into()));
        }
        let (found, image) = Self::open(&self.io, open_raw(&self.io, kind, &self.path)?, &self.path)?;
        let holds = (found.epoch, found.sum);
        if holds == (self.epoch, self.sum) || self.attempted == Some(holds) {
            return Ok((found, image));
        }
        Err(self.damaged(format!(
            "it was at epoch {} and is at epoch {} now, and holds neither what it held before the change that failed nor what \
             it would hold after it",
            self.epoch, found.epoch
        )))
    }

    fn damaged(&self, problem: String) -> CatalogError {
        CatalogError::Damaged { path: self.path.clone(), problem }
    }

    /// Puts a copy in the place of the files, in which nothing is that was removed or replaced. The store is closed by it.
    ///
    /// # Errors
    /// The store's; it goes on as it was, or takes no more changes where nobody knows what a power cut would leave.
    pub(super) fn rewrite(&mut self) -> Result<(), CatalogError> {
        self.check()?;
        self.wake()?;
        // One that cannot be opened again stands in for a file only in tests.
        let (Some(kind), Some(raw)) = (self.kind, &mut self.raw) else { return Ok(()) };
        let entries = guarded(&self.path, || raw.load_all())?;
        self.raw = None;
        rewrite::copy(&self.io, &self.path, kind, entries)?;
        rewrite::put_in_place(&self.io, &self.path).map_err(|error| self.poison(error))?;
        rewrite::remove_old(&self.io, &self.path)?;
        // What was copied must be what is known.
        self.wake()
    }

    fn poison(&mut self, error: CatalogError) -> CatalogError {
        self.poisoned = Some(error.to_string());
        self.takes_changes.store(false, Ordering::Relaxed);
        error
    }
}

#[cfg(test)]
mod tests;

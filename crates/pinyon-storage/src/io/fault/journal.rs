//! What was done to the fault disk, in order, and which of it a crash leaves. Must not know how calls are made to fail.

use super::Keep;
use crate::io::memory::write_into;
use pinyon_types::SeededRng;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Unit in which a disk writes: a torn write keeps some of these and loses others.
const SECTOR_BYTES: u64 = 512;

/// The inode of the directory that all others lie in.
pub(super) const ROOT: u64 = 0;

/// A name in a directory. Directories are known by their inodes, so that what is in one goes where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dir: u64,
    pub(super) name: OsString,
}

/// One change, or one promise of durability.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    MakeDir { at: Entry, inode: u64 },
    Create { at: Entry, inode: u64 },
    Rename { from: Entry, to: Entry },
    Remove { at: Entry },
    SyncDir { dir: u64 },
    Write { inode: u64, offset: u64, bytes: Vec<u8> },
    SetLen { inode: u64, length: u64 },
    SyncData { inode: u64 },
    SyncFailed { inode: u64 },
}

/// What a disk holds: names in directories, and the bytes that files have.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    /// By its inode, the names in every directory, and what each stands for.
    pub(super) dirs: BTreeMap<u64, BTreeMap<OsString, u64>>,
    pub(super) bytes: BTreeMap<u64, Vec<u8>>,
}

impl Default for Contents {
    fn default() -> Self {
        Self { dirs: [(ROOT, BTreeMap::new())].into(), bytes: BTreeMap::new() }
    }
}

impl Contents {
    /// What is left of these contents and the journal's changes after a crash at the journal's end.
    pub(super) fn after_crash(&self, journal: &[Operation], keep: Keep) -> Self {
        let mut coin = SeededRng::new(match keep {
            Keep::Random { seed } | Keep::Torn { seed } => seed,
            Keep::Nothing | Keep::Everything => 0,
        });
        let mut left = self.clone();
        left.replay_bytes(journal, keep, &mut coin);
        left.replay_names(journal, keep, &mut coin);
        left
    }

    fn replay_bytes(&mut self, journal: &[Operation], keep: Keep, coin: &mut SeededRng) {
        let durable = durable_changes(journal);
        for (at, operation) in journal.iter().enumerate() {
            let mut survives = || durable.contains(&at) || survives_crash(keep, coin);
            match operation {
                Operation::Write { inode, offset, bytes } => {
                    let file = self.bytes.entry(*inode).or_default();
                    if matches!(keep, Keep::Torn { .. }) {
                        write_sectors(file, bytes, *offset, &mut survives);
                    } else if survives() {
                        write(file, bytes, *offset);
                    }
                }
                Operation::SetLen { inode, length } if survives() => {
                    let length = usize::try_from(*length).unwrap_or(usize::MAX);
                    self.bytes.entry(*inode).or_default().resize(length, 0);
                }
                _ => {}
            }
        }
    }

    fn replay_names(&mut self, journal: &[Operation], keep: Keep, coin: &mut SeededRng) {
        let mut pending: BTreeMap<u64, Vec<&Operation>> = BTreeMap::new();
        for operation in journal {
            match operation {
                Operation::MakeDir { at, .. } => {
                    self.sync_names(at.dir, &mut pending);
                    self.apply_name(operation);
                }
                Operation::Create { at, .. }
                | Operation::Remove { at }
                | Operation::Rename { to: at, .. } => {
                    pending.entry(at.dir).or_default().push(operation);
                }
                Operation::SyncDir { dir } => self.sync_names(*dir, &mut pending),
                _ => {}
            }
        }
        for changes in pending.into_values() {
            let survivors = match keep {
                Keep::Nothing => 0,
                Keep::Everything => changes.len(),
                Keep::Random { .. } | Keep::Torn { .. } => {
                    usize::try_from(coin.below(changes.len() as u64 + 1)).unwrap_or(0)
                }
            };
            changes.into_iter().take(survivors).for_each(|change| self.apply_name(change));
        }
    }

    fn sync_names(&mut self, dir: u64, pending: &mut BTreeMap<u64, Vec<&Operation>>) {
        pending.remove(&dir).into_iter().flatten().for_each(|change| self.apply_name(change));
    }

    fn apply_name(&mut self, change: &Operation) {
        match change {
            Operation::MakeDir { at, inode } => {
                self.dirs.entry(*inode).or_default();
                let old = self.enter(at, *inode);
                assert!(old.is_none(), "{at:?} was made where something is whose going is not durable");
            }
            Operation::Create { at, inode } => drop(self.enter(at, *inode)),
            Operation::Remove { at } => drop(self.strike(at)),
            Operation::Rename { from, to } => {
                if let Some(inode) = self.strike(from) {
                    self.enter(to, inode);
                }
            }
            _ => {}
        }
    }

    pub(super) fn enter(&mut self, at: &Entry, inode: u64) -> Option<u64> {
        self.dirs.entry(at.dir).or_default().insert(at.name.clone(), inode)
    }

    fn strike(&mut self, at: &Entry) -> Option<u64> {
        self.dirs.get_mut(&at.dir)?.remove(&at.name)
    }

    /// Every path below the root and what it stands for; what is above comes first.
    pub(super) fn paths(&self) -> Vec<(PathBuf, u64)> {
        let mut paths = Vec::new();
        let mut open = vec![(Path::new("/").to_owned(), ROOT)];
        while let Some((dir, inode)) = open.pop() {
            for (name, inner) in self.dirs.get(&inode).into_iter().flatten() {
                let path = dir.join(name);
                if self.dirs.contains_key(inner) {
                    open.push((path.clone(), *inner));
                }
                paths.push((path, *inner));
            }
        }
        paths
    }
}

/// The fate of one change, or one sector of it, that was not made durable.
const fn survives_crash(keep: Keep, coin: &mut SeededRng) -> bool {
    match keep {
        Keep::Nothing => false,
        Keep::Everything => true,
        Keep::Random { .. } | Keep::Torn { .. } => coin.below(2) == 0,
    }
}

/// Which changes of bytes are durable at the end of a journal.
fn durable_changes(journal: &[Operation]) -> BTreeSet<usize> {
    let mut pending: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut durable = BTreeSet::new();
    for (at, operation) in journal.iter().enumerate() {
        match operation {
            Operation::Write { inode, .. } | Operation::SetLen { inode, .. } => {
                pending.entry(*inode).or_default().push(at);
            }
            Operation::SyncData { inode } => durable.extend(pending.remove(inode).unwrap_or_default()),
            // The kernel has marked what was pending as clean: no later sync covers it.
            Operation::SyncFailed { inode } => drop(pending.remove(inode)),
            _ => {}
        }
    }
    durable
}

/// Writes those sectors that `survives` lets through. Sectors are counted on the disk, not in the write.
fn write_sectors(file: &mut Vec<u8>, bytes: &[u8], offset: u64, survives: &mut dyn FnMut() -> bool) {
    let mut rest = bytes;
    let mut at = offset;
    while !rest.is_empty() {
        let in_sector = usize::try_from(SECTOR_BYTES - at % SECTOR_BYTES).unwrap_or(rest.len());
        let (sector, after) = rest.split_at(in_sector.min(rest.len()));
        if survives() {
            write(file, sector, at);
        }
        at += sector.len() as u64;
        rest = after;
    }
}

fn write(file: &mut Vec<u8>, bytes: &[u8], offset: u64) {
    // The same bytes fitted at the same place when they were written.
    let _ = write_into(file, bytes, offset);
}

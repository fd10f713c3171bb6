//! What was done to the fault disk, in order, and which of it a crash leaves. Must not know how calls are made to fail.

use super::Keep;
use crate::io::{dir_of, memory::write_into};
use pinyon_types::SeededRng;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Unit in which a disk writes: a torn write keeps some of these and loses others.
const SECTOR_BYTES: u64 = 512;

/// One change, or one promise of durability.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    MakeDir { dir: PathBuf },
    Create { path: PathBuf, inode: u64 },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
    SyncDir { dir: PathBuf },
    Write { inode: u64, offset: u64, bytes: Vec<u8> },
    SetLen { inode: u64, length: u64 },
    SyncData { inode: u64 },
    SyncFailed { inode: u64 },
}

/// What a disk holds: names, and the bytes they stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    pub(super) dirs: BTreeSet<PathBuf>,
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) bytes: BTreeMap<u64, Vec<u8>>,
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
        let mut pending: BTreeMap<&Path, Vec<&Operation>> = BTreeMap::new();
        for operation in journal {
            match operation {
                Operation::MakeDir { dir } => self.dirs.extend(dir.ancestors().map(Path::to_owned)),
                Operation::Create { path, .. }
                | Operation::Remove { path }
                | Operation::Rename { to: path, .. } => {
                    pending.entry(dir_of(path)).or_default().push(operation);
                }
                Operation::SyncDir { dir } => {
                    let changes = pending.remove(&**dir).unwrap_or_default();
                    changes.into_iter().for_each(|change| self.apply_name(change));
                }
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

    fn apply_name(&mut self, change: &Operation) {
        match change {
            Operation::Create { path, inode } => drop(self.names.insert(path.clone(), *inode)),
            Operation::Remove { path } => drop(self.names.remove(path)),
            Operation::Rename { from, to } => {
                if let Some(inode) = self.names.remove(from) {
                    self.names.insert(to.clone(), inode);
                }
            }
            _ => {}
        }
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

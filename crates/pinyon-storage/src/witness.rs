//! The witness: what is known of shards and of a store outside of them, so that files of an earlier day are noticed where every one of
//! them is whole in itself.
//!
//! Every claim is a lower bound: it is written after what it claims is durable, without a sync. So an old witness, or none, never raises
//! a false alarm; a killed process loses nothing of it, and a power cut loses at most what was not written back yet: then less is
//! noticed, and no data are lost.
//!
//! File: header of 512 bytes: that of [`crate::owner`] with magic "PNYWIT\0\0", whose shard and number are 0, then zeros. Then slots of
//! 512 bytes, two a claim, written in turn; the valid one with the higher count holds. The claim on the store comes first, that on
//! shard n after n others. Slot: 0 count u64, 8 owner 16 bytes, 24 position u64, 32 generation u64, 40 epoch u64, zeros, 508 CRC-32C u32
//! of bytes 0..508.

use crate::{
    Owner,
    bytes::Reader,
    io::{File, SharedIo, write_file_atomically},
    owner,
};
use pinyon_planted::is_planted;
use pinyon_types::UniqueId;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The file's name.
pub const WITNESS_FILE_NAME: &str = "WITNESS";

const MAGIC: &[u8; 8] = b"PNYWIT\0\0";
/// What a disk writes whole.
const SECTOR_BYTES: usize = 512;
/// Nobody counts so far: from any other number one can count on.
const COUNT_MAX: u64 = 1_000_000_000_000_000_000;
const CHECKSUM_AT: usize = SECTOR_BYTES - 4;

/// Of what there is a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A store of small values beside the shards.
    Store,
    /// The shard of a number.
    Shard(u32),
}

impl Subject {
    /// Where the first of its two slots begins.
    const fn offset(self) -> u64 {
        let place = match self {
            Self::Store => 0,
            Self::Shard(number) => 1 + number as u64,
        };
        (1 + 2 * place) * SECTOR_BYTES as u64
    }
}

/// What was durable at some time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Of whom: a claim on another shard of the same number is none.
    pub owner: UniqueId,
    /// The last position of its log.
    pub position: u64,
    /// The generation of its manifest.
    pub generation: u64,
    /// The highest epoch.
    pub epoch: u64,
}

impl Claim {
    fn and(self, other: Self) -> Self {
        if self.owner != other.owner {
            return other;
        }
        Self {
            owner: self.owner,
            position: self.position.max(other.position),
            generation: self.generation.max(other.generation),
            epoch: self.epoch.max(other.epoch),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    count: u64,
    claim: Claim,
}

/// What is known of the shards of an index and of its store.
#[derive(Debug)]
pub struct Witness {
    io: SharedIo,
    path: PathBuf,
    index: UniqueId,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The slot of each claim that holds.
    slots: BTreeMap<Subject, Slot>,
    /// Whether there is a file of this index.
    is_begun: bool,
    /// Open while claims come.
    file: Option<Box<dyn File>>,
    is_dirty: bool,
    has_failed: bool,
}

impl Witness {
    /// Reads what is there; a file of another index, or one that is damaged, claims nothing. Makes nothing.
    ///
    /// # Errors
    /// The system's.
    pub fn open(io: &SharedIo, dir: &Path, index: UniqueId) -> io::Result<Self> {
        let path = dir.join(WITNESS_FILE_NAME);
        let bytes = if io.exists(&path)? { io.read(&path)? } else { Vec::new() };
        let state = match read_slots(&bytes, index) {
            Some(slots) => State { slots, is_begun: true, ..State::default() },
            None => State::default(),
        };
        Ok(Self { io: Arc::clone(io), path, index, state: Mutex::new(state) })
    }

    /// Whether there was a file of this index when it was opened, or is by now.
    pub fn is_begun(&self) -> bool {
        self.lock().is_begun
    }

    /// What is claimed of a subject that has this name.
    pub fn claim(&self, subject: Subject, owner: UniqueId) -> Option<Claim> {
        let slot = self.lock().slots.get(&subject).copied()?;
        (slot.claim.owner == owner).then_some(slot.claim)
    }

    /// Adds to what is claimed: of each number the higher one holds. What is claimed is durable already. A disk that does not take it
    /// is no reason to fail: less is noticed then.
    pub fn raise(&self, subject: Subject, claim: Claim) {
        let mut state = self.lock();
        let old = state.slots.get(&subject).map_or_else(Claim::default, |slot| slot.claim);
        let raised = old.and(claim);
        if raised != old {
            self.put(&mut state, subject, raised);
        }
    }

    /// Claims no more than this of a subject, because somebody accepts what is there.
    pub fn lower(&self, subject: Subject, claim: Claim) {
        self.put(&mut self.lock(), subject, claim);
    }

    /// Makes durable what was claimed, and lets go of the file.
    pub fn rest(&self) {
        let mut state = self.lock();
        let file = state.file.take();
        if let Some(file) = file.filter(|_| state.is_dirty) {
            state.is_dirty = file.sync_data().is_err();
        }
    }

    fn put(&self, state: &mut State, subject: Subject, claim: Claim) {
        let count = state.slots.get(&subject).map_or(0, |slot| slot.count) + 1;
        let slot = Slot { count, claim };
        state.has_failed = self.write(state, subject, slot).is_err();
        // Also what did not reach the file counts here: it is written with the next one.
        state.slots.insert(subject, slot);
        state.is_dirty = true;
    }

    fn write(&self, state: &mut State, subject: Subject, slot: Slot) -> io::Result<()> {
        if !state.is_begun {
            let header = encode_header(self.index);
            write_file_atomically(&*self.io, &self.path, &header)?;
            state.is_begun = true;
        }
        if state.file.is_none() {
            state.file = Some(self.io.open(&self.path)?);
        }
        let Some(file) = &state.file else { return Ok(()) };
        let turn = if is_planted(4) { 0 } else { slot.count % 2 };
        let offset = subject.offset() + turn * SECTOR_BYTES as u64;
        file.write_at(&encode_slot(slot), offset)
    }

    /// Whether the last claim did not reach the file.
    pub fn has_failed(&self) -> bool {
        self.lock().has_failed
    }

    /// No change of the state panics half way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encode_header(index: UniqueId) -> Vec<u8> {
    let owner = Owner { index, ..Owner::default() };
    let mut header = owner::encode_header(MAGIC, owner, 0);
    header.resize(SECTOR_BYTES, 0);
    header
}

fn encode_slot(Slot { count, claim }: Slot) -> Vec<u8> {
    let mut slot = count.to_le_bytes().to_vec();
    slot.extend_from_slice(&claim.owner.to_bytes());
    for number in [claim.position, claim.generation, claim.epoch] {
        slot.extend_from_slice(&number.to_le_bytes());
    }
    slot.resize(CHECKSUM_AT, 0);
    slot.extend_from_slice(&crc32c::crc32c(&slot).to_le_bytes());
    slot
}

fn decode_slot(sector: &[u8]) -> Option<Slot> {
    let mut reader = Reader::new(sector);
    let count = reader.u64().ok()?;
    let owner = UniqueId::new(reader.take(UniqueId::BYTES).ok()?.try_into().ok()?);
    let (position, generation, epoch) = (reader.u64().ok()?, reader.u64().ok()?, reader.u64().ok()?);
    let covered = sector.get(..CHECKSUM_AT)?;
    let checksum = Reader::new(sector.get(CHECKSUM_AT..)?).u32().ok()?;
    let claim = Claim { owner, position, generation, epoch };
    ((1..=COUNT_MAX).contains(&count) && checksum == crc32c::crc32c(covered)).then_some(Slot { count, claim })
}

/// The slots that hold; nothing if it is not the file of this index.
fn read_slots(bytes: &[u8], index: UniqueId) -> Option<BTreeMap<Subject, Slot>> {
    if bytes.get(..SECTOR_BYTES)? != encode_header(index) {
        return None;
    }
    let mut slots = BTreeMap::new();
    let pairs = bytes.get(SECTOR_BYTES..)?.chunks(2 * SECTOR_BYTES);
    for (pair, place) in pairs.zip(0_u32..) {
        let subject = place.checked_sub(1).map_or(Subject::Store, Subject::Shard);
        let valid = pair.chunks(SECTOR_BYTES).filter_map(decode_slot);
        if let Some(slot) = valid.max_by_key(|slot| slot.count) {
            slots.insert(subject, slot);
        }
    }
    Some(slots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Fault, FaultDisk, FaultKind, Keep, MemoryIo};

    const DIR: &str = "/w";
    const INDEX: UniqueId = UniqueId::new([1; 16]);
    const OWNER: UniqueId = UniqueId::new([2; 16]);

    fn claim(position: u64) -> Claim {
        Claim { owner: OWNER, position, generation: position / 2, epoch: 3 }
    }

    fn memory() -> SharedIo {
        let io: SharedIo = Arc::new(MemoryIo::new());
        io.create_dir_all(Path::new(DIR)).unwrap();
        io
    }

    fn open(io: &SharedIo) -> Witness {
        Witness::open(io, Path::new(DIR), INDEX).unwrap()
    }

    #[test]
    fn claims_only_grow_and_are_there_again_of_whom_they_were_made() {
        let io = memory();
        let witness = open(&io);
        assert!(!witness.is_begun());
        for position in [5, 9, 7] {
            witness.raise(Subject::Shard(2), claim(position));
        }
        witness.raise(Subject::Store, Claim { epoch: 44, ..Claim::default() });
        drop(witness);
        let witness = open(&io);
        assert_eq!(witness.claim(Subject::Shard(2), OWNER), Some(claim(9)));
        assert_eq!(witness.claim(Subject::Shard(2), INDEX), None, "it is another shard of that number");
        assert_eq!(witness.claim(Subject::Shard(1), OWNER), None);
        assert_eq!(witness.claim(Subject::Store, UniqueId::NONE).unwrap().epoch, 44);
        witness.lower(Subject::Shard(2), claim(3));
        assert_eq!(open(&io).claim(Subject::Shard(2), OWNER), Some(claim(3)));
        let other = Witness::open(&io, Path::new(DIR), OWNER).unwrap();
        assert_eq!((other.is_begun(), other.claim(Subject::Shard(2), OWNER)), (false, None));
    }

    #[test]
    fn a_slot_that_is_torn_leaves_the_claim_before_it() {
        let io = memory();
        let witness = open(&io);
        (1..=6).for_each(|position| witness.raise(Subject::Shard(0), claim(position)));
        let path = Path::new(DIR).join(WITNESS_FILE_NAME);
        let whole = io.read(&path).unwrap();
        for at in 0..whole.len() {
            let file = io.open(&path).unwrap();
            file.write_at(&[whole[at] ^ 1], at as u64).unwrap();
            let found = open(&io).claim(Subject::Shard(0), OWNER);
            let allowed = [None, Some(claim(5)), Some(claim(6))];
            assert!(allowed.contains(&found), "byte {at}: {found:?}");
            assert!(at < SECTOR_BYTES || found.is_some(), "byte {at}");
            file.write_at(&whole[at..=at], at as u64).unwrap();
        }
    }

    #[test]
    fn a_count_at_the_end_of_its_range_is_none() {
        let io = memory();
        open(&io).raise(Subject::Store, Claim { epoch: 3, ..Claim::default() });
        let slot = encode_slot(Slot { count: u64::MAX, claim: Claim::default() });
        let file = io.open(&Path::new(DIR).join(WITNESS_FILE_NAME)).unwrap();
        file.write_at(&slot, Subject::Store.offset()).unwrap();
        let witness = open(&io);
        witness.raise(Subject::Store, Claim { epoch: 9, ..Claim::default() });
        assert_eq!(open(&io).claim(Subject::Store, UniqueId::NONE).unwrap().epoch, 9);
    }

    #[test]
    fn a_disk_that_takes_no_claim_fails_nothing_and_gets_it_with_the_next() {
        for call in 0..12 {
            let disk = FaultDisk::new();
            let io: SharedIo = Arc::new(disk.clone());
            io.create_dir_all(Path::new(DIR)).unwrap();
            let witness = open(&io);
            let call = disk.calls() + call;
            disk.fail(Some(Fault { call, kind: FaultKind::Broken, lasting: false }));
            (1..=4).for_each(|position| witness.raise(Subject::Shard(0), claim(position)));
            disk.fail(None);
            witness.raise(Subject::Shard(0), claim(5));
            assert!(!witness.has_failed());
            witness.rest();
            let after: SharedIo = Arc::new(disk.crash_image(disk.op_count(), Keep::Nothing));
            assert_eq!(open(&after).claim(Subject::Shard(0), OWNER), Some(claim(5)), "fault at {call}");
        }
    }
}

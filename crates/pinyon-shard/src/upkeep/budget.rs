//! A limit on memory, shared by all shards of a process. What is used is counted: memtables, and codes, graphs and filter indexes of
//! segments. Above the limit what was made of namespaces goes that were not queried for the longest time; it is made again when
//! they are queried and there is room, and scans of vectors answer meanwhile. Before any of that the originals go: what the
//! process has of mapped files beside what is counted is asked of the system, and given back to it above the limit. That costs
//! a fault where they are read again, no answer and nothing that has to be made again.
//!
//! A limit that nobody asked for is a share of the machine: below it everything is made as without one, and the system sees to
//! mapped files. Near either limit what the process really has decides ([`Pressure`]).

use crate::{
    rows::uses::{IDLE_TICKS, Use},
    upkeep::pressure::{Gauge, Pressure},
};
use pinyon_storage::io::mapped_resident_bytes;
use pinyon_types::{Clock, NamespaceId, SegmentId};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError, TryLockError, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Between two looks at the limit, however many shards' keepers come by.
const LOOK_REST: Duration = Duration::from_secs(1);
/// The limit, and what is used of it.
#[derive(Debug)]
pub struct MemoryBudget {
    bytes_max: u64,
    /// Whether somebody asked for this limit.
    is_asked: bool,
    gauge: Gauge,
    clock: Arc<dyn Clock>,
    looked_us: AtomicU64,
    used: AtomicU64,
    /// Of memtables alone, among them.
    pub(crate) memtables: AtomicU64,
    /// What the largest namespace that is queried and found no room would need.
    wanted: AtomicU64,
    /// Whether something was dropped and more than half of the limit has been used since: room is for what is queried.
    is_short: AtomicBool,
    tick: AtomicU32,
    members: Mutex<Vec<Weak<dyn Member>>>,
}

/// A shard as the limit on memory sees it: what it holds that counts, and what of that it can drop.
pub(crate) trait Member: std::fmt::Debug + Send + Sync {
    /// Bytes of the memtable.
    fn memtable_bytes(&self) -> u64;

    /// Bytes of what was made of segments.
    fn derived_bytes(&self) -> u64;

    /// Bytes of the questions that are kept.
    fn question_bytes(&self) -> u64;

    /// Forgets all questions.
    fn forget_questions(&self);

    /// Drops all filter indexes; returns how many bytes they had. They go before codes and graphs: they are made again within a query.
    fn drop_filter_indexes(&self) -> u64;

    /// Gives mapped files back to the system. Opening, coding and merging read whole segments; what of them is needed comes back within
    /// a query.
    fn give_back_originals(&self);

    /// The namespaces in segments that have codes or graphs.
    fn droppable(&self) -> Vec<Droppable>;

    /// Drops codes and graphs of some namespaces in a segment, together: each time its table of namespaces is copied.
    fn drop_derived(&self, segment: SegmentId, namespaces: &BTreeSet<NamespaceId>);

    /// The segments, each with when any of it was last searched.
    fn segments_by_use(&self) -> Vec<(u32, SegmentId)>;

    /// Drops all codes and graphs of a segment; returns how many bytes they had.
    fn drop_all_derived(&self, segment: SegmentId) -> u64;

    /// Seals the memtable, however small it is: what is sealed is mapped. Returns whether it could.
    fn seal_to_make_room(&self) -> bool;
}

/// Something that can be dropped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Droppable {
    pub(crate) segment: SegmentId,
    pub(crate) namespace: NamespaceId,
    /// When it was last searched.
    pub(crate) last: u32,
    pub(crate) bytes: u64,
}

/// A shard that shares the limit.
type Shared = Arc<dyn Member>;

impl MemoryBudget {
    /// A limit in bytes that somebody asked for.
    pub fn new(bytes_max: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            bytes_max,
            is_asked: true,
            gauge: Gauge::default(),
            clock,
            looked_us: 0.into(),
            used: 0.into(),
            memtables: 0.into(),
            wanted: 0.into(),
            is_short: false.into(),
            tick: 1.into(),
            members: Mutex::default(),
        }
    }

    /// The same limit, and nobody asked for it.
    #[must_use]
    pub fn unasked(self) -> Self {
        Self { is_asked: false, ..self }
    }

    /// The same limit, to which all the memory is held that the process has of its own.
    #[must_use]
    pub fn of_process(self) -> Self {
        Self { gauge: Gauge::of_process(), ..self }
    }

    #[cfg(test)]
    pub(crate) fn gauged(self, bytes: Arc<AtomicU64>) -> Self {
        Self { gauge: Gauge::of_test(bytes), ..self }
    }

    /// Whether somebody asked for the limit.
    pub const fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// How near the process is to the limit, as of the last look.
    pub fn pressure(&self) -> Pressure {
        self.gauge.pressure(self.bytes_max)
    }

    /// Whether so many bytes more leave the process below the limit at which something has to go.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        self.gauge.bytes() == 0 || self.gauge.bytes().saturating_add(bytes) <= self.bytes_max / 100 * 85
    }

    /// The limit.
    pub const fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Bytes in use as of the last look, with what was made since.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// What is used, if there is no room for records: memtables alone are above the limit, or nearly all of it is the process's.
    pub(crate) fn refuses_puts(&self) -> Option<u64> {
        if self.pressure() >= Pressure::Put {
            return Some(self.gauge.bytes());
        }
        Some(self.memtables.load(Relaxed)).filter(|bytes| *bytes > self.bytes_max)
    }

    pub(crate) fn tick(&self) -> u32 {
        self.tick.load(Relaxed)
    }

    pub(crate) fn join(&self, shard: Weak<dyn Member>) {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).push(shard);
    }

    /// Takes room for something that is to be made of a namespace's rows; `false` if there is none, now.
    pub(crate) fn take(&self, bytes: u64, uses: &Use) -> bool {
        let is_recent = uses.is_recent(self.tick());
        if self.is_short.load(Relaxed) && !is_recent {
            return false;
        }
        if self.used().saturating_add(bytes) <= self.bytes_max {
            self.used.fetch_add(bytes, Relaxed);
            return true;
        }
        if is_recent && bytes <= self.bytes_max {
            self.wanted.fetch_max(bytes, Relaxed);
        }
        false
    }

    /// Looks at what is used, and drops what is above the limit; nothing if the last look was just now, or another thread is
    /// looking.
    pub(crate) fn keep(&self) {
        let mut members = match self.members.try_lock() {
            Ok(members) => members,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let now_us = self.clock.now_us();
        if self.gauge.look(now_us, self.bytes_max) {
            self.relieve(&live(&mut members), now_us);
        }
        if now_us < self.looked_us.load(Relaxed).saturating_add(LOOK_REST.as_micros() as u64) {
            return;
        }
        self.looked_us.store(now_us, Relaxed);
        let shards = live(&mut members);
        let tick = self.tick.fetch_add(1, Relaxed) + 1;
        let mut used = self.count(&shards);
        if self.is_asked && mapped_resident_bytes().is_some_and(|mapped| used + mapped > self.bytes_max) {
            shards.iter().for_each(|shard| shard.give_back_originals());
        }
        if used > self.bytes_max {
            shards.iter().for_each(|shard| shard.forget_questions());
            used = self.count(&shards);
        }
        if used > self.bytes_max {
            used = used.saturating_sub(drop_filter_indexes(&shards));
        }
        let chosen = self.choose(&shards, used, tick);
        let has_dropped = !chosen.is_empty();
        drop_all(chosen);
        self.seal_early(&shards, self.bytes_max / 2);
        let used = self.count(&shards);
        let is_short = has_dropped || (self.is_short.load(Relaxed) && used > self.bytes_max / 2);
        self.is_short.store(is_short, Relaxed);
    }

    /// What is to go: what is above the limit, and what is idle where something that is queried wants its room.
    fn choose(&self, shards: &[Shared], mut used: u64, tick: u32) -> Vec<(Shared, Droppable)> {
        let wanted = self.wanted.swap(0, Relaxed);
        let mut chosen = Vec::new();
        if used.saturating_add(wanted) <= self.bytes_max {
            return chosen;
        }
        for one in coldest_first(shards) {
            let (_, Droppable { last, bytes, .. }) = one;
            let is_idle = last.saturating_add(IDLE_TICKS) < tick;
            let is_above = used > self.bytes_max || (is_idle && used + wanted > self.bytes_max);
            if !is_above {
                break;
            }
            used = used.saturating_sub(bytes);
            chosen.push(one);
        }
        chosen
    }

    fn count(&self, shards: &[Shared]) -> u64 {
        let memtables = shards.iter().map(|shard| shard.memtable_bytes()).sum();
        let derived: u64 = shards.iter().map(|shard| shard.derived_bytes() + shard.question_bytes()).sum();
        self.memtables.store(memtables, Relaxed);
        self.used.store(memtables + derived, Relaxed);
        memtables + derived
    }

    /// Makes room near the limit.
    fn relieve(&self, shards: &[Shared], now_us: u64) {
        let mut freed = drop_filter_indexes(shards);
        if self.pressure() >= Pressure::Seal {
            shards.iter().for_each(|shard| shard.forget_questions());
            self.count(shards);
            let excess = self.gauge.excess(self.bytes_max);
            let memtables = self.memtables.load(Relaxed);
            self.seal_early(shards, memtables.saturating_sub(excess));
            freed += memtables.saturating_sub(self.memtables.load(Relaxed));
            freed += drop_segments(shards, excess.saturating_sub(freed));
            self.count(shards);
        }
        if freed > 0 {
            self.gauge.note_drop(now_us);
        }
    }

    /// Seals memtables, largest first, while they take more than so many bytes.
    fn seal_early(&self, shards: &[Shared], bytes_max: u64) {
        let mut shards: Vec<(u64, &Shared)> =
            shards.iter().map(|shard| (shard.memtable_bytes(), shard)).collect();
        shards.sort_by_key(|(bytes, _)| Reverse(*bytes));
        for (_, shard) in shards {
            if self.memtables.load(Relaxed) <= bytes_max {
                return;
            }
            let before = shard.memtable_bytes();
            if !shard.seal_to_make_room() {
                return;
            }
            self.memtables.store(self.memtables.load(Relaxed).saturating_sub(before), Relaxed);
        }
    }
}

fn live(members: &mut Vec<Weak<dyn Member>>) -> Vec<Shared> {
    members.retain(|member| member.strong_count() > 0);
    members.iter().filter_map(Weak::upgrade).collect()
}

/// Drops all codes and graphs of segments, those first that were not searched for the longest time, until so many bytes are free;
/// returns how many there are.
fn drop_segments(shards: &[Shared], bytes: u64) -> u64 {
    let of_shard = |shard: &Shared| -> Vec<(u32, SegmentId, Shared)> {
        let segments = shard.segments_by_use().into_iter();
        segments.map(|(last, segment)| (last, segment, Arc::clone(shard))).collect()
    };
    let mut found: Vec<_> = shards.iter().flat_map(of_shard).collect();
    found.sort_by_key(|(last, _, _)| *last);
    let mut freed = 0;
    for (_, segment, shard) in found {
        if freed >= bytes {
            break;
        }
        freed += shard.drop_all_derived(segment);
    }
    freed
}

/// Drops what was chosen, all of a segment at once.
fn drop_all(chosen: Vec<(Shared, Droppable)>) {
    let mut by_segment: HashMap<_, (Shared, BTreeSet<NamespaceId>)> = HashMap::new();
    for (shard, one) in chosen {
        let key = (Arc::as_ptr(&shard).cast::<()>(), one.segment);
        by_segment.entry(key).or_insert_with(|| (shard, BTreeSet::new())).1.insert(one.namespace);
    }
    for ((_, segment), (shard, namespaces)) in by_segment {
        shard.drop_derived(segment, &namespaces);
    }
}

fn drop_filter_indexes(shards: &[Shared]) -> u64 {
    shards.iter().map(|shard| shard.drop_filter_indexes()).sum()
}

/// What has codes or graphs.
fn coldest_first(shards: &[Shared]) -> Vec<(Shared, Droppable)> {
    let of_shard = |shard: &Shared| -> Vec<(Shared, Droppable)> {
        shard.droppable().into_iter().map(|one| (Arc::clone(shard), one)).collect()
    };
    let mut found: Vec<_> = shards.iter().flat_map(of_shard).collect();
    found.sort_by_key(|(_, one)| one.last);
    found
}

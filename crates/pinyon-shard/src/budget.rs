//! A limit on memory, shared by all shards of a process. What is used is counted: memtables, and codes, graphs and filter indexes of
//! segments. Above the limit what was made of namespaces goes that were not queried for the longest time; it is made again when
//! they are queried and there is room, and scans of vectors answer meanwhile. Before any of that the originals go: what the
//! process has of mapped files beside what is counted is asked of the system, and given back to it above the limit. That costs
//! a fault where they are read again, no answer and nothing that has to be made again.
//!
//! A limit that nobody asked for is a share of the machine: below it everything is made as without one, and the system sees to
//! mapped files. Near either limit what the process really has decides ([`Pressure`]).

use crate::{
    layer::{Layer, NamespaceRows},
    part::{Part, Span},
    pressure::{Gauge, Pressure},
    segment::Segment,
    shard::Inner,
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
/// Looks without a query after which a namespace may give way to one that is queried: five seconds or a little more.
const IDLE_TICKS: u32 = 5;

/// When a namespace's rows in a segment were last searched, and whether what was made of them was dropped since.
#[derive(Debug, Default)]
pub(crate) struct Use {
    /// 0 for never since the start, or since it was dropped.
    last: AtomicU32,
    is_dropped: AtomicBool,
}

impl Use {
    /// Notes a search. Reads first: a line that many threads write to is passed around between them.
    pub(crate) fn note(&self, tick: u32) {
        if self.last.load(Relaxed) != tick {
            self.last.store(tick, Relaxed);
        }
    }

    /// Whether codes and graphs may be made: what was dropped waits for a search.
    pub(crate) fn may_derive(&self) -> bool {
        !self.is_dropped.load(Relaxed) || self.last.load(Relaxed) > 0
    }

    fn is_recent(&self, tick: u32) -> bool {
        let last = self.last.load(Relaxed);
        last > 0 && last.saturating_add(IDLE_TICKS) >= tick
    }

    fn drop_note(&self) {
        self.is_dropped.store(true, Relaxed);
        self.last.store(0, Relaxed);
    }
}

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
    members: Mutex<Vec<Weak<Inner>>>,
}

/// Something that can be dropped.
struct Droppable {
    shard: Arc<Inner>,
    segment: SegmentId,
    namespace: NamespaceId,
    last: u32,
    bytes: u64,
}

impl Inner {
    /// Whether codes or a graph of a part may be made; takes the room that they need. Under a limit every namespace has its
    /// own, which can be dropped, and the segment as a whole has none.
    pub(crate) fn may_take(&self, segment: &Segment, span: &Span, bytes: usize) -> bool {
        let Some(budget) = &self.options.memory else { return true };
        if !budget.fits(bytes as u64) {
            return false;
        }
        if !budget.is_asked {
            return true;
        }
        let Part::Namespace(id) = span.part else { return false };
        let entries = segment.namespaces();
        let at = entries.binary_search_by_key(&id, |entry| entry.namespace.id());
        at.is_ok_and(|at| entries[at].uses.may_derive() && budget.take(bytes as u64, &entries[at]))
    }
}

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
    fn fits(&self, bytes: u64) -> bool {
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

    pub(crate) fn join(&self, shard: &Arc<Inner>) {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(shard));
    }

    /// Takes room for something that is to be made of a namespace's rows; `false` if there is none, now.
    pub(crate) fn take(&self, bytes: u64, entry: &NamespaceRows) -> bool {
        let is_recent = entry.uses.is_recent(self.tick());
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
            give_back_originals(&shards);
        }
        if used > self.bytes_max {
            shards.iter().for_each(|shard| shard.questions.forget_all());
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
    fn choose(&self, shards: &[Arc<Inner>], mut used: u64, tick: u32) -> Vec<Droppable> {
        let wanted = self.wanted.swap(0, Relaxed);
        let mut chosen = Vec::new();
        if used.saturating_add(wanted) <= self.bytes_max {
            return chosen;
        }
        for one in coldest_first(shards) {
            let is_idle = one.last.saturating_add(IDLE_TICKS) < tick;
            let is_above = used > self.bytes_max || (is_idle && used + wanted > self.bytes_max);
            if !is_above {
                break;
            }
            used = used.saturating_sub(one.bytes);
            chosen.push(one);
        }
        chosen
    }

    fn count(&self, shards: &[Arc<Inner>]) -> u64 {
        let memtables = shards.iter().map(|shard| shard.snapshot.load().memtable.bytes as u64).sum();
        let derived: u64 = segments_of(shards, |segment| segment.derived_bytes().total());
        let questions: u64 = shards.iter().map(|shard| shard.questions.bytes() as u64).sum();
        let derived = derived + questions;
        self.memtables.store(memtables, Relaxed);
        self.used.store(memtables + derived, Relaxed);
        memtables + derived
    }

    /// Makes room near the limit.
    fn relieve(&self, shards: &[Arc<Inner>], now_us: u64) {
        let mut freed = drop_filter_indexes(shards);
        if self.pressure() >= Pressure::Seal {
            shards.iter().for_each(|shard| shard.questions.forget_all());
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

    /// Seals memtables, largest first, while they take more than so many bytes: what is sealed is mapped.
    fn seal_early(&self, shards: &[Arc<Inner>], bytes_max: u64) {
        let bytes_of = |shard: &Inner| shard.snapshot.load().memtable.bytes as u64;
        let mut shards: Vec<&Arc<Inner>> = shards.iter().collect();
        shards.sort_by_key(|shard| Reverse(bytes_of(shard)));
        for shard in shards {
            if self.memtables.load(Relaxed) <= bytes_max {
                return;
            }
            let before = bytes_of(shard);
            if let Err(error) = shard.seal_early() {
                tracing::error!(shard = shard.shape.shard.get(), error = %error, "memtable not sealed to make room");
                return;
            }
            self.memtables.store(self.memtables.load(Relaxed).saturating_sub(before), Relaxed);
        }
    }
}

fn live(members: &mut Vec<Weak<Inner>>) -> Vec<Arc<Inner>> {
    members.retain(|member| member.strong_count() > 0);
    members.iter().filter_map(Weak::upgrade).collect()
}

/// Drops all codes and graphs of segments, those first that were not searched for the longest time, until so many bytes are free;
/// returns how many there are.
fn drop_segments(shards: &[Arc<Inner>], bytes: u64) -> u64 {
    let mut found: Vec<(u32, Arc<Layer>)> = Vec::new();
    for shard in shards {
        let state = shard.snapshot.load();
        let layers = state.layers.iter().filter(|view| view.layer.segment().is_some());
        found.extend(layers.map(|view| {
            let uses = view.layer.namespaces().iter().map(|entry| entry.uses.last.load(Relaxed));
            (uses.max().unwrap_or(0), Arc::clone(&view.layer))
        }));
    }
    found.sort_by_key(|(last, _)| *last);
    let mut freed = 0;
    for segment in found.iter().filter_map(|(_, layer)| layer.segment()) {
        if freed >= bytes {
            break;
        }
        freed += segment.derived_bytes().total();
        segment.drop_all_derived();
    }
    freed
}

/// Drops what was chosen, all of a segment at once: each time its table of namespaces is copied.
fn drop_all(chosen: Vec<Droppable>) {
    let mut by_segment: HashMap<_, (Arc<Inner>, BTreeSet<NamespaceId>)> = HashMap::new();
    for one in chosen {
        let key = (Arc::as_ptr(&one.shard), one.segment);
        by_segment.entry(key).or_insert_with(|| (one.shard, BTreeSet::new())).1.insert(one.namespace);
    }
    for ((_, id), (shard, namespaces)) in by_segment {
        let state = shard.snapshot.load();
        // Merged away meanwhile: what was made of it goes with it.
        let Some(layer) = state.layer(id).map(|view| &view.layer) else { continue };
        let entries = namespaces.iter().filter_map(|namespace| layer.namespace_rows(*namespace));
        entries.for_each(|entry| entry.uses.drop_note());
        if let Some(segment) = layer.segment() {
            segment.drop_derived(&namespaces);
        }
    }
}

/// Opening, coding and merging read whole segments; what of them is needed comes back within a query.
fn give_back_originals(shards: &[Arc<Inner>]) {
    segments_of(shards, |segment| {
        segment.file().give_back();
        0
    });
}

/// The sum over all segments.
fn segments_of(shards: &[Arc<Inner>], bytes: impl Fn(&Segment) -> u64) -> u64 {
    let of = |shard: &Arc<Inner>| -> u64 {
        let state = shard.snapshot.load();
        state.layers.iter().filter_map(|view| view.layer.segment()).map(&bytes).sum()
    };
    shards.iter().map(of).sum()
}

/// Filter indexes go before codes and graphs: they are made again within a query.
fn drop_filter_indexes(shards: &[Arc<Inner>]) -> u64 {
    segments_of(shards, Segment::drop_filter_indexes)
}

/// What has codes or graphs.
fn coldest_first(shards: &[Arc<Inner>]) -> Vec<Droppable> {
    let mut found = Vec::new();
    for shard in shards {
        let state = shard.snapshot.load();
        for view in &state.layers {
            let Some(segment) = view.layer.segment() else { continue };
            found.extend(segment.derived_of_namespaces().into_iter().filter_map(|(namespace, bytes)| {
                let last = view.layer.namespace_rows(namespace)?.uses.last.load(Relaxed);
                Some(Droppable { shard: Arc::clone(shard), segment: view.layer.id, namespace, last, bytes })
            }));
        }
    }
    found.sort_by_key(|one| one.last);
    found
}

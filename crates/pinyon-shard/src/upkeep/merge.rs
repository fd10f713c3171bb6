//! Merging: several segments become one without their dead rows. Size-tiered: segments of one size class are merged
//! when there are enough of them, so a row is rewritten about as often as the data has size classes.

use crate::{
    Namespace, ShardError, Step,
    derived::{codes, files, graphs},
    inner::Inner,
    rows::{
        layer::{Layer, LayerView, Rows},
        memtable::Kills,
        row::{NamespaceRows, Row},
        segment::{RowSource, Segment, write_segment},
        snapshot::Snapshot,
    },
    suspicion::unwinding,
    upkeep::{
        maintenance::{Maintenance, entry},
        reclaim::{has_room_for, live_bytes, reclaim},
    },
};
use pinyon_storage::{
    manifest::{self, Manifest},
    segment::{SegmentHead, Verify, unfinished_path},
};
use pinyon_types::{NamespaceId, SegmentId, SlotId};
use roaring::RoaringBitmap;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

/// Segments below this many live bytes are one size class: none is too small to be merged with its like.
const SMALLEST_CLASS_BYTES: u64 = 1 << 20;

/// One over the share of rows that are to have one graph and may lie outside the segment with most of them.
const SCATTERED_PART_MIN: u64 = 4;
/// The same while nobody writes: what lies outside is searched beside the graph, a tenth of the rows for a quarter of the
/// time, and a graph that begins with the largest one costs no more than the rows that come to it.
const GATHERED_PART_MIN: u64 = 16;

/// Merges what most deserves it, if anything does.
pub(crate) fn merge_next(inner: &Inner, maintenance: &mut Maintenance) -> Result<Step, ShardError> {
    let state = inner.snapshot.load_full();
    match reclaim(inner, maintenance)? {
        // Without room only what makes some is merged.
        Step::Idle if !inner.has_no_room() => {}
        made => return Ok(made),
    }
    match choose(inner, &state) {
        inputs if inputs.is_empty() || !has_room_for(inner, &inputs) => Ok(Step::Idle),
        inputs => merge(inner, maintenance, &inputs),
    }
}

/// Merges all segments into one.
pub(crate) fn merge_all(inner: &Inner, maintenance: &mut Maintenance) -> Result<Step, ShardError> {
    let state = inner.snapshot.load_full();
    let all: Vec<LayerView> = sealed(&state).cloned().collect();
    let is_clean = all.len() < 2 && all.iter().all(|view| view.dead.is_empty());
    if is_clean { Ok(Step::Idle) } else { merge(inner, maintenance, &all) }
}

/// Merges all segments into one if they are large enough together for codes of all tenants' rows and too many of the rows lie
/// outside the largest: searches of all tenants have one scan or walk then. Every tenant's rows are rewritten for it, so it is
/// asked for only while nobody writes.
pub(crate) fn gather(inner: &Inner, maintenance: &mut Maintenance) -> Result<Step, ShardError> {
    let (state, options) = (inner.snapshot.load_full(), &inner.options);
    // Under a limit on memory segments have no codes as a whole.
    let has_whole_codes = !options.limits_parts() && !inner.shape.dim.is_none();
    let mut spread = Spread::default();
    sealed(&state).for_each(|view| spread.add(view.live_rows(&(0..view.layer.len()))));
    if has_whole_codes && spread.is_scattered(options.coded_whole_rows_min, GATHERED_PART_MIN) {
        let all: Vec<LayerView> = sealed(&state).cloned().collect();
        if has_room_for(inner, &all) {
            return merge(inner, maintenance, &all);
        }
    }
    Ok(Step::Idle)
}

/// Layers in segments.
pub(crate) fn sealed(state: &Snapshot) -> impl Iterator<Item = &LayerView> {
    state.layers.iter().filter(|view| view.layer.segment().is_some())
}

fn choose(inner: &Inner, state: &Snapshot) -> Vec<LayerView> {
    let mut classes: BTreeMap<u32, Vec<LayerView>> = BTreeMap::new();
    for view in sealed(state) {
        let class = (live_bytes(view).max(SMALLEST_CLASS_BYTES) / SMALLEST_CLASS_BYTES).ilog2() / 2;
        classes.entry(class).or_default().push(view.clone());
    }
    if let Some(class) = classes.into_values().find(|views| views.len() >= inner.options.merge_fan_in) {
        return class;
    }
    let decayed = |view: &&LayerView| {
        view.dead.len() as f64 > f64::from(view.layer.len()) * inner.options.dead_share_max
    };
    if let Some(view) = sealed(state).find(decayed) {
        return vec![view.clone()];
    }
    scattered(inner, state)
}

/// The segments over which a large namespace is scattered: a graph needs its rows in one.
fn scattered(inner: &Inner, state: &Snapshot) -> Vec<LayerView> {
    let mut spreads: BTreeMap<NamespaceId, Spread> = BTreeMap::new();
    for (view, entry) in
        sealed(state).flat_map(|view| view.layer.namespaces().iter().map(move |one| (view, one)))
    {
        spreads.entry(entry.namespace.id()).or_default().add(view.live_rows(&entry.slots));
    }
    let mut spreads = spreads.into_iter();
    let found =
        spreads.find(|(_, spread)| spread.is_scattered(inner.options.graph_rows_min, SCATTERED_PART_MIN));
    let Some((namespace, _)) = found else { return Vec::new() };
    sealed(state).filter(|view| view.layer.namespace_rows(namespace).is_some()).cloned().collect()
}

/// How many live rows that are to be searched at once lie in how few segments.
#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    total: u64,
    largest: u64,
}

impl Spread {
    /// Counts those of one segment.
    fn add(&mut self, rows: u64) {
        self.total += rows;
        self.largest = self.largest.max(rows);
    }

    /// Whether they are enough, and more of them than one in `part_min` outside the largest part: so a row is
    /// rewritten a bounded number of times while they become more.
    fn is_scattered(self, rows_min: u32, part_min: u64) -> bool {
        self.total >= u64::from(rows_min) && self.total - self.largest > self.total / part_min
    }
}

/// Writes one segment with the inputs' live rows, makes it durable, and puts it in their place.
pub(crate) fn merge(
    inner: &Inner,
    maintenance: &mut Maintenance,
    inputs: &[LayerView],
) -> Result<Step, ShardError> {
    let gone: BTreeSet<SegmentId> = inputs.iter().map(|view| view.layer.id).collect();
    // A number is spent by a try, not by a success: a manifest that failed to become durable may yet name its file.
    let id = SegmentId::new(maintenance.manifest.next_segment);
    maintenance.manifest.next_segment += 1;
    let merged = unwinding(|| make(inner, maintenance, (inputs, &gone), id));
    let merged = merged.inspect_err(|_| remove_unnamed(inner, id))?;
    inner.replace_snapshot(|state| install(state, inputs, merged.as_ref()))?;
    files::remove_of(inner, &gone);
    for input in &gone {
        let path = inner.segment_path(*input);
        match inner.io.remove(&path) {
            // Somebody was there first.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed.map_err(ShardError::io(path))?,
        }
    }
    inner.io.sync_dir(&inner.dir).map_err(ShardError::io(&inner.dir))?;
    let rows = merged.as_ref().map_or(0, |layer| layer.len());
    tracing::info!(shard = inner.shape.shard.get(), segment = id.get(), rows, "segments merged");
    Ok(Step::Merged(merged.map(|layer| layer.id)))
}

/// Writes the inputs' live rows, and has the manifest name them in the inputs' place.
fn make(
    inner: &Inner,
    maintenance: &mut Maintenance,
    (inputs, gone): (&[LayerView], &BTreeSet<SegmentId>),
    id: SegmentId,
) -> Result<Option<Arc<Layer>>, ShardError> {
    let rows = MergedRows::gather(inputs);
    let kills = inherited_kills(inputs, gone, &inner.snapshot.load());
    let mut manifest = maintenance.manifest.clone();
    manifest.segments.retain(|entry| !gone.contains(&SegmentId::new(entry.id)));
    // Without rows there is no segment; but kills of other segments must be kept somewhere until those are merged.
    let merged = if rows.len() == 0 && kills.is_empty() {
        None
    } else {
        let segment = write(inner, inputs, id, &rows, &kills)?;
        check_inputs(inner, inputs)?;
        manifest.segments.push(entry(inner.place.owner, id, &segment));
        Some(Arc::new(Layer { id, rows: Rows::Sealed(segment) }))
    };
    inner.store_manifest(maintenance, manifest)?;
    Ok(merged)
}

/// Removes what a merge wrote and no manifest names: the next try has another number, and on a full disk this would be in the way of it,
/// and of everything else. One that was renamed names it, durable or not.
fn remove_unnamed(inner: &Inner, id: SegmentId) {
    let names = |manifest: Manifest| manifest.segments.iter().any(|entry| entry.id == id.get());
    if manifest::load(&*inner.io, &inner.dir).is_ok_and(|found| found.is_some_and(|found| !names(found))) {
        let path = inner.segment_path(id);
        let _ = inner.io.remove(&unfinished_path(&path));
        let _ = inner.io.remove(&path);
    }
}

/// Checks that what was merged is what was verified when it was opened: damage that came since would get a checksum that fits.
fn check_inputs(inner: &Inner, inputs: &[LayerView]) -> Result<(), ShardError> {
    let mut segments = inputs.iter().filter_map(|view| view.layer.segment());
    segments.try_for_each(|segment| segment.file().check_served()).map_err(|error| {
        inner.suspect.store(true, Ordering::Release);
        error.into()
    })
}

/// Writes the segment, and makes of it what searches should not have to wait for.
fn write(
    inner: &Inner,
    inputs: &[LayerView],
    id: SegmentId,
    rows: &MergedRows<'_>,
    kills: &Kills,
) -> Result<Segment, ShardError> {
    let path = inner.segment_path(id);
    let head = SegmentHead { owner: inner.place.owner, segment: id };
    write_segment(&inner.io, &path, head, rows, kills)?;
    let segment = Segment::open(&inner.io, &path, (inner.shape, Verify::AtOpen), head)?;
    codes::carry_over(inner, inputs, &segment);
    graphs::inherit(inner, inputs, &segment, |input| rows.slots_of(input));
    Ok(segment)
}

/// What the inputs say about segments that stay.
fn inherited_kills(inputs: &[LayerView], gone: &BTreeSet<SegmentId>, state: &Snapshot) -> Kills {
    let mut kills = Kills::new_sync();
    for (target, slots) in inputs.iter().flat_map(|view| view.layer.kills()) {
        if gone.contains(target) || state.layer(*target).is_none() {
            continue;
        }
        let mut all = kills.get(target).cloned().unwrap_or_default();
        *Arc::make_mut(&mut all) |= &**slots;
        kills.insert_mut(*target, all);
    }
    kills
}

/// Swaps the inputs for the merged layer. Rows that died while the merge ran are marked dead in the merged layer, and
/// the memtable's notes about the inputs are rewritten to it.
fn install(state: &mut Snapshot, inputs: &[LayerView], merged: Option<&Arc<Layer>>) {
    let mut dead = RoaringBitmap::new();
    for input in inputs {
        let Some(now) = state.layer(input.layer.id).map(|view| Arc::clone(&view.dead)) else { continue };
        for slot in &*now - &*input.dead {
            let namespace = input.layer.namespace_of(SlotId::new(slot)).id();
            let id = input.layer.id(SlotId::new(slot));
            let slot = merged.and_then(|layer| layer.find(namespace, id));
            dead.insert(slot.expect("invariant: every row alive at the start was merged").get());
        }
        state.memtable.kills.remove_mut(&input.layer.id);
    }
    let is_input = |id: SegmentId| inputs.iter().any(|input| input.layer.id == id);
    state.layers.retain(|view| !is_input(view.layer.id));
    if let Some(layer) = merged {
        if !dead.is_empty() {
            state.memtable.kill_all(layer.id, &dead);
        }
        state.layers.push(LayerView { layer: Arc::clone(layer), dead: Arc::new(dead) });
    }
}

/// The live rows of several layers in (namespace, id) order.
struct MergedRows<'a> {
    namespaces: Vec<NamespaceRows>,
    rows: Vec<(&'a Layer, SlotId)>,
}

impl<'a> MergedRows<'a> {
    fn gather(inputs: &'a [LayerView]) -> Self {
        let mut by_namespace: BTreeMap<NamespaceId, Vec<(&'a LayerView, &'a NamespaceRows)>> =
            BTreeMap::new();
        for view in inputs {
            for entry in view.layer.namespaces() {
                by_namespace.entry(entry.namespace.id()).or_default().push((view, entry));
            }
        }
        let mut merged = Self { namespaces: Vec::new(), rows: Vec::new() };
        for parts in by_namespace.values() {
            merged.add(parts);
        }
        merged
    }

    /// Where the rows of an input are now; `u32::MAX` for those that are not.
    fn slots_of(&self, input: &LayerView) -> Vec<u32> {
        let mut slots = vec![u32::MAX; input.layer.len() as usize];
        for (now, (layer, before)) in (0..).zip(&self.rows) {
            if std::ptr::eq(*layer, &*input.layer) {
                slots[before.get() as usize] = now;
            }
        }
        slots
    }

    fn add(&mut self, parts: &[(&'a LayerView, &'a NamespaceRows)]) {
        let first = self.rows.len();
        for (view, entry) in parts {
            let live = entry.slots.clone().map(SlotId::new).filter(|&slot| view.is_live(slot));
            self.rows.extend(live.map(|slot| (&*view.layer, slot)));
        }
        self.rows[first..].sort_unstable_by_key(|(layer, slot)| layer.id(*slot));
        let newest =
            parts.iter().map(|(_, entry)| &entry.namespace).max_by_key(|one: &&Namespace| one.epoch());
        if let Some(namespace) = newest.filter(|_| first < self.rows.len()) {
            self.namespaces.push(NamespaceRows::new(namespace.clone(), first..self.rows.len()));
        }
    }
}

impl RowSource for MergedRows<'_> {
    fn namespaces(&self) -> &[NamespaceRows] {
        &self.namespaces
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn row(&self, at: usize) -> Row<'_> {
        let (layer, slot) = self.rows[at];
        layer.row(slot)
    }
}

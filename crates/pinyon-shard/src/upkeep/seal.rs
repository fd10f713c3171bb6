//! Sealing: the memtable becomes a segment. Three moments, each safe against a crash: freeze (a new log begins; the
//! old one is still whole), write (a file that nobody names yet), commit (the manifest names it and moves the log
//! floor). Only then are old logs removed (SEG-3).

use crate::{
    ShardError, Step,
    inner::{Inner, Writer},
    rows::{
        frozen::FrozenRows,
        layer::{Layer, LayerView, Rows},
        memtable::Memtable,
        row::{NamespaceRows, Row},
        segment::{RowSource, Segment, write_segment},
        snapshot::Snapshot,
    },
    upkeep::maintenance::{Maintenance, entry},
};
use pinyon_storage::{
    manifest::LogEntry,
    segment::{SegmentHead, Verify, unfinished_path},
    wal::{self, LogHead, Wal, WalOptions},
};
use pinyon_types::{SegmentId, SeqNo, SlotId};
use roaring::RoaringBitmap;
use std::sync::Arc;

/// Whether an earlier seal was frozen and not finished.
pub(crate) fn has_frozen(inner: &Inner) -> bool {
    frozen_layer(&inner.snapshot.load()).is_some()
}

/// Finishes an unfinished seal, or seals the memtable, or finds nothing to seal.
pub(crate) fn seal(inner: &Inner, maintenance: &mut Maintenance) -> Result<Step, ShardError> {
    if !has_frozen(inner) && !freeze(inner, maintenance, Freeze::Something)? {
        return Ok(Step::Idle);
    }
    finish(inner, maintenance)
}

/// Seals what there is so that no log holds an entry from before, not even of what was deleted before it was sealed.
pub(crate) fn seal_all(inner: &Inner, maintenance: &mut Maintenance) -> Result<Step, ShardError> {
    let begun = if has_frozen(inner) { finish(inner, maintenance)? } else { Step::Idle };
    let step =
        if freeze(inner, maintenance, Freeze::Anything)? { finish(inner, maintenance)? } else { begun };
    // A crash, or a call that failed, may have left some that are not needed any more.
    remove_logs_to(inner, SeqNo::new(maintenance.manifest.log_floor))?;
    Ok(step)
}

/// The same where a log is damaged: what is in it is in memory too. Nothing more is written to it, and one without entries is made anew.
pub(crate) fn leave_logs(inner: &Inner, maintenance: &mut Maintenance) -> Result<(), ShardError> {
    if has_frozen(inner) {
        finish(inner, maintenance)?;
    }
    if freeze(inner, maintenance, Freeze::FromDamage)? {
        finish(inner, maintenance)?;
    }
    let mut writer = inner.writer.lock().map_err(|_| inner.poisoned_error())?;
    if writer.log.is_empty() {
        writer.log = make_log_anew(inner, maintenance)?;
    }
    drop(writer);
    remove_logs_to(inner, SeqNo::new(maintenance.manifest.log_floor))
}

/// Makes the current log anew, which has no entry. The manifest must stop expecting it before it goes. Called with the writer locked.
fn make_log_anew(inner: &Inner, maintenance: &mut Maintenance) -> Result<Wal, ShardError> {
    let first_seq = inner.snapshot.load().seq.next();
    let named = LogEntry { first_seq: first_seq.get(), owner: inner.place.owner };
    let mut manifest = maintenance.manifest.clone();
    manifest.logs.retain(|log| log.first_seq != named.first_seq);
    inner.store_manifest(maintenance, manifest.clone())?;
    let head = LogHead { owner: inner.place.owner, first_seq };
    let log = new_log(inner, head, inner.options.log_options(false))?;
    manifest.logs.push(named);
    inner.store_manifest(maintenance, manifest)?;
    Ok(log)
}

/// Writes what is frozen, and lets its logs go.
fn finish(inner: &Inner, maintenance: &mut Maintenance) -> Result<Step, ShardError> {
    let state = inner.snapshot.load_full();
    let Some(layer) = frozen_layer(&state).map(|view| Arc::clone(&view.layer)) else { return Ok(Step::Idle) };
    let Rows::Frozen(frozen) = &layer.rows else { return Ok(Step::Idle) };
    let segment = write(inner, maintenance, layer.id, frozen)?;
    let sealed = segment.map(|segment| Arc::new(Layer { id: layer.id, rows: Rows::Sealed(segment) }));
    inner.replace_snapshot(|state| match &sealed {
        None => state.layers.retain(|view| view.layer.id != layer.id),
        Some(sealed) => {
            let frozen = state.layers.iter_mut().filter(|view| view.layer.id == layer.id);
            frozen.for_each(|view| view.layer = Arc::clone(sealed));
        }
    })?;
    remove_logs_to(inner, frozen.last_seq)?;
    tracing::info!(
        shard = inner.shape.shard.get(),
        segment = layer.id.get(),
        rows = layer.len(),
        "memtable sealed"
    );
    Ok(Step::Sealed(layer.id))
}

fn frozen_layer(state: &Snapshot) -> Option<&LayerView> {
    state.layers.iter().find(|view| view.layer.segment().is_none())
}

/// What is worth a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freeze {
    /// Rows, or what is known of dead ones.
    Something,
    /// Entries in a log, though nothing may be left of what they say.
    Anything,
    /// The same, of a log that is not to be written to any more.
    FromDamage,
}

/// Turns the memtable into a layer in memory and begins a new log. Writers wait for the new log's first sync only.
fn freeze(inner: &Inner, maintenance: &mut Maintenance, what: Freeze) -> Result<bool, ShardError> {
    let mut writer = inner.writer.lock().map_err(|_| inner.poisoned_error())?;
    if inner.poisoned.load(std::sync::atomic::Ordering::Acquire) {
        return Err(inner.poisoned_error());
    }
    let mut state = Snapshot::clone(&inner.snapshot.load());
    let has_entries = what != Freeze::Something && state.seq.get() > maintenance.manifest.log_floor;
    if state.memtable.is_empty() && !has_entries {
        return Ok(false);
    }
    // After a start all entries may lie in older logs. The current one goes on then: the manifest names it, so it cannot be
    // made anew.
    let next_log =
        if writer.log.is_empty() { None } else { Some(begin_next_log(inner, &mut writer, &state, what)?) };
    let id = SegmentId::new(maintenance.manifest.next_segment);
    maintenance.manifest.next_segment += 1;
    let frozen = FrozenRows::new(&state.memtable, state.seq);
    let layer = Arc::new(Layer { id, rows: Rows::Frozen(frozen) });
    state.layers.insert(0, LayerView { layer, dead: Arc::new(RoaringBitmap::new()) });
    state.memtable = Memtable::new();
    inner.snapshot.store(Arc::new(state));
    if let Some(log) = next_log {
        writer.log = log;
    }
    Ok(true)
}

/// Creates the next log and ends the current one.
fn begin_next_log(
    inner: &Inner,
    writer: &mut Writer,
    state: &Snapshot,
    what: Freeze,
) -> Result<Wal, ShardError> {
    let head = LogHead { owner: inner.place.owner, first_seq: state.seq.next() };
    let is_busy = writer.log.is_busy() && !inner.is_room_scarce();
    let log = new_log(inner, head, inner.options.log_options(is_busy))?;
    if what == Freeze::FromDamage {
        return Ok(log);
    }
    // From here on nothing is appended to the old log: a clean end lets later damage of its last entries be noticed.
    if let Err(error) = writer.log.close() {
        inner.poison(&error.to_string());
        return Err(error.into());
    }
    Ok(log)
}

/// Creates the next log. A file of that name can only be left over from a try that failed: no entry was ever put
/// into it, because the writer had not switched to it.
fn new_log(inner: &Inner, head: LogHead, options: WalOptions) -> Result<Wal, ShardError> {
    let leftover = inner.dir.join(wal::log_file_name(head.first_seq));
    if inner.io.exists(&leftover).map_err(ShardError::io(&leftover))? {
        inner.io.remove(&leftover).map_err(ShardError::io(&leftover))?;
    }
    Ok(Wal::create(&inner.io, &inner.dir, head, options)?)
}

/// Makes the segment durable, if there is anything to be in it, and the logs' floor.
fn write(
    inner: &Inner,
    maintenance: &mut Maintenance,
    id: SegmentId,
    frozen: &FrozenRows,
) -> Result<Option<Segment>, ShardError> {
    let mut manifest = maintenance.manifest.clone();
    let segment = if frozen.is_empty() { None } else { Some(write_file(inner, id, frozen)?) };
    manifest.segments.extend(segment.iter().map(|segment| entry(inner.place.owner, id, segment)));
    manifest.log_floor = frozen.last_seq.get();
    let first_seq = frozen.last_seq.next().get();
    manifest.logs = vec![LogEntry { first_seq, owner: inner.place.owner }];
    manifest.epoch_seen = manifest.epoch_seen.max(inner.snapshot.load().epoch_seen.get());
    inner.store_manifest(maintenance, manifest)?;
    Ok(segment)
}

fn write_file(inner: &Inner, id: SegmentId, frozen: &FrozenRows) -> Result<Segment, ShardError> {
    let path = inner.segment_path(id);
    let head = SegmentHead { owner: inner.place.owner, segment: id };
    // An earlier try may have got as far as the manifest, and may even have made it durable before it failed. So a
    // finished file is never written again: it is the same bytes, and something may already name it.
    if !inner.io.exists(&path).map_err(ShardError::io(&path))? {
        write_segment(&inner.io, &path, head, frozen, &frozen.kills).inspect_err(|_| {
            let _ = inner.io.remove(&unfinished_path(&path));
        })?;
    }
    inner.io.sync_dir(&inner.dir).map_err(ShardError::io(&inner.dir))?;
    Segment::open(&inner.io, &path, (inner.shape, Verify::AtOpen), head)
}

/// Removes the logs whose entries are all at or before a position.
fn remove_logs_to(inner: &Inner, floor: SeqNo) -> Result<(), ShardError> {
    let writer = inner.writer.lock().map_err(|_| inner.poisoned_error())?;
    let current = writer.log.path().to_owned();
    drop(writer);
    wal::remove_logs_below(&*inner.io, &inner.dir, floor, &current)?;
    Ok(())
}

impl RowSource for FrozenRows {
    fn namespaces(&self) -> &[NamespaceRows] {
        &self.namespaces
    }

    fn len(&self) -> usize {
        Self::len(self) as usize
    }

    fn row(&self, at: usize) -> Row<'_> {
        Self::row(self, SlotId::new(u32::try_from(at).expect("invariant: fewer than 2^32 rows")))
    }
}

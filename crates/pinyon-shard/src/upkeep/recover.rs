//! Opening: manifest, then segments, then the log from the manifest's floor on. All of it is read and judged before anything is changed:
//! a manifest that came back older than the segments would make leftovers of them. Every step can be cut off by a crash and begun again.

use crate::{
    DiskBudget, QuestionsKept, ShardError, ShardOnDisk, ShardOptions, ShardShape,
    derived::{codes, files, graphs, questions},
    inner::Inner,
    metric_code::{metric_code, metric_of},
    place::{Birth, ShardPlace},
    rows::{
        layer::{Layer, LayerView, Rows},
        segment::Segment,
        snapshot::Snapshot,
    },
    suspicion::unwinding,
    writing::log_entry::{self, Operation},
};
use pinyon_planted::is_planted;
use pinyon_storage::{
    io::{MemoryIo, SharedIo, is_aside, set_aside},
    manifest::{self, LogEntry, Manifest, SegmentEntry},
    segment::{SegmentHead, Verify, segment_file_name},
    wal::{self, ExpectedLog, LogHead, RecoverRequest, Recovered, Wal, WalOptions},
};
use pinyon_types::{Epoch, NamespaceId, SegmentId, SeqNo};
use roaring::RoaringBitmap;
use std::{collections::HashMap, path::Path, sync::Arc};

/// Opens a shard.
pub(crate) fn open(
    io: &SharedIo,
    dir: &Path,
    (shape, place): (ShardShape, ShardPlace),
    mut options: ShardOptions,
) -> Result<Inner, ShardError> {
    let made_room = |disk: &Option<Arc<DiskBudget>>| disk.as_ref().is_some_and(|disk| disk.make_room());
    let open =
        |options: &ShardOptions| unwinding(|| open_once(io, dir, (shape, place.clone()), options.clone()));
    match open(&options) {
        // What a start writes is little, and deletions have to be let in.
        Err(error) if error.is_disk_full() && made_room(&options.disk) => open(&options),
        Err(ShardError::Suspect { .. }) => {
            // Nothing was written yet. This says what is damaged.
            options.verify = Verify::AtOpen;
            open(&options)
        }
        opened => opened,
    }
}

fn open_once(
    io: &SharedIo,
    dir: &Path,
    (shape, place): (ShardShape, ShardPlace),
    options: ShardOptions,
) -> Result<Inner, ShardError> {
    io.create_dir_all(dir).map_err(ShardError::io(dir))?;
    let mut manifest = match manifest::load(&**io, dir)? {
        Some(manifest) => manifest,
        None => create(io, dir, shape, &place)?,
    };
    check_shape(dir, shape, &manifest)?;
    let place = place.or_of(&manifest);
    place.check(dir, &manifest)?;
    let names = io.list(dir).map_err(ShardError::io(dir))?;
    let mut state = Snapshot::empty();
    if is_planted(1) {
        tidy(io, dir, &manifest, &names, false)?;
    }
    state.layers = open_segments(io, dir, (shape, options.verify), &manifest)?;
    graphs::inherit_files(&options, &state.layers, &names);
    codes::note_files(&state.layers, &names);
    state.seq = SeqNo::new(manifest.log_floor);
    state.epoch_seen = highest_epoch(&manifest, &state);
    let mut emptied = Vec::new();
    let plan = replay(io, dir, (shape, &place), &manifest, (&mut state, &mut emptied))?;
    let is_in_order = tidy(io, dir, &manifest, &names, plan.recovered().is_closed)?;
    let recovered = plan.carry_out(&**io)?;
    let log = begin_log(io, dir, (&mut manifest, is_in_order), &recovered, (&place, &options))?;
    place.raise_manifest(&manifest);
    place.raise_position(recovered.last_seq);
    let log_floor = SeqNo::new(manifest.log_floor);
    let inner = Inner::new((shape, place), options, (io, dir), (state, log, manifest));
    questions::restore(&inner, &names);
    inner.owe_what_is_dead(log_floor, &emptied);
    Ok(inner)
}

/// The sealed rows in a directory, to look at: the log is not read, and nothing is written. `None` where there is no shard, or one
/// whose vectors are compared in a way that is not known.
pub(crate) fn open_to_look(io: &SharedIo, dir: &Path) -> Result<Option<Inner>, ShardError> {
    let Some(manifest) = manifest::load(&**io, dir)? else { return Ok(None) };
    let Some(shape) = ShardOnDisk::read(&**io, dir)?.and_then(|found| found.shape) else { return Ok(None) };
    let options = ShardOptions { questions_kept: QuestionsKept::None, ..ShardOptions::server() };
    let mut state = Snapshot::empty();
    state.layers = open_segments(io, dir, (shape, Verify::AtOpen), &manifest)?;
    let place = ShardPlace::unknown(manifest.owner.number);
    // Where a log would be written if anybody wrote.
    let nowhere: SharedIo = Arc::new(MemoryIo::new());
    nowhere.create_dir_all(dir).map_err(ShardError::io(dir))?;
    let head = LogHead { owner: place.owner, first_seq: SeqNo::new(manifest.log_floor).next() };
    let log = Wal::create(&nowhere, dir, head, WalOptions { preallocate_bytes: 0, is_busy: false })?;
    Ok(Some(Inner::new((shape, place), options, (&nowhere, dir), (state, log, manifest))))
}

/// Whether the shard in a directory ever took a write.
pub(crate) fn took_writes(io: &SharedIo, dir: &Path) -> Result<bool, ShardError> {
    if manifest::load(&**io, dir)?.is_some_and(|manifest| manifest.log_floor > 0) {
        return Ok(true);
    }
    let names = io.list(dir).map_err(ShardError::io(dir))?;
    for name in names.iter().filter(|name| wal::is_log_file_name(name)) {
        if wal::holds_entries(&**io, &dir.join(name))? {
            return Ok(true);
        }
    }
    Ok(names.iter().any(|name| name.ends_with(".seg")))
}

fn metric_name(code: u8) -> String {
    metric_of(code).map_or_else(|| format!("number {code}"), |metric| metric.to_string())
}

/// Begins a shard in a directory without a manifest. Entries in a log mean that the manifest was lost, not that there
/// never was one: it is durable before the first write is taken.
fn create(io: &SharedIo, dir: &Path, shape: ShardShape, place: &ShardPlace) -> Result<Manifest, ShardError> {
    if place.birth != Birth::Making {
        return Err(ShardError::damaged(dir, "MANIFEST is missing, but the shard was made"));
    }
    let names = io.list(dir).map_err(ShardError::io(dir))?;
    if let Some(segment) = names.iter().find(|name| name.ends_with(".seg")) {
        return Err(ShardError::damaged(dir, format!("MANIFEST is missing, but {segment} is there")));
    }
    let (owner, floor, acknowledged) = (place.owner, SeqNo::ZERO, SeqNo::ZERO);
    let request = RecoverRequest { owner, floor, expected_logs: &[], acknowledged };
    let mut refuse = |_: wal::Frame<'_>| {
        Err::<(), _>(ShardError::damaged(dir, "MANIFEST is missing, but the log has entries"))
    };
    wal::examine(&**io, dir, request, &mut refuse)?.carry_out(&**io)?;
    let mut manifest = Manifest {
        owner,
        made_with: place.made_with.clone(),
        generation: 0,
        dim: shape.dim.get(),
        metric: metric_code(shape.metric),
        log_floor: place.starts_after.get(),
        next_segment: 1,
        epoch_seen: 0,
        segments: Vec::new(),
        logs: Vec::new(),
    };
    manifest::store(&**io, dir, &mut manifest)?;
    Ok(manifest)
}

pub(crate) fn check_shape(dir: &Path, shape: ShardShape, manifest: &Manifest) -> Result<(), ShardError> {
    let settings = [
        ("shard", manifest.owner.number.to_string(), shape.shard.to_string()),
        ("dimension", manifest.dim.to_string(), shape.dim.to_string()),
        ("metric", metric_name(manifest.metric), shape.metric.to_string()),
    ];
    for (setting, found, expected) in settings {
        if found != expected {
            return Err(ShardError::OtherShape { path: dir.to_owned(), setting, found, expected });
        }
    }
    Ok(())
}

/// What becomes of a file that nothing needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leftover {
    /// It is unfinished or derived, or was set aside before a run that ended cleanly.
    Removed,
    /// It may be needed by a manifest that was lost.
    SetAside,
}

impl Leftover {
    fn of(name: &str, manifest: &Manifest, ended_cleanly: bool) -> Option<Self> {
        let is_named = |name: &str| {
            let is_of = |entry: &SegmentEntry| match files::segment_of(name) {
                Some(segment) => entry.id == segment.get(),
                None => name == segment_file_name(SegmentId::new(entry.id)),
            };
            manifest.segments.iter().any(is_of)
        };
        let is_derived = files::is_derived_file_name(name);
        let is_unfinished = name.ends_with(".tmp");
        if is_unfinished || (is_aside(name) && ended_cleanly) || (is_derived && !is_named(name)) {
            return Some(Self::Removed);
        }
        (name.ends_with(".seg") && !is_named(name) && !is_planted(7)).then_some(Self::SetAside)
    }
}

/// Puts in order what a crash left, once everything that is named was read. What the system does not let go of is no reason to refuse
/// to start, unless it is in the way of a segment, whose number is given again. Returns whether nothing was set aside.
fn tidy(
    io: &SharedIo,
    dir: &Path,
    manifest: &Manifest,
    names: &[String],
    ended_cleanly: bool,
) -> Result<bool, ShardError> {
    let mut is_in_order = true;
    for name in names {
        let path = dir.join(name);
        match Leftover::of(name, manifest, ended_cleanly) {
            None => {}
            Some(Leftover::SetAside) => {
                is_in_order = false;
                tracing::warn!(
                    shard = manifest.owner.number,
                    file = name,
                    "set aside a segment that MANIFEST does not name"
                );
                set_aside(&**io, &path).map_err(ShardError::io(path))?;
            }
            Some(Leftover::Removed) => match io.remove(&path) {
                Err(error) if !name.ends_with(".seg.tmp") => {
                    tracing::warn!(shard = manifest.owner.number, file = name, error = %error, "a leftover stays until the next start");
                }
                removed => removed.map_err(ShardError::io(path))?,
            },
        }
    }
    Ok(is_in_order)
}

fn open_segments(
    io: &SharedIo,
    dir: &Path,
    shape: (ShardShape, Verify),
    manifest: &Manifest,
) -> Result<Vec<LayerView>, ShardError> {
    let mut layers = Vec::new();
    for entry in manifest.segments.iter().rev() {
        layers.push(Arc::new(open_segment(io, dir, shape, entry)?));
    }
    let mut dead: HashMap<SegmentId, RoaringBitmap> = HashMap::new();
    for (target, slots) in layers.iter().flat_map(|layer| layer.kills()) {
        *dead.entry(*target).or_default() |= &**slots;
    }
    let views = layers.into_iter().map(|layer| {
        let dead = Arc::new(dead.remove(&layer.id).unwrap_or_default());
        LayerView { layer, dead }
    });
    Ok(views.collect())
}

fn open_segment(
    io: &SharedIo,
    dir: &Path,
    shape: (ShardShape, Verify),
    entry: &SegmentEntry,
) -> Result<Layer, ShardError> {
    let id = SegmentId::new(entry.id);
    let path = dir.join(segment_file_name(id));
    let segment = Segment::open(io, &path, shape, SegmentHead { owner: entry.owner, segment: id })?;
    let found = (segment.file().bytes(), segment.file().checksum(), segment.len());
    if found != (entry.bytes, entry.checksum, entry.rows) {
        return Err(ShardError::damaged(path, "it is not the file that MANIFEST names"));
    }
    Ok(Layer { id, rows: Rows::Sealed(segment) })
}

fn highest_epoch(manifest: &Manifest, state: &Snapshot) -> Epoch {
    let in_rows = state.layers.iter().flat_map(|view| view.layer.namespaces());
    let highest = in_rows.map(|entry| entry.namespace.epoch()).max();
    highest.unwrap_or(Epoch::ZERO).max(Epoch::new(manifest.epoch_seen))
}

/// The logs that a manifest names.
pub(crate) fn expected_logs(manifest: &Manifest) -> Vec<ExpectedLog> {
    let expected = |log: &LogEntry| ExpectedLog { first_seq: SeqNo::new(log.first_seq), owner: log.owner };
    manifest.logs.iter().map(expected).collect()
}

/// What is to be read of the logs beside a manifest.
pub(crate) const fn request<'a>(
    manifest: &Manifest,
    expected_logs: &'a [ExpectedLog],
    acknowledged: SeqNo,
) -> RecoverRequest<'a> {
    let floor = SeqNo::new(manifest.log_floor);
    RecoverRequest { owner: manifest.owner, floor, expected_logs, acknowledged }
}

fn replay(
    io: &SharedIo,
    dir: &Path,
    (shape, place): (ShardShape, &ShardPlace),
    manifest: &Manifest,
    (state, emptied): (&mut Snapshot, &mut Vec<NamespaceId>),
) -> Result<wal::Plan, ShardError> {
    let expected_logs = expected_logs(manifest);
    let request = request(manifest, &expected_logs, place.acknowledged());
    let mut apply = |frame: wal::Frame<'_>| {
        let (namespace, operations) = log_entry::decode(&frame, shape.dim, dir)?;
        if operations.contains(&Operation::Clear) {
            emptied.push(namespace.id());
        }
        state.apply(&namespace, operations, frame.seq);
        Ok::<(), ShardError>(())
    };
    let plan = wal::examine(&**io, dir, request, &mut apply)?;
    if let Some(torn) = &plan.recovered().torn {
        tracing::warn!(shard = shape.shard.get(), file = %torn.path.display(), offset = torn.offset, bytes = torn.bytes,
            "cut a write that was never known to be synced; a copy of it is set aside until the next clean start");
    }
    Ok(plan)
}

/// Begins a new log after the recovered ones, so that nothing is ever appended to a log that a crash has touched; or goes on with the
/// last one if it was closed and took no entry.
fn begin_log(
    io: &SharedIo,
    dir: &Path,
    (manifest, is_in_order): (&mut Manifest, bool),
    recovered: &Recovered,
    (place, options): (&ShardPlace, &ShardOptions),
) -> Result<Wal, ShardError> {
    let first_seq = recovered.last_seq.next();
    let head = LogHead { owner: place.owner, first_seq };
    if is_in_order && is_as_it_was_left(manifest, recovered, place) {
        return Ok(Wal::reopen(io, dir, head, options.log_options(false)));
    }
    (manifest.owner, manifest.made_with) = (place.owner, place.made_with.clone());
    let earlier = recovered.logs.iter().filter(|log| log.first_seq < first_seq);
    manifest.logs =
        earlier.map(|log| LogEntry { first_seq: log.first_seq.get(), owner: log.owner }).collect();
    // A log of the same name holds no entry. The manifest must stop expecting it before it goes.
    if recovered.logs.iter().any(|log| log.first_seq == first_seq) {
        manifest::store(&**io, dir, manifest)?;
        let path = dir.join(wal::log_file_name(first_seq));
        io.remove(&path).map_err(ShardError::io(path))?;
    }
    let log = Wal::create(io, dir, head, options.log_options(false))?;
    if !is_planted(29) {
        manifest.logs.push(LogEntry { first_seq: first_seq.get(), owner: place.owner });
    }
    manifest::store(&**io, dir, manifest)?;
    Ok(log)
}

/// Whether the last log took no entry before it was closed, and the manifest names just what is there.
fn is_as_it_was_left(manifest: &Manifest, recovered: &Recovered, place: &ShardPlace) -> bool {
    let found = |log: &wal::LogFile| LogEntry { first_seq: log.first_seq.get(), owner: log.owner };
    recovered.unused().is_some_and(|log| log.owner == place.owner)
        && manifest.logs == recovered.logs.iter().map(found).collect::<Vec<_>>()
        && (manifest.owner, &manifest.made_with) == (place.owner, &place.made_with)
}

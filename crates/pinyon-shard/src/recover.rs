//! Opening: manifest, then segments, then the log from the manifest's floor on. Every step can be cut off by a crash
//! and begun again.

use crate::{
    ShardError, ShardOptions, ShardShape, graphs,
    layer::{Layer, LayerView, Rows},
    log_entry,
    maintain::Maintenance,
    questions,
    segment::Segment,
    shard::{Inner, Writer},
    snapshot::Snapshot,
    worker::Bell,
};
use arc_swap::ArcSwap;
use pinyon_storage::{
    io::SharedIo,
    manifest::{self, Manifest, SegmentEntry},
    segment::segment_file_name,
    wal::{self, LogHead, RecoverRequest, Recovered, Wal, WalOptions},
};
use pinyon_types::{Epoch, Metric, SegmentId, SeqNo, ShardId};
use roaring::RoaringBitmap;
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

pub(crate) fn open(
    io: &SharedIo,
    dir: &Path,
    shape: ShardShape,
    options: ShardOptions,
) -> Result<Inner, ShardError> {
    io.create_dir_all(dir).map_err(ShardError::io(dir))?;
    let mut manifest = match manifest::load(&**io, dir)? {
        Some(manifest) => manifest,
        None => create(io, dir, shape)?,
    };
    check_shape(dir, shape, &manifest)?;
    let names = remove_orphans(io, dir, &manifest)?;
    let mut state = Snapshot::empty();
    state.layers = open_segments(io, dir, shape, &manifest)?;
    graphs::inherit_files(&options, &state.layers, &names);
    state.seq = SeqNo::new(manifest.log_floor);
    state.epoch_seen = highest_epoch(&manifest, &state);
    let recovered = replay(io, dir, shape, &manifest, &mut state)?;
    let log = begin_log(io, dir, &mut manifest, &recovered, &options)?;
    let inner = Inner {
        shape,
        options,
        io: Arc::clone(io),
        dir: dir.to_owned(),
        snapshot: ArcSwap::from_pointee(state),
        queue: Mutex::default(),
        writer: Mutex::new(Writer { log }),
        poisoned: AtomicBool::new(false),
        poison_reason: Mutex::new(None),
        maintenance: Mutex::new(Maintenance { manifest }),
        waiting: 0.into(),
        step_failure: Mutex::new(None),
        bell: Bell::default(),
        questions: Default::default(),
    };
    questions::restore(&inner, &names);
    Ok(inner)
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

/// The number under which the manifest keeps a metric; never changed, only added to.
const fn metric_code(metric: Metric) -> u8 {
    match metric {
        Metric::Cosine => 1,
        Metric::DotProduct => 2,
        Metric::Euclidean => 3,
    }
}

pub(crate) fn metric_of(code: u8) -> Option<Metric> {
    let known = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean];
    known.into_iter().find(|metric| metric_code(*metric) == code)
}

fn metric_name(code: u8) -> String {
    metric_of(code).map_or_else(|| format!("number {code}"), |metric| metric.to_string())
}

/// Begins a shard in a directory without a manifest. Entries in a log mean that the manifest was lost, not that there
/// never was one: it is durable before the first write is taken.
fn create(io: &SharedIo, dir: &Path, shape: ShardShape) -> Result<Manifest, ShardError> {
    let names = io.list(dir).map_err(ShardError::io(dir))?;
    if let Some(segment) = names.iter().find(|name| name.ends_with(".seg")) {
        return Err(ShardError::damaged(dir, format!("MANIFEST is missing, but {segment} is there")));
    }
    let request = RecoverRequest { shard: shape.shard.get(), floor: SeqNo::ZERO, expected_logs: &[] };
    let mut refuse = |_: wal::Frame<'_>| {
        Err::<(), _>(ShardError::damaged(dir, "MANIFEST is missing, but the log has entries"))
    };
    wal::recover(&**io, dir, request, &mut refuse)?;
    let manifest = Manifest {
        shard: shape.shard.get(),
        dim: shape.dim.get(),
        metric: metric_code(shape.metric),
        log_floor: 0,
        next_segment: 1,
        epoch_seen: 0,
        segments: Vec::new(),
        logs: Vec::new(),
    };
    manifest::store(&**io, dir, &manifest)?;
    Ok(manifest)
}

fn check_shape(dir: &Path, shape: ShardShape, manifest: &Manifest) -> Result<(), ShardError> {
    let settings = [
        ("shard", manifest.shard.to_string(), shape.shard.to_string()),
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

/// Removes what a crash left half made: files that no manifest names or that belong to no segment that it names, and
/// unfinished ones. The names of all files, these among them.
fn remove_orphans(io: &SharedIo, dir: &Path, manifest: &Manifest) -> Result<Vec<String>, ShardError> {
    let named: Vec<String> =
        manifest.segments.iter().map(|entry| segment_file_name(SegmentId::new(entry.id))).collect();
    let is_named = |name: &str| match graphs::segment_of(name) {
        Some(segment) => manifest.segments.iter().any(|entry| entry.id == segment.get()),
        None => named.iter().any(|named| named == name),
    };
    let names = io.list(dir).map_err(ShardError::io(dir))?;
    for name in &names {
        let is_of_segment = name.ends_with(".seg") || graphs::is_graph_file_name(name);
        if name.ends_with(".tmp") || (is_of_segment && !is_named(name)) {
            let path = dir.join(name);
            match io.remove(&path) {
                // Nothing reads it, and its number is not given again: no reason to refuse to start.
                Err(error) if graphs::is_graph_file_name(name.trim_end_matches(".tmp")) => {
                    graphs::warn_left(ShardId::new(manifest.shard), &path, &error);
                }
                removed => removed.map_err(ShardError::io(path))?,
            }
        }
    }
    Ok(names)
}

fn open_segments(
    io: &SharedIo,
    dir: &Path,
    shape: ShardShape,
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
    shape: ShardShape,
    entry: &SegmentEntry,
) -> Result<Layer, ShardError> {
    let id = SegmentId::new(entry.id);
    let path = dir.join(segment_file_name(id));
    let segment = Segment::open(io, &path, shape, id)?;
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

fn replay(
    io: &SharedIo,
    dir: &Path,
    shape: ShardShape,
    manifest: &Manifest,
    state: &mut Snapshot,
) -> Result<Recovered, ShardError> {
    let expected_logs: Vec<SeqNo> = manifest.logs.iter().copied().map(SeqNo::new).collect();
    let request = RecoverRequest {
        shard: shape.shard.get(),
        floor: SeqNo::new(manifest.log_floor),
        expected_logs: &expected_logs,
    };
    let mut apply = |frame: wal::Frame<'_>| {
        let (namespace, operations) = log_entry::decode(&frame, shape.dim, dir)?;
        state.apply(&namespace, operations, frame.seq);
        Ok::<(), ShardError>(())
    };
    let recovered = wal::recover(&**io, dir, request, &mut apply)?;
    if let Some(torn) = &recovered.torn {
        tracing::warn!(shard = shape.shard.get(), file = %torn.path.display(), offset = torn.offset, bytes = torn.bytes,
            "cut a write that was never acknowledged");
    }
    Ok(recovered)
}

/// Begins a new log after the recovered ones, so that nothing is ever appended to a log that a crash has touched.
fn begin_log(
    io: &SharedIo,
    dir: &Path,
    manifest: &mut Manifest,
    recovered: &Recovered,
    options: &ShardOptions,
) -> Result<Wal, ShardError> {
    let first_seq = recovered.last_seq.next();
    manifest.logs =
        recovered.logs.iter().map(|log| log.first_seq.get()).filter(|&seq| seq < first_seq.get()).collect();
    // A log of the same name holds no entry. The manifest must stop expecting it before it goes.
    if recovered.logs.iter().any(|log| log.first_seq == first_seq) {
        manifest::store(&**io, dir, manifest)?;
        let path = dir.join(wal::log_file_name(first_seq));
        io.remove(&path).map_err(ShardError::io(path))?;
    }
    let head = LogHead { shard: manifest.shard, first_seq };
    let log = Wal::create(io, dir, head, WalOptions { preallocate_bytes: options.log_preallocate_bytes })?;
    manifest.logs.push(first_seq.get());
    manifest::store(&**io, dir, manifest)?;
    Ok(log)
}

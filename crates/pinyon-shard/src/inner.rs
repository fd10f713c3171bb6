//! The state of a shard, which all that works on it shares; and what threads tell each other by it: that it takes no writes any more,
//! and that there is room again.

use crate::{
    ShardError, ShardOptions, ShardShape,
    derived::questions::Questions,
    place::ShardPlace,
    rows::snapshot::Snapshot,
    upkeep::{
        bell::{Bell, Need},
        maintenance::Maintenance,
        owed::Owed,
    },
    writing::{gate::Gate, queue::Queue, watches::Watches},
};
use arc_swap::ArcSwap;
use pinyon_storage::{io::SharedIo, manifest::Manifest, wal::Wal};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How long a writer waits for room before it is told to come back later.
const ROOM_WAIT: Duration = Duration::from_secs(20);

/// What only the thread that commits may touch.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) log: Wal,
    pub(crate) gate: Gate,
    pub(crate) watches: Watches,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shape: ShardShape,
    pub(crate) place: ShardPlace,
    pub(crate) options: ShardOptions,
    pub(crate) io: SharedIo,
    pub(crate) dir: PathBuf,
    /// What readers see; replaced by commits, seals and merges, each under the writer's lock.
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) queue: Mutex<Queue>,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) poisoned: AtomicBool,
    pub(crate) poison_reason: Mutex<Option<String>>,
    /// Held through a background step: seals and merges of one shard never overlap.
    pub(crate) maintenance: Mutex<Maintenance>,
    /// How many threads wait for that.
    pub(crate) waiting: AtomicUsize,
    /// Why the last background step failed, until one succeeds.
    pub(crate) step_failure: Mutex<Option<String>>,
    pub(crate) bell: Bell,
    /// Whether the memtable is to be sealed before it is full.
    pub(crate) seals_early: AtomicBool,
    pub(crate) questions: Questions,
    pub(crate) owed: Owed,
    /// Whether bytes were met that cannot be.
    pub(crate) suspect: AtomicBool,
    /// Whether its files are left as they are from now on.
    pub(crate) is_given_up: AtomicBool,
}

impl Inner {
    /// A shard that was read back.
    pub(crate) fn new(
        (shape, place): (ShardShape, ShardPlace),
        options: ShardOptions,
        (io, dir): (&SharedIo, &Path),
        (state, log, manifest): (Snapshot, Wal, Manifest),
    ) -> Self {
        Self {
            shape,
            place,
            options,
            io: Arc::clone(io),
            dir: dir.to_owned(),
            snapshot: ArcSwap::from_pointee(state),
            queue: Mutex::default(),
            writer: Mutex::new(Writer { log, gate: Gate::default(), watches: Watches::default() }),
            poisoned: AtomicBool::new(false),
            poison_reason: Mutex::new(None),
            maintenance: Mutex::new(Maintenance::new(&**io, dir, manifest)),
            waiting: 0.into(),
            step_failure: Mutex::new(None),
            bell: Bell::default(),
            seals_early: AtomicBool::new(false),
            questions: Default::default(),
            owed: Default::default(),
            suspect: AtomicBool::new(false),
            is_given_up: AtomicBool::new(false),
        }
    }

    /// Makes a new manifest the durable one. On an error the old one stands.
    pub(crate) fn store_manifest(
        &self,
        maintenance: &mut Maintenance,
        manifest: Manifest,
    ) -> Result<(), ShardError> {
        maintenance.store(&*self.io, &self.dir, manifest)?;
        self.place.raise_manifest(&maintenance.manifest);
        Ok(())
    }

    /// The time, if somebody tells it.
    pub(crate) fn now_us(&self) -> u64 {
        self.options.clock.as_ref().map_or(0, |clock| clock.now_us())
    }

    pub(crate) fn poison(&self, reason: &str) {
        self.poison_reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| reason.to_owned());
        self.poisoned.store(true, Ordering::Release);
        self.bell.ring();
        tracing::error!(shard = self.shape.shard.get(), error = reason, "shard refuses writes");
    }

    pub(crate) fn poisoned_error(&self) -> ShardError {
        let reason = self.poison_reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ShardError::Poisoned { reason: reason.unwrap_or_else(|| "a writer panicked".into()) }
    }

    /// Has the memtable sealed, if it is full.
    pub(crate) fn ask_for_seal(&self) {
        self.bell.ask(Need::Seal);
    }

    /// Waits until sealing has made room: until the memtable has fewer bytes than this.
    pub(crate) fn wait_for_seal(&self, bytes_max: usize) -> Result<(), ShardError> {
        self.ask_for_seal();
        let failure = || self.step_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let has_room = || self.snapshot.load().memtable.bytes < bytes_max;
        let is_settled = || has_room() || self.poisoned.load(Ordering::Acquire) || failure().is_some();
        if self.bell.has_keepers() && self.bell.wait_until(is_settled, ROOM_WAIT) && has_room() {
            return Ok(());
        }
        Err(ShardError::Backlog { reason: failure() })
    }

    /// The writer, with whom nothing is half way.
    pub(crate) fn writing(&self) -> Result<MutexGuard<'_, Writer>, ShardError> {
        let writer = self.writer.lock().map_err(|_| self.poisoned_error())?;
        if self.poisoned.load(Ordering::Acquire) { Err(self.poisoned_error()) } else { Ok(writer) }
    }

    pub(crate) fn close(&self) -> Result<(), ShardError> {
        let mut writer = self.writer.lock().map_err(|_| self.poisoned_error())?;
        if !self.poisoned.load(Ordering::Acquire) {
            writer.log.close()?;
            self.place.rest();
            self.poison_reason
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert_with(|| "the shard was closed".into());
            self.poisoned.store(true, Ordering::Release);
        }
        Ok(())
    }
}

//! Erasure: what was deleted or overwritten leaves the files too, after a time or when somebody asks. Until then it can be read in the
//! log and in the segments by whoever has the files. Log first: once the memtable is sealed no log holds an entry from before.
//! Then every segment in which rows died is written again without them.

use crate::{
    Namespace, ShardError, Step,
    inner::Inner,
    rows::{layer::LayerView, snapshot::Snapshot},
    upkeep::{
        maintenance::Maintenance,
        merge,
        owed::{Erased, Erasing, Wanted},
        reclaim::check_room_for,
        seal,
    },
};
use pinyon_planted::is_planted;
use pinyon_storage::{io::is_aside, segment::segment_file_name};
use pinyon_types::{NamespaceId, SegmentId, SeqNo, TenantId};
use roaring::RoaringBitmap;
use std::sync::{Arc, atomic::Ordering};

/// One over the share of a segment's rows for which it is written again to have their room back.
const ROOM_PART_MIN: u64 = 100;
/// Between two tries to erase where there is no room.
const NO_ROOM_REST_US: u64 = 60_000_000;

impl Inner {
    /// After a commit: everything that was written may have replaced something.
    pub(crate) fn note_written(&self) {
        if self.options.erasure.is_some() {
            self.owed.note_change(|| self.now_us());
        }
    }

    /// After a namespace was emptied.
    pub(crate) fn note_emptied(&self, namespace: NamespaceId) {
        if self.options.erasure.is_some() {
            self.owed.note_namespace(namespace, self.now_us());
        }
    }

    /// After a start, which knows of no deletion when it was: what is dead is taken as dead since now, and what lies dead as a whole
    /// as emptied.
    pub(crate) fn owe_what_is_dead(&self, log_floor: SeqNo, emptied: &[NamespaceId]) {
        let state = self.snapshot.load();
        if state.seq > log_floor || state.layers.iter().any(|view| !view.dead.is_empty()) {
            self.note_written();
        }
        let is_dead = |view: &&LayerView| !view.dead.is_empty();
        for view in state.layers.iter().filter(is_dead) {
            let dead = view.layer.namespaces().iter().filter(|entry| view.live_rows(&entry.slots) == 0);
            dead.for_each(|entry| self.note_emptied(entry.namespace.id()));
        }
        emptied.iter().for_each(|namespace| self.note_emptied(*namespace));
    }

    /// When something is to be erased, if anything is.
    pub(crate) fn erasure_due_us(&self) -> Option<u64> {
        let times = self.options.erasure.filter(|_| self.options.clock.is_some())?;
        self.owed.due_us(times)
    }

    /// The next step of an erasure that is due.
    pub(crate) fn erase_due(&self, maintenance: &mut Maintenance) -> Result<Step, ShardError> {
        let Some(times) = self.options.erasure.filter(|_| self.options.clock.is_some()) else {
            return Ok(Step::Idle);
        };
        if self.now_us() < self.owed.rests_until.load(Ordering::Relaxed) {
            return Ok(Step::Idle);
        }
        let mut running = self.owed.running();
        if running.is_none() {
            *running = self.owed.take_due(times, self.now_us()).map(Erasing::new);
        }
        let Some(erasing) = running.as_mut() else { return Ok(Step::Idle) };
        let step = match erasing.step(self, maintenance) {
            Err(error) if error.is_disk_full() => {
                self.owed.rests_until.store(self.now_us() + NO_ROOM_REST_US, Ordering::Relaxed);
                tracing::warn!(shard = self.shape.shard.get(), error = %error, "what was deleted is not erased yet");
                return Ok(Step::Idle);
            }
            step => step?,
        };
        if step == Step::Idle {
            erasing.tell(self);
            *running = None;
        }
        Ok(step)
    }

    /// Erases what was deleted of a tenant.
    pub(crate) fn erase(&self, tenant: &TenantId) -> Result<Erased, ShardError> {
        self.erase_all(Wanted::Tenant(tenant.clone()))
    }

    /// Erases something now.
    pub(crate) fn erase_all(&self, wanted: Wanted) -> Result<Erased, ShardError> {
        let mut erasing = Erasing::new(wanted);
        while self.run(|maintenance| erasing.step(self, maintenance))? != Step::Idle {}
        erasing.tell(self);
        Ok(erasing.done)
    }
}

impl Erasing {
    fn new(wanted: Wanted) -> Self {
        Self { wanted, left: None, done: Erased::default() }
    }

    fn step(&mut self, inner: &Inner, maintenance: &mut Maintenance) -> Result<Step, ShardError> {
        if self.left.is_none() {
            let sealed = seal::seal_all(inner, maintenance)?;
            self.left = Some(self.wanted.segments(&inner.snapshot.load()).collect());
            if sealed != Step::Idle {
                return Ok(sealed);
            }
        }
        let left = self.left.get_or_insert_default();
        while let Some(id) = left.front() {
            let state = inner.snapshot.load_full();
            // Another merge may have been there first.
            let Some(view) = state.layer(*id).filter(|view| !view.dead.is_empty()) else {
                left.pop_front();
                continue;
            };
            check_room_for(inner, std::slice::from_ref(view))?;
            let step = merge::merge(inner, maintenance, std::slice::from_ref(view))?;
            self.done.leaving.push(Arc::downgrade(&view.layer));
            self.done.segments += 1;
            left.pop_front();
            return Ok(step);
        }
        self.done.leftovers +=
            remove_leftovers(inner, maintenance, self.wanted.takes_aside() && !is_planted(28))?;
        Ok(Step::Idle)
    }

    fn tell(&self, inner: &Inner) {
        let (segments, leftovers) = (self.done.segments, self.done.leftovers);
        tracing::info!(shard = inner.shape.shard.get(), segments, leftovers, "what was deleted is erased");
    }
}

impl Wanted {
    /// The segments that hold some of it.
    fn segments<'a>(&'a self, state: &'a Snapshot) -> impl Iterator<Item = SegmentId> + 'a {
        state.layers.iter().filter(|view| self.is_in(view)).map(|view| view.layer.id)
    }

    /// Whether files go that were set aside. People may look for them after a start that found something wrong: a day, or until one
    /// of them asks for an erasure.
    const fn takes_aside(&self) -> bool {
        matches!(self, Self::All | Self::Tenant(_))
    }

    fn is_in(&self, view: &LayerView) -> bool {
        let of = |is_of: &dyn Fn(&Namespace) -> bool| {
            let mut entries = view.layer.namespaces().iter().filter(|entry| is_of(&entry.namespace));
            entries.any(|entry| view.live_rows(&entry.slots) < u64::from(entry.len()))
        };
        match self {
            Self::All => !RoaringBitmap::is_empty(&view.dead),
            Self::Namespaces(ids) => of(&|namespace| ids.contains(&namespace.id())),
            Self::Room(id) => {
                let of_copy = view.layer.namespaces().iter().filter(|entry| entry.namespace.id() == *id);
                let dead: u64 =
                    of_copy.map(|entry| u64::from(entry.len()) - view.live_rows(&entry.slots)).sum();
                dead * ROOM_PART_MIN >= u64::from(view.layer.len()) && dead > 0
            }
            Self::Tenant(name) => of(&|namespace| namespace.name() == name),
        }
    }
}

/// What a call that failed has left holds bytes of whoever they were, and so does what was set aside.
fn remove_leftovers(
    inner: &Inner,
    maintenance: &mut Maintenance,
    takes_aside: bool,
) -> Result<u64, ShardError> {
    let mut names = inner.io.list(&inner.dir).map_err(ShardError::io(&inner.dir))?;
    let state = inner.snapshot.load_full();
    let is_used = |name: &str| state.layers.iter().any(|view| name == segment_file_name(view.layer.id));
    names.retain(|name| {
        (takes_aside && is_aside(name))
            || name.ends_with(".seg.tmp")
            || (name.ends_with(".seg") && !is_used(name))
    });
    if names.is_empty() {
        return Ok(0);
    }
    // A manifest that could not be made durable may yet be the one that is there, and name them.
    let manifest = maintenance.manifest.clone();
    inner.store_manifest(maintenance, manifest)?;
    for name in &names {
        let path = inner.dir.join(name);
        inner.io.remove(&path).map_err(ShardError::io(path))?;
    }
    inner.io.sync_dir(&inner.dir).map_err(ShardError::io(&inner.dir))?;
    Ok(names.len() as u64)
}

//! Whether the files of a shard that is served still are as they were written. What is damaged on the disk and whole in memory is
//! written again; what is damaged in both is the end of serving the shard, until somebody mends it.

use crate::{
    Shard, ShardError, Step,
    derived::{files, questions},
    inner::Inner,
    rows::segment::Segment,
    upkeep::{maintenance::Maintenance, merge, reclaim::check_room_for, recover, seal::leave_logs},
};
use pinyon_storage::{
    manifest,
    segment::{SegmentError, SegmentFile},
    wal,
};
use pinyon_types::SegmentId;
use std::{
    io,
    sync::{Arc, PoisonError, atomic::Ordering},
};

/// Asked before so many more bytes are read, whether to go on. It may wait.
pub type Pace<'a> = &'a mut dyn FnMut(u64) -> bool;

/// What a look at a file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// It is as it was written.
    Whole,
    /// It was not, and has been written again from memory; says which file, and what was found.
    Mended(String),
    /// The look was ended before its end.
    Stopped,
}

impl Shard {
    /// Numbers of its segments, oldest first.
    pub fn segments(&self) -> Vec<SegmentId> {
        let state = self.inner.snapshot.load();
        let sealed = state.layers.iter().filter(|view| view.layer.segment().is_some());
        let mut ids: Vec<SegmentId> = sealed.map(|view| view.layer.id).collect();
        ids.sort_unstable();
        ids
    }

    /// Segments of which not every byte was verified since they were opened, and what their rows say checked.
    pub fn unverified_segments(&self) -> Vec<SegmentId> {
        let state = self.inner.snapshot.load();
        let sealed = state.layers.iter().filter_map(|view| Some((view.layer.id, view.layer.segment()?)));
        sealed.filter(|(_, segment)| !segment.is_verified()).map(|(id, _)| id).collect()
    }

    /// Verifies what nobody has read yet of a segment. Changes nothing.
    ///
    /// # Errors
    /// It is not as it was written.
    pub fn verify_rest(&self, id: SegmentId, pace: Pace<'_>) -> Result<Verified, ShardError> {
        let state = self.inner.snapshot.load_full();
        let segment = state.layer(id).and_then(|view| view.layer.segment());
        let Some(segment) = segment else { return Ok(Verified::Whole) };
        let verified = segment.verify_rest(pace)?;
        Ok(verified.map_or(Verified::Stopped, |()| Verified::Whole))
    }

    /// Segments whose files were changed, cut, removed or replaced since they were last verified, by the file system's word: nothing of
    /// them is read.
    pub fn changed_segments(&self) -> Vec<SegmentId> {
        let state = self.inner.snapshot.load();
        let is_changed = |segment: &Segment| {
            let seen = *segment.stamp().lock().unwrap_or_else(PoisonError::into_inner);
            seen.is_some_and(|seen| self.inner.io.stamp(segment.file().path()).ok() != Some(seen))
        };
        let sealed = state.layers.iter().filter_map(|view| Some((view.layer.id, view.layer.segment()?)));
        sealed.filter(|(_, segment)| is_changed(segment)).map(|(id, _)| id).collect()
    }

    /// Whether the manifest was changed or removed since it was last stored or read, by the file system's word.
    pub fn is_manifest_changed(&self) -> bool {
        // A step that runs may be about to store it.
        self.inner
            .maintenance
            .try_lock()
            .is_ok_and(|maintenance| maintenance.is_changed(&*self.inner.io, &self.inner.dir))
    }

    /// Reads a segment's file again, from the disk. Changes nothing.
    ///
    /// # Errors
    /// It is not as it was written: [`Self::mend_segment`] does what can be done.
    pub fn verify_segment(&self, id: SegmentId, pace: Pace<'_>) -> Result<Verified, ShardError> {
        let state = self.inner.snapshot.load_full();
        // It may have been merged meanwhile.
        let segment = state.layer(id).and_then(|view| view.layer.segment());
        let Some(segment) = segment else { return Ok(Verified::Whole) };
        let read = self.inner.read_again(segment, pace);
        // A merge may have removed it.
        let is_served = self.inner.snapshot.load().layer(id).is_some();
        if is_served { read } else { Ok(Verified::Whole) }
    }

    /// Writes a segment again in whose file something was found, if what is served of it is as it was written.
    ///
    /// # Errors
    /// What was found, if that is not so: the shard is not to be served. Or it could not be written.
    pub fn mend_segment(&self, id: SegmentId, problem: ShardError) -> Result<Verified, ShardError> {
        let state = self.inner.snapshot.load_full();
        let segment = state.layer(id).and_then(|view| view.layer.segment());
        let Some(segment) = segment else { return Ok(Verified::Whole) };
        // What is behind the end of a file, or on a disk that does not give it, ends the process that looks at it.
        let is_whole = || segment.file().check_served().is_ok() && segment.check_rows(&mut |_| true).is_ok();
        if self.inner.is_unsafe_to_touch(segment, &problem) || !is_whole() {
            return Err(problem);
        }
        let written = self.inner.run(|maintenance| rewrite(&self.inner, maintenance, id));
        written.map(|_| Verified::Mended(problem.to_string()))
    }

    /// Whether this is the same shard, opened once, and not another opening of the same files.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Writes nothing more: its files are left as they are for somebody who mends them. Waits for the step that runs; writes that are on
    /// their way are durable or refused. Who reads may go on.
    pub fn give_up(&self, reason: &str) {
        self.inner.is_given_up.store(true, Ordering::Release);
        self.inner.poison(reason);
        self.inner.wait_for_step();
    }

    /// Reads the manifest and the logs again, and whatever else is there that is not a segment.
    ///
    /// # Errors
    /// One of them is damaged, and what it says cannot be written anew.
    pub fn verify_others(&self, pace: Pace<'_>) -> Result<Vec<Verified>, ShardError> {
        if self.poisoned().is_some() {
            // Nothing is written to it any more; the next opening reads all of it.
            return Ok(Vec::new());
        }
        let inner = &self.inner;
        let looked = inner.between_steps(|maintenance| {
            Ok::<_, ShardError>([verify_manifest(inner, maintenance)?, verify_logs(inner, maintenance)?])
        });
        let Some(looked) = looked else { return Ok(Vec::new()) };
        let mut found = Vec::from(looked?);
        found.extend(verify_derived(inner, pace));
        Ok(found)
    }
}

impl Inner {
    fn read_again(&self, segment: &Segment, pace: Pace<'_>) -> Result<Verified, ShardError> {
        // Before it is read: what is changed meanwhile is noticed by the next look.
        let stamp = self.io.stamp(segment.file().path()).ok();
        let mut read = || segment.file().verify(&self.io, pace);
        // A read may have met another's, half done; the second one stands.
        let Some(()) = read().or_else(|_| read())? else { return Ok(Verified::Stopped) };
        *segment.stamp().lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        Ok(Verified::Whole)
    }

    fn is_unsafe_to_touch(&self, segment: &Segment, problem: &ShardError) -> bool {
        let is_gone = problem.system_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
        // A file that was unlinked is there as long as it is mapped, and so is one that another took the place of.
        let path = segment.file().path();
        let now = self.io.stamp(path).ok();
        let before = *segment.stamp().lock().unwrap_or_else(PoisonError::into_inner);
        let is_same_file = now.zip(before).is_none_or(|(now, before)| now.inode == before.inode);
        let is_shorter = now.is_some_and(|now| now.bytes < segment.file().bytes());
        let is_unreadable = problem.system_error().is_some() && !is_gone;
        is_same_file && (is_shorter || is_unreadable)
    }
}

/// Writes a segment's live rows into a new one from memory, and puts it in its place.
fn rewrite(inner: &Inner, maintenance: &mut Maintenance, id: SegmentId) -> Result<Step, ShardError> {
    let state = inner.snapshot.load_full();
    let Some(view) = state.layer(id) else { return Ok(Step::Idle) };
    check_room_for(inner, std::slice::from_ref(view))?;
    merge::merge(inner, maintenance, std::slice::from_ref(view))
}

fn verify_manifest(inner: &Inner, maintenance: &mut Maintenance) -> Result<Verified, ShardError> {
    let problem = match manifest::load(&*inner.io, &inner.dir) {
        Ok(Some(found)) if found == maintenance.manifest => {
            *maintenance = Maintenance::new(&*inner.io, &inner.dir, found);
            return Ok(Verified::Whole);
        }
        Ok(Some(_)) => "MANIFEST is not the one that was stored".to_owned(),
        Ok(None) => "MANIFEST is missing".to_owned(),
        Err(error) => error.to_string(),
    };
    let known = maintenance.manifest.clone();
    inner.store_manifest(maintenance, known)?;
    Ok(Verified::Mended(problem))
}

/// What is in the logs is in memory too: where they are damaged it is sealed, and they go.
fn verify_logs(inner: &Inner, maintenance: &mut Maintenance) -> Result<Verified, ShardError> {
    // A look beside a writer may meet half of what it writes: the second one keeps him waiting.
    let found = read_logs(inner, maintenance).or_else(|_| {
        let _writer = inner.writer.lock().map_err(|_| inner.poisoned_error())?;
        read_logs(inner, maintenance)
    });
    let Err(problem) = found else { return Ok(Verified::Whole) };
    leave_logs(inner, maintenance)?;
    read_logs(inner, maintenance)?;
    Ok(Verified::Mended(problem.to_string()))
}

fn read_logs(inner: &Inner, maintenance: &Maintenance) -> Result<(), ShardError> {
    let acknowledged = inner.snapshot.load().seq;
    let logs = recover::expected_logs(&maintenance.manifest);
    let request = recover::request(&maintenance.manifest, &logs, acknowledged);
    let plan = wal::examine(&*inner.io, &inner.dir, request, &mut |_| Ok::<(), ShardError>(()))?;
    // What the plan is for is the next start's.
    drop(plan);
    Ok(())
}

/// Codes, graphs and samples of questions are made again where they are missing, so a damaged one is removed.
fn verify_derived(inner: &Inner, pace: Pace<'_>) -> Vec<Verified> {
    let Ok(names) = inner.io.list(&inner.dir) else { return Vec::new() };
    let is_derived =
        |name: &&String| files::is_derived_file_name(name) || questions::is_sample_file_name(name);
    let mut found = Vec::new();
    for path in names.iter().filter(is_derived).map(|name| inner.dir.join(name)) {
        let bytes = inner.io.len(&path).unwrap_or_default();
        if !pace(bytes) {
            break;
        }
        let Err(problem) = SegmentFile::open_any(&inner.io, &path) else { continue };
        // What the system does not give for a moment, or not any more, is not damaged.
        let is_damaged = !matches!(problem, SegmentError::Io { .. });
        if is_damaged && inner.io.remove(&path).is_ok() {
            found.push(Verified::Mended(format!(
                "{problem}; it was removed and is made again when it is needed"
            )));
        }
    }
    found
}

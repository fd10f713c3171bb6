//! The threads that work at moves: one a move, a few at once; the others wait in the order in which they were asked for.

use super::{
    ground::Ground,
    mover::Mover,
    pace::Rates,
    planning::Entered,
    progress::Progress,
    record::{KIND, MovePhase},
    report::MoveTotals,
    trouble::Trouble,
};
use crate::catalog::JobId;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

/// Between two attempts at a move.
const AGAIN_PAUSE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);

/// How moves are worked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveSettings {
    /// Moves at once.
    pub at_once: usize,
    /// Most records a second that one of them reads; 0 for no limit.
    pub rows_per_second: u64,
    /// Most bytes of them.
    pub bytes_per_second: u64,
}

impl Default for MoveSettings {
    fn default() -> Self {
        Self { at_once: 2, rows_per_second: 0, bytes_per_second: 64 << 20 }
    }
}

/// What was done for a move in this process.
#[derive(Debug, Clone)]
pub(super) struct Worked {
    pub(super) progress: Arc<Progress>,
    /// Microseconds from when it was taken up to now, or to its end.
    pub(super) work_us: u64,
}

/// Who works at moves, until it is dropped: then none is worked at any more.
#[derive(Debug)]
pub(crate) struct Movers(Arc<Shared>);

/// What is known of moves that ended.
#[derive(Debug, Default)]
struct Ended {
    /// What was done for them, as long as the table remembers them.
    worked: BTreeMap<JobId, Worked>,
    totals: MoveTotals,
}

#[derive(Debug)]
struct Shared {
    ground: Arc<dyn Ground>,
    settings: MoveSettings,
    running: Mutex<BTreeMap<JobId, Arc<Mover>>>,
    ended: Mutex<Ended>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    is_ended: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Movers {
    /// Begins with the moves that have not ended.
    pub(crate) fn begin(ground: Arc<dyn Ground>, settings: MoveSettings) -> Self {
        let movers = Self(Arc::new(Shared {
            ground,
            settings,
            running: Mutex::default(),
            ended: Mutex::default(),
            threads: Mutex::default(),
            is_ended: AtomicBool::new(false),
        }));
        movers.wake();
        movers
    }

    /// Looks for moves that nobody works at.
    pub(crate) fn wake(&self) {
        if !self.0.ground.environment().is_stepped() {
            Shared::wake(&self.0);
        }
    }

    /// Who works at a move.
    pub(super) fn at(&self, id: JobId) -> Option<Arc<Mover>> {
        lock(&self.0.running).get(&id).cloned()
    }

    /// What was done for a move, if anything.
    pub(super) fn worked(&self, id: JobId) -> Option<Worked> {
        let running = self.at(id).map(|mover| mover.worked());
        running.or_else(|| lock(&self.0.ended).worked.get(&id).cloned())
    }

    /// What was done for all moves together.
    pub(crate) fn totals(&self) -> MoveTotals {
        let mut totals = lock(&self.0.ended).totals;
        lock(&self.0.running).values().for_each(|mover| totals.add(&mover.progress, None));
        totals
    }

    /// Has whoever works at a move look at it anew.
    pub(crate) fn interrupt(&self, id: JobId) {
        if let Some(mover) = self.at(id) {
            mover.interrupt();
        }
        self.wake();
    }

    /// Makes one attempt at one move in this thread; says whether there was one to work at.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn step(&self) -> bool {
        let mut running = lock(&self.0.running);
        let under_way = running.first_key_value().map(|(_, mover)| Arc::clone(mover));
        let Some(mover) = under_way.or_else(|| self.0.next(&running)) else { return false };
        running.insert(mover.id, Arc::clone(&mover));
        drop(running);
        let goes_on = self.0.attempt(&mover);
        if !goes_on {
            self.0.end(&mover);
        }
        goes_on
    }
}

impl Drop for Movers {
    fn drop(&mut self) {
        self.0.is_ended.store(true, Ordering::Release);
        loop {
            lock(&self.0.running).values().for_each(|mover| mover.interrupt());
            let Some(thread) = lock(&self.0.threads).pop() else { return };
            while !thread.is_finished() {
                lock(&self.0.running).values().for_each(|mover| mover.interrupt());
                self.0.ground.environment().pause(LOOK);
            }
            // One that panicked was named by the panic.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn wake(this: &Arc<Self>) {
        let mut running = lock(&this.running);
        while running.len() < this.settings.at_once && !this.is_ended.load(Ordering::Acquire) {
            let Some(mover) = this.next(&running) else { return };
            let (shared, at) = (Arc::clone(this), Arc::clone(&mover));
            match Builder::new().name(format!("move-{}", mover.id.get())).spawn(move || shared.run(&at)) {
                Ok(thread) => {
                    let mut threads = lock(&this.threads);
                    threads.retain(|thread| !thread.is_finished());
                    threads.push(thread);
                }
                Err(error) => {
                    tracing::warn!(error = %error, "no thread for a move");
                    return;
                }
            }
            running.insert(mover.id, mover);
        }
    }

    /// The first move that has not ended and that nobody works at; one that was stopped waits for people.
    fn next(&self, running: &BTreeMap<JobId, Arc<Mover>>) -> Option<Arc<Mover>> {
        let routes = self.ground.routing().routes();
        let is_open = |(id, job): &(JobId, &crate::catalog::Job)| {
            job.kind == KIND
                && !running.contains_key(id)
                && Entered::of(*id, job).is_some_and(|entered| entered.phase.is_worked_at())
        };
        let (id, _) = routes.jobs().iter().find(is_open)?;
        let MoveSettings { rows_per_second, bytes_per_second, .. } = self.settings;
        let rates = Rates { rows: rows_per_second, bytes: bytes_per_second };
        Some(Arc::new(Mover::new(Arc::clone(&self.ground), id, rates)))
    }

    fn run(self: Arc<Self>, mover: &Mover) {
        let mut goes_on = true;
        while goes_on && !self.is_ended.load(Ordering::Acquire) {
            goes_on = self.attempt(mover);
        }
        self.end(mover);
        Self::wake(&self);
    }

    /// Nobody works at a move any more.
    fn end(&self, mover: &Mover) {
        let routes = self.ground.routing().routes();
        let phase = routes.jobs().get(mover.id).and_then(MovePhase::of);
        let mut ended = lock(&self.ended);
        ended.totals.add(&mover.progress, phase);
        ended.worked.insert(mover.id, mover.worked());
        ended.worked.retain(|id, _| routes.jobs().get(*id).is_some());
        drop(ended);
        lock(&self.running).remove(&mover.id);
    }

    /// Makes one attempt; says whether there is to be another.
    fn attempt(&self, mover: &Mover) -> bool {
        let attempted = catch_unwind(AssertUnwindSafe(|| mover.attempt()));
        // Another attempt begins with what the catalog has.
        let panicked = |_| Err(Trouble::Later("it panicked, and is begun again".to_owned()));
        let trouble = match attempted.unwrap_or_else(panicked) {
            Ok(is_over) => {
                mover.progress.set_trouble(None);
                return !is_over;
            }
            Err(Trouble::Ended) => return true,
            Err(Trouble::Fatal(error)) => match mover.fail(error) {
                Ok(()) => return true,
                Err(Trouble::Later(error) | Trouble::Unknown(error) | Trouble::Fatal(error)) => error,
                Err(Trouble::Ended) => return true,
            },
            Err(Trouble::Later(error) | Trouble::Unknown(error)) => error,
        };
        if mover.progress.set_trouble(Some(&trouble)) {
            tracing::warn!(error = trouble, job = mover.id.get(), "a move waits and is tried again");
        }
        self.wait_before_another(mover);
        true
    }

    fn wait_before_another(&self, mover: &Mover) {
        let environment = self.ground.environment();
        let until_us = mover.now_us() + AGAIN_PAUSE.as_micros() as u64;
        while mover.now_us() < until_us && !self.is_ended.load(Ordering::Acquire) && !mover.is_ended() {
            environment.pause(LOOK);
        }
    }
}

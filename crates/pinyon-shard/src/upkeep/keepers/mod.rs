//! The threads that do the background steps of all shards. A shard that needs one stands in a queue, once; whichever thread is free
//! does one step and puts it back behind the others. One thread is kept for seals, because writers wait for them: it is never in a
//! long merge. Codes and graphs, which nobody waits for, are made by a thread of their own ([`Deriving`]).

mod agenda;
mod deriving;
#[cfg(any(test, feature = "testing"))]
mod stepped;
#[cfg(test)]
mod tests;

pub use deriving::Deriving;

use crate::{
    MemoryBudget, Shard, ShardError, Step,
    upkeep::{
        bell::{Need, Steps},
        reclaim::look_again_us,
    },
};
use agenda::{Agenda, Ended, Turn};
use deriving::Derivers;
use pinyon_storage::give_way;
use pinyon_types::Clock;
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

/// Between two looks at the limit on memory while there is nothing to do.
const MEMORY_LOOK: Duration = Duration::from_millis(250);
/// Longer than anybody sleeps: there is nothing in the queue.
const LONG: Duration = Duration::from_secs(3_600);

/// What keepers are started with.
#[derive(Debug, Clone)]
pub struct KeepersOptions {
    /// Threads for steps, at least two: one of them only seals.
    pub threads: usize,
    /// The time that quiet is measured by.
    pub clock: Arc<dyn Clock>,
    /// A limit on memory that is to be looked at.
    pub memory: Option<Arc<MemoryBudget>>,
    /// Where graphs are built.
    pub graphs: Arc<rayon::ThreadPool>,
}

/// The background threads of any number of shards. Dropping them ends the threads; every [`Keeping`] has been dropped before.
#[derive(Debug)]
pub struct Keepers {
    shared: Arc<Shared>,
    derivers: Arc<Derivers>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    memory: Option<Arc<MemoryBudget>>,
    /// Whether threads take the steps, so that a writer may wait for one.
    has_threads: bool,
    /// Wakes the thread that only seals.
    seal_wanted: Condvar,
    /// Wakes one of the others.
    wanted: Condvar,
    /// Rung after every step.
    stepped: Condvar,
}

#[derive(Debug, Default)]
struct State {
    agenda: Agenda,
    is_over: bool,
}

/// Where a shard's turn is kept.
#[derive(Debug, Clone)]
struct Place {
    shared: Arc<Shared>,
    number: u64,
}

/// Has the background steps of a shard done; a shard has one at most. Dropping it waits for the step that runs, which leaves for later
/// what it can, and leaves nothing in the queue.
#[derive(Debug)]
pub struct Keeping {
    shard: Shard,
    place: Place,
}

impl Keepers {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system has no threads to give.
    pub fn start(options: KeepersOptions) -> io::Result<Self> {
        let threads = options.threads.max(2);
        let mut keepers = Self::new(options, true);
        for number in 0..threads {
            let (shared, any) = (Arc::clone(&keepers.shared), number > 0);
            keepers.spawn(format!("keeper-{number}"), move || shared.work(any))?;
        }
        let derivers = Arc::clone(&keepers.derivers);
        keepers.spawn("graph-builder".into(), move || derivers.work())?;
        Ok(keepers)
    }

    fn new(options: KeepersOptions, has_threads: bool) -> Self {
        let KeepersOptions { threads: _, clock, memory, graphs } = options;
        let shared = Shared {
            state: Mutex::default(),
            clock,
            memory,
            has_threads,
            seal_wanted: Condvar::new(),
            wanted: Condvar::new(),
            stepped: Condvar::new(),
        };
        Self { shared: Arc::new(shared), derivers: Arc::new(Derivers::new(graphs)), threads: Vec::new() }
    }

    fn spawn(&mut self, name: String, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let work = move || {
            give_way();
            work();
        };
        self.threads.push(std::thread::Builder::new().name(name).spawn(work)?);
        Ok(())
    }

    /// Takes a shard on.
    pub fn keep(&self, shard: &Shard) -> Keeping {
        let now = self.shared.clock.now_us();
        let number = self.shared.lock().agenda.enter(shard.clone(), now);
        let place = Place { shared: Arc::clone(&self.shared), number };
        shard.inner.bell.set_place(Some(Arc::new(place.clone())));
        // What is written from here on finds a ticket, or a step at its end.
        shard.inner.bell.note();
        self.shared.wanted.notify_one();
        Keeping { shard: shard.clone(), place }
    }

    /// Has the codes and graphs of shards made; `rest` is called whenever there is nothing to make.
    pub fn derive(&self, shards: Vec<Shard>, rest: impl Fn() + Send + Sync + 'static) -> Deriving {
        Derivers::take_on(&self.derivers, shards, Box::new(rest))
    }

    /// How many shards wait for a step or are being stepped.
    pub fn busy(&self) -> usize {
        self.shared.lock().agenda.busy()
    }
}

impl Drop for Keepers {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.seal_wanted.notify_all();
        self.shared.wanted.notify_all();
        self.derivers.end();
        for thread in self.threads.drain(..) {
            // A panic in a step was caught and printed when it happened.
            let _ = thread.join();
        }
    }
}

impl Steps for Place {
    fn has_threads(&self) -> bool {
        self.shared.has_threads
    }

    fn ask(&self, need: Need) {
        let now = self.shared.clock.now_us();
        self.shared.lock().agenda.ask(self.number, need, now);
        self.shared.wanted.notify_one();
        if need == Need::Seal {
            self.shared.seal_wanted.notify_one();
        }
    }
}

impl Place {
    /// Takes the shard out of the queue, and waits until no step of it runs.
    fn leave(&self) {
        let mut state = self.shared.lock();
        state.agenda.strike(self.number);
        while state.agenda.is_stepped(self.number) {
            state = self.shared.stepped.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.agenda.leave(self.number);
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let bell = &self.shard.inner.bell;
        bell.set_ending(true);
        bell.set_place(None);
        self.place.leave();
        bell.set_ending(false);
        bell.ring();
    }
}

impl Shared {
    fn work(&self, any: bool) {
        loop {
            if let Some(memory) = &self.memory {
                memory.keep();
            }
            let mut state = self.lock();
            if state.is_over {
                return;
            }
            match state.agenda.next(any, self.clock.now_us()) {
                Some(turn) => {
                    drop(state);
                    // Whoever was woken for this one may have others to see to.
                    self.wanted.notify_one();
                    self.take(&turn, any);
                }
                None => self.wait(state, any),
            }
        }
    }

    /// Waits until a shard is due, or somebody asks.
    fn wait(&self, state: MutexGuard<'_, State>, any: bool) {
        let now = self.clock.now_us();
        let due = state.agenda.next_due(any);
        let longest = due.map_or(LONG, |due| Duration::from_micros(due.saturating_sub(now)));
        let longest = if self.memory.is_some() && !any { longest.min(MEMORY_LOOK) } else { longest };
        let wake = if any { &self.wanted } else { &self.seal_wanted };
        drop(wake.wait_timeout(state, longest));
    }

    /// Does one step of a shard.
    fn take(&self, turn: &Turn, any: bool) {
        let shard = &turn.shard;
        let ended = catch_unwind(AssertUnwindSafe(|| step(turn, any))).unwrap_or_else(|_| {
            shard.inner.step_panicked();
            Ended::Failed
        });
        self.end(turn, ended);
    }

    /// Puts a shard back after a step.
    fn end(&self, turn: &Turn, ended: Ended) {
        let shard = &turn.shard;
        self.lock().agenda.ended(turn.number, turn.need, ended, self.clock.now_us());
        self.stepped.notify_all();
        // What follows a seal may be for another thread.
        self.wanted.notify_one();
        let bell = &shard.inner.bell;
        match ended {
            Ended::Did(_) | Ended::Failed => bell.ring(),
            Ended::Idle(_) => {}
            Ended::Rested(_) => {
                bell.forget_notes();
                // Whoever has written meanwhile may have found the note of an earlier write.
                if turn.quiet_since != Some(shard.last_seq()) {
                    bell.note();
                }
            }
        }
    }

    /// No change of the agenda panics half way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn step(turn: &Turn, any: bool) -> Ended {
    let inner = &turn.shard.inner;
    let seq = inner.snapshot.load().seq;
    let done = if any { inner.step() } else { inner.seal_step() };
    match (done, turn.quiet_since) {
        (Err(error), _) => failed(turn, &error),
        // What else there is to do is for the other threads.
        (Ok(Step::Idle), _) if !any => Ended::Did(Need::Look),
        (Ok(Step::Idle), Some(since)) if since == seq => match inner.quiet_step(since) {
            Err(error) => failed(turn, &error),
            Ok(Step::Idle) if inner.snapshot.load().seq == since => {
                inner.rest();
                Ended::Rested([inner.erasure_due_us(), look_again_us(inner)].into_iter().flatten().min())
            }
            Ok(Step::Idle) => Ended::Idle(inner.snapshot.load().seq),
            Ok(_) => Ended::Did(Need::Look),
        },
        (Ok(Step::Idle), _) => Ended::Idle(seq),
        (Ok(_), _) => Ended::Did(if inner.wants_seal() { Need::Seal } else { Need::Look }),
    }
}

fn failed(turn: &Turn, error: &ShardError) -> Ended {
    tracing::error!(shard = turn.shard.shape().shard.get(), error = %error, "background step failed");
    Ended::Failed
}

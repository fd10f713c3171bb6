//! Codes and graphs, made on one thread for all shards: graphs are large and never urgent, because scans answer until they are
//! there.

use crate::{Shard, upkeep::maintenance::Step};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// How long the thread rests when nothing is missing.
const REST: Duration = Duration::from_millis(500);

/// Shards whose codes and graphs are made. Dropping it stops what is being made of them.
#[derive(Debug)]
pub struct Deriving {
    group: Arc<Group>,
    derivers: Arc<Derivers>,
}

/// Shards that are looked at together.
struct Group {
    shards: Vec<Shard>,
    stop: AtomicBool,
    /// Held during a look.
    looking: Mutex<()>,
    /// How often every shard had all codes and graphs.
    idle_looks: AtomicU64,
    rest: Rest,
}

/// What is called when there is nothing to make.
pub(super) type Rest = Box<dyn Fn() + Send + Sync>;

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("shards", &self.shards).finish_non_exhaustive()
    }
}

/// What the thread goes by.
#[derive(Debug)]
pub(super) struct Derivers {
    graphs: Arc<rayon::ThreadPool>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    groups: Vec<Arc<Group>>,
    is_nudged: bool,
    is_over: bool,
}

impl Deriving {
    /// How often a look found that every shard has all codes and graphs.
    pub fn idle_looks(&self) -> u64 {
        self.group.idle_looks.load(Ordering::Acquire)
    }

    /// Has the next look come sooner.
    pub fn nudge(&self) {
        self.derivers.lock().is_nudged = true;
        self.derivers.wake.notify_one();
    }
}

impl Drop for Deriving {
    fn drop(&mut self) {
        self.group.stop.store(true, Ordering::Release);
        self.derivers.lock().groups.retain(|group| !Arc::ptr_eq(group, &self.group));
        drop(self.group.looking.lock());
    }
}

impl Derivers {
    pub(super) fn new(graphs: Arc<rayon::ThreadPool>) -> Self {
        Self { graphs, state: Mutex::default(), wake: Condvar::new() }
    }

    pub(super) fn take_on(this: &Arc<Self>, shards: Vec<Shard>, rest: Rest) -> Deriving {
        let group = Group {
            shards,
            stop: AtomicBool::new(false),
            looking: Mutex::default(),
            idle_looks: AtomicU64::new(0),
            rest,
        };
        let group = Arc::new(group);
        this.lock().groups.push(Arc::clone(&group));
        this.wake.notify_one();
        Deriving { group, derivers: Arc::clone(this) }
    }

    pub(super) fn end(&self) {
        self.lock().is_over = true;
        self.wake.notify_one();
    }

    pub(super) fn work(&self) {
        loop {
            let groups = self.lock().groups.clone();
            let found: Vec<Step> = groups.iter().map(|group| group.look(&self.graphs)).collect();
            drop(groups);
            let mut state = self.lock();
            // A build that became useless is tried again at the next look, like one that failed.
            if !state.is_nudged && found.iter().all(|step| matches!(step, Step::Idle | Step::Stopped)) {
                let is_resting = |state: &mut State| !state.is_nudged && !state.is_over;
                let waited = self.wake.wait_timeout_while(state, REST, is_resting);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            state.is_nudged = false;
            if state.is_over {
                return;
            }
        }
    }

    /// One look without the thread: ends with the first that is made.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn step(&self) -> Step {
        let groups = self.lock().groups.clone();
        let made = groups.iter().map(|group| group.look(&self.graphs)).find(|step| *step != Step::Idle);
        made.unwrap_or(Step::Idle)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Makes what the first shard lacks that lacks anything.
    fn look(&self, graphs: &rayon::ThreadPool) -> Step {
        let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_stopped() {
            return Step::Idle;
        }
        let derive = |shard: &Shard| {
            // A panic in a build left its segment without a graph and was printed when it happened.
            let derived = catch_unwind(AssertUnwindSafe(|| shard.derive(graphs, &|| self.is_stopped())));
            derived.unwrap_or(Step::Stopped)
        };
        let found = self.shards.iter().map(derive).find(|step| *step != Step::Idle);
        if found.is_none() {
            (self.rest)();
            self.idle_looks.fetch_add(1, Ordering::AcqRel);
        }
        found.unwrap_or(Step::Idle)
    }
}

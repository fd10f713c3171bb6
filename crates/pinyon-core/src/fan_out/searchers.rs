//! Threads that search shards beside the one that was asked. They sleep as soon as nothing is left to do: the idle threads of a
//! rayon pool look for work for a while before they do, which is right for work that comes in swarms of small pieces, and costs a
//! query over few shards CPU time for nothing.

use std::{
    collections::VecDeque,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

type Job = Box<dyn FnOnce() + Send>;

/// Threads that take jobs in the order in which they were given.
pub(crate) struct Searchers {
    queue: Arc<Queue>,
    threads: usize,
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<Jobs>,
    /// Somebody is needed.
    wake: Condvar,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    is_closed: bool,
}

impl Searchers {
    /// Starts so many threads.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let searchers = Self { queue: Arc::default(), threads };
        for number in 0..threads {
            let queue = Arc::clone(&searchers.queue);
            thread::Builder::new().name(format!("search-{number}")).spawn(move || queue.work())?;
        }
        Ok(searchers)
    }

    /// How many there are.
    pub(crate) const fn threads(&self) -> usize {
        self.threads
    }

    /// Has a job done by one of them, or here if there are none. A job that panics ends alone, and what it holds is dropped.
    pub(crate) fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        if self.threads == 0 {
            return run(job);
        }
        self.queue.lock().waiting.push_back(Box::new(job));
        self.queue.wake.notify_one();
    }
}

/// Threads end after the job they are at; whoever drops does not wait for them, because a search that is late may take long.
impl Drop for Searchers {
    fn drop(&mut self) {
        let mut jobs = self.queue.lock();
        jobs.is_closed = true;
        let left = std::mem::take(&mut jobs.waiting);
        drop(jobs);
        self.queue.wake.notify_all();
        drop(left);
    }
}

impl fmt::Debug for Searchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Searchers").field("threads", &self.threads).finish_non_exhaustive()
    }
}

fn run(job: impl FnOnce()) {
    // Its message was printed; what waits for an answer sees that none comes.
    let _ = catch_unwind(AssertUnwindSafe(job));
}

impl Queue {
    fn work(&self) {
        while let Some(job) = self.next() {
            run(job);
        }
    }

    /// Waits for a job; `None` when there will be none.
    fn next(&self) -> Option<Job> {
        let nothing_to_do = |jobs: &mut Jobs| jobs.waiting.is_empty() && !jobs.is_closed;
        let jobs = self.wake.wait_while(self.lock(), nothing_to_do);
        jobs.unwrap_or_else(PoisonError::into_inner).waiting.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Searchers;
    use std::{
        collections::BTreeSet,
        sync::{Arc, Barrier, mpsc},
        thread,
    };

    #[test]
    fn jobs_are_done_beside_each_other() {
        let searchers = Searchers::start(3).unwrap();
        let (sender, receiver) = mpsc::channel();
        let all = Arc::new(Barrier::new(3));
        for _ in 0..6 {
            let (sender, all) = (sender.clone(), Arc::clone(&all));
            searchers.spawn(move || {
                // Nobody gets beyond this alone.
                all.wait();
                sender.send(thread::current().name().map(str::to_owned)).unwrap();
            });
        }
        drop(sender);
        let names: Vec<Option<String>> = receiver.iter().collect();
        assert_eq!(names.len(), 6);
        let distinct: BTreeSet<_> = names.into_iter().flatten().collect();
        assert!(distinct.is_subset(&["search-0", "search-1", "search-2"].map(str::to_owned).into()));
    }

    #[test]
    fn without_threads_a_job_is_done_at_once() {
        let searchers = Searchers::start(0).unwrap();
        let (sender, receiver) = mpsc::channel();
        searchers.spawn(|| panic!("as the test wants it"));
        searchers.spawn(move || sender.send(thread::current().id()).unwrap());
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [thread::current().id()]);
    }

    #[test]
    fn a_job_that_panics_ends_alone() {
        let searchers = Searchers::start(1).unwrap();
        let (sender, receiver) = mpsc::channel();
        let held = sender.clone();
        searchers.spawn(move || {
            let _held = held;
            panic!("as the test wants it");
        });
        searchers.spawn(move || sender.send(1).unwrap());
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [1], "and lets go of what it held");
    }

    #[test]
    fn jobs_that_nobody_came_to_are_dropped_with_the_threads() {
        let searchers = Searchers::start(1).unwrap();
        let (sender, receiver) = mpsc::channel();
        let (begin, begun) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (job_begin, job_begun, first) = (Arc::clone(&begin), Arc::clone(&begun), sender.clone());
        searchers.spawn(move || {
            job_begun.wait();
            job_begin.wait();
            first.send("first").unwrap();
        });
        searchers.spawn(move || sender.send("second").unwrap());
        begun.wait();
        drop(searchers);
        begin.wait();
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["first"]);
    }
}

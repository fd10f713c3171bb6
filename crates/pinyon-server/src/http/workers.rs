//! The threads that speak to connections: workers, as many as there are cores, each with a scheduler of its own. A connection
//! stays on the thread that it was given to, so that answering a short query wakes nobody else: threads that share a
//! scheduler wake each other for every request, which costs more than most requests do. Whatever may take long goes to the
//! threads that may block.
//!
//! Before that an acceptor has them, one thread for all ports: until a connection's first bytes were seen it costs no worker
//! anything. Where both want a core, workers have it first.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task,
};

/// What is added to the acceptor's nice value (nice(2)), a ninth of a worker's weight: whoever connects all the time does not keep
/// those waiting who are served, and a full machine still accepts.
#[cfg(target_os = "linux")]
const ACCEPTOR_NICE: i32 = 10;

/// Lowers the priority of the calling thread: Linux keeps one for every thread. Refused, it stays as it was.
#[cfg(target_os = "linux")]
fn give_way() {
    let _ = rustix::process::nice(ACCEPTOR_NICE);
}

/// Other systems have priorities of whole processes only.
#[cfg(not(target_os = "linux"))]
fn give_way() {}

/// One thread.
#[derive(Debug)]
struct Worker {
    handle: Handle,
    connections: Arc<AtomicUsize>,
    /// Dropped to end it.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Calls `begin` on the thread before anything else.
    fn start(name: String, begin: fn()) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || {
            begin();
            runtime.block_on(async { drop(stopped.await) });
        };
        let thread = std::thread::Builder::new().name(name).spawn(serve)?;
        Ok(Self { handle, connections: Arc::default(), stop: Some(stop), thread: Some(thread) })
    }
}

/// Counts a connection as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All of them. Dropping the last clone cuts their connections and waits for the threads to end.
#[derive(Debug, Clone)]
pub(crate) struct Workers(Arc<Threads>);

#[derive(Debug)]
struct Threads {
    workers: Vec<Worker>,
    acceptor: Worker,
}

impl Workers {
    /// Starts a thread for every core.
    ///
    /// # Errors
    /// The system's, when it gives no more threads.
    pub(crate) fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let worker = |number| Worker::start(format!("connections-{number}"), || ());
        let workers = (0..cores).map(worker).collect::<Result<_, _>>()?;
        let acceptor = Worker::start("acceptor".to_owned(), give_way)?;
        Ok(Self(Arc::new(Threads { workers, acceptor })))
    }

    /// Runs a port's accept loop on the acceptor.
    pub(crate) fn spawn_accepting(
        &self,
        accepting: impl Future<Output = ()> + Send + 'static,
    ) -> task::JoinHandle<()> {
        self.0.acceptor.handle.spawn(accepting)
    }

    /// Runs what a connection does on the thread that has the fewest.
    pub(crate) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let connections = |worker: &&Worker| worker.connections.load(Ordering::Relaxed);
        let Some(worker) = self.0.workers.iter().min_by_key(connections) else { return };
        worker.connections.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&worker.connections));
        worker.handle.spawn(async move {
            connection.await;
            drop(counted);
        });
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut all: Vec<&mut Worker> = self.workers.iter_mut().chain([&mut self.acceptor]).collect();
        for worker in &mut all {
            worker.stop = None;
        }
        for thread in all.into_iter().filter_map(|worker| worker.thread.take()) {
            // One of them may let go of the last clone: a thread cannot wait for itself.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of connections panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashMap, sync::mpsc};

    #[test]
    fn connections_spread_evenly_and_free_their_places() {
        let workers = Workers::start().unwrap();
        let cores = workers.0.workers.len();
        for _ in 0..2 {
            let (said, heard) = mpsc::channel();
            let (end, _) = tokio::sync::broadcast::channel::<()>(1);
            for _ in 0..3 * cores {
                let (said, mut ended) = (said.clone(), end.subscribe());
                workers.spawn(async move {
                    said.send(std::thread::current().name().unwrap().to_owned()).unwrap();
                    drop(ended.recv().await);
                });
            }
            drop(said);
            let mut on: HashMap<String, usize> = HashMap::new();
            for thread in heard.iter().take(3 * cores) {
                *on.entry(thread).or_default() += 1;
            }
            assert!(on.len() == cores && on.values().all(|connections| *connections == 3), "{on:?}");
            drop(end);
            while workers.0.workers.iter().any(|worker| worker.connections.load(Ordering::Relaxed) > 0) {
                std::thread::yield_now();
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_acceptor_alone_gives_way() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let (workers, own) = (Workers::start().unwrap(), nice());
        let (said, heard) = oneshot::channel();
        workers.spawn(async move { said.send(nice()).unwrap() });
        assert_eq!(heard.await, Ok(own));
        let (said, heard) = oneshot::channel();
        workers.spawn_accepting(async move { said.send(nice()).unwrap() });
        assert_eq!(heard.await, Ok((own + ACCEPTOR_NICE).min(19)));
    }

    #[test]
    fn dropping_them_cuts_what_still_runs() {
        let workers = Workers::start().unwrap();
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        workers.spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(workers);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}

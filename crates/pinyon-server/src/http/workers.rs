//! The threads that speak to connections: as many as there are cores, each with a scheduler of its own. A connection stays
//! on the thread that it was given to, so that answering a short query wakes nobody else: threads that share a scheduler
//! wake each other for every request, which costs more than most requests do. Whatever may take long goes to the threads
//! that may block.

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
};

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
    fn start(number: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || runtime.block_on(async { drop(stopped.await) });
        let thread = std::thread::Builder::new().name(format!("connections-{number}")).spawn(serve)?;
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
struct Threads(Vec<Worker>);

impl Workers {
    /// Starts a thread for every core.
    ///
    /// # Errors
    /// The system's, when it gives no more threads.
    pub(crate) fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self(Arc::new(Threads((0..cores).map(Worker::start).collect::<Result<_, _>>()?))))
    }

    /// Runs what a connection does on the thread that has the fewest.
    pub(crate) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let connections = |worker: &&Worker| worker.connections.load(Ordering::Relaxed);
        let Some(worker) = self.0.0.iter().min_by_key(connections) else { return };
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
        for worker in &mut self.0 {
            worker.stop = None;
        }
        for thread in self.0.iter_mut().filter_map(|worker| worker.thread.take()) {
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
        let cores = workers.0.0.len();
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
            while workers.0.0.iter().any(|worker| worker.connections.load(Ordering::Relaxed) > 0) {
                std::thread::yield_now();
            }
        }
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

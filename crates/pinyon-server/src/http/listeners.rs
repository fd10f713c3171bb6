//! The indexes' own ports: picked once, kept as long as the index lives, served beside the control port.

use super::Limits;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, TcpListener},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle};

/// Says that a port is taken, and by whom, if the system tells.
pub(crate) fn port_taken(port: u16) -> String {
    match pinyon_core::port_holder(port) {
        Some(holder) => format!("address already in use by {holder}"),
        None => format!(
            "address already in use by a process that this user may not look at (as root `ss -ltnp 'sport = :{port}'` names it)"
        ),
    }
}

/// A port that is served: the sender ends it, with the time for which requests on their way are answered; dropped, at once.
#[derive(Debug)]
struct Served {
    stop: oneshot::Sender<Duration>,
    task: JoinHandle<()>,
}

impl Served {
    fn end(self, farewell: Duration) -> JoinHandle<()> {
        // A task that has ended already needs no word.
        let _ = self.stop.send(farewell);
        self.task
    }
}

#[derive(Debug, Default)]
struct State {
    /// Bound when they were picked, so that nobody else takes them before they are served.
    picked: HashMap<u16, TcpListener>,
    served: HashMap<u16, Served>,
}

/// The ports of all indexes.
#[derive(Debug)]
pub(crate) struct Listeners {
    ip: IpAddr,
    first: u16,
    state: Mutex<State>,
}

impl Listeners {
    /// Ports from `first` on are picked.
    pub(crate) fn new(ip: IpAddr, first: u16) -> Self {
        Self { ip, first, state: Mutex::default() }
    }

    /// The lowest port that no index has and no other program holds; 0 if there is none.
    pub(crate) fn pick(&self, taken: &[u16]) -> u16 {
        self.pick_from(self.first, taken)
    }

    /// The port of the tenants' index: the tenth, so that a customer's first index has the first one, where clients of
    /// other emulators look for it.
    pub(crate) fn pick_for_tenants(&self, taken: &[u16]) -> u16 {
        self.pick_from(self.first.saturating_add(9), taken)
    }

    fn pick_from(&self, first: u16, taken: &[u16]) -> u16 {
        let mut state = self.lock();
        for port in (first..=u16::MAX).filter(|port| !taken.contains(port)) {
            if let Ok(listener) = TcpListener::bind((self.ip, port)) {
                state.picked.insert(port, listener);
                return port;
            }
        }
        0
    }

    /// Serves an index on its port: `serve` gets what listens, and what ends the service. A port that another program has taken is
    /// said in the log; the index is then reached below the control port.
    pub(crate) fn open(
        &self,
        index: &str,
        port: u16,
        serve: impl FnOnce(TcpListener, oneshot::Receiver<Duration>) -> JoinHandle<()>,
    ) {
        let mut state = self.lock();
        let bound = match state.picked.remove(&port) {
            Some(listener) => Ok(listener),
            None => TcpListener::bind((self.ip, port)),
        };
        let listener = match bound {
            Ok(listener) => listener,
            Err(error) => {
                let problem = match error.kind() {
                    io::ErrorKind::AddrInUse => port_taken(port),
                    _ => error.to_string(),
                };
                tracing::error!(index, port, error = %problem, "the index's port is not served; use /indexes/{index}");
                return;
            }
        };
        let (stop, stopped) = oneshot::channel();
        let task = serve(listener, stopped);
        state.served.insert(port, Served { stop, task });
    }

    /// Lets go of ports that were picked and are not going to be served.
    pub(crate) fn forget_picked(&self) {
        self.lock().picked.clear();
    }

    /// Ends a port's service; running requests may finish. Nobody is answered any more: there is no index to ask.
    pub(crate) fn close(&self, port: u16) {
        self.lock().served.remove(&port);
    }

    /// Ends all of them and waits for their requests to finish, for as long as the limits say.
    pub(crate) async fn close_all(&self, limits: &Limits) {
        let served: Vec<Served> = self.lock().served.drain().map(|(_, served)| served).collect();
        let tasks: Vec<JoinHandle<()>> =
            served.into_iter().map(|served| served.end(limits.farewell_time_max)).collect();
        let patience = limits.farewell_time_max + limits.shutdown_time_max + Duration::from_secs(1);
        let all = async {
            for task in tasks {
                // A task that panicked has said so; there is nothing of it to wait for.
                let _ = task.await;
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("some index ports did not end in time");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What a running server takes anew, without ending a connection: keys, known hosts and origins, certificates. Files are looked
//! at every second; everything is read again when the caller says so.

use crate::{
    auth::{Access, KeySource},
    http::{Door, Limits, Sockets, Workers},
    strangers::{Allowed, Rules, Strangers},
    tls::Tls,
};
use pinyon_core::read_side_file;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::MissedTickBehavior};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The settings that a running server takes anew.
#[derive(Debug, Clone)]
pub struct Reloadable {
    pub(crate) keys: KeySource,
    pub(crate) allowed: Allowed,
}

/// The parts of a server that can be replaced.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) access: Arc<Access>,
    pub(crate) strangers: Arc<Strangers>,
    pub(crate) tls: Option<Tls>,
}

/// Hashes of files as they were last; a missing one counts as empty.
type Seen = Vec<(PathBuf, [u8; 32])>;

/// The files that a server reads, as they were when they were last looked at.
struct SeenFiles {
    keys: Seen,
    tls: Seen,
}

impl Live {
    pub(crate) fn new(access: Access, rules: Rules, tls: Option<Tls>) -> Self {
        Self { access: Arc::new(access), strangers: Arc::new(Strangers::new(rules)), tls }
    }

    /// The file that clients must trust, if the server has an authority of its own.
    pub(crate) fn authority(&self) -> Option<PathBuf> {
        self.tls.as_ref().and_then(|tls| tls.authority.clone())
    }

    /// What every port asks of a connection.
    pub(crate) fn door(&self, workers: Workers, sockets: Sockets) -> Door {
        let (tls, strangers) = (self.tls.clone(), Arc::clone(&self.strangers));
        let (access, sockets) = (Arc::clone(&self.access), Arc::new(sockets));
        Door { limits: Limits::server(), tls, strangers, workers, access, sockets }
    }

    /// Looks at files and waits for settings until it is dropped.
    pub(crate) async fn watch(self, mut reloads: mpsc::Receiver<Reloadable>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.files_seen();
        loop {
            let reloaded = tokio::select! {
                _ = look.tick() => None,
                Some(reloaded) = reloads.recv() => Some(reloaded),
            };
            let live = self.clone();
            // Files may lie on a disk that makes one wait.
            let looked = tokio::task::spawn_blocking(move || live.look(reloaded, &seen)).await;
            match looked {
                Ok(now) => seen = now,
                Err(error) => {
                    tracing::error!(error = %error, "settings are no longer watched");
                    return;
                }
            }
        }
    }

    fn files_seen(&self) -> SeenFiles {
        SeenFiles {
            keys: seen(self.access.source().file().into_iter().map(PathBuf::from)),
            tls: seen(self.tls.iter().flat_map(Tls::files)),
        }
    }

    /// Reads again what changed; all of it where settings came.
    fn look(&self, reloaded: Option<Reloadable>, before: &SeenFiles) -> SeenFiles {
        let now = self.files_seen();
        let is_asked = reloaded.is_some();
        let source = reloaded.map(|Reloadable { keys, allowed }| {
            self.strangers.allow(allowed);
            keys
        });
        if is_asked || now.keys != before.keys {
            say("api keys", self.access.read_again(source));
        }
        if let Some(own) = self.tls.as_ref().filter(|_| is_asked || now.tls != before.tls) {
            say("certificates", own.read_again().map_err(|error| error.message));
        }
        now
    }
}

fn seen(files: impl Iterator<Item = PathBuf>) -> Seen {
    let hash = |path: &PathBuf| {
        let bytes = read_side_file(path).ok().flatten().unwrap_or_default();
        *blake3::hash(&bytes).as_bytes()
    };
    files.map(|path| (path.clone(), hash(&path))).collect()
}

fn say(part: &str, result: Result<(), String>) {
    match result {
        Ok(()) => tracing::info!(part, "read again"),
        Err(problem) => tracing::error!(part, problem, "not read again; what was there stays"),
    }
}

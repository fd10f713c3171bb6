//! File descriptors: as many as the system gives, some of them kept from connections, and one in reserve for saying that
//! there are no more.

use rustix::{
    io::{Errno, fcntl_dupfd_cloexec},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{Mutex, PoisonError},
};
use tokio::net::{TcpListener, TcpStream};

/// Descriptors that are kept for files which are opened while the server runs.
const KEPT_FOR_FILES: u64 = 256;

/// Raises the soft limit to the hard one; returns how many descriptors the process may have.
pub(crate) fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(error = %error, "the limit of file descriptors stays as it is");
            current
        }
    }
}

/// Descriptors that connections may have: what is left of `limit` when the files that are open now, and those of later, are
/// taken off. The lowest number that is free tells how many are open, but for gaps. No limit leaves as many as wanted.
pub(crate) fn left_for_connections(limit: Option<u64>, listener: &impl AsFd) -> usize {
    let Some(limit) = limit else { return usize::MAX };
    let open =
        fcntl_dupfd_cloexec(listener, 0).map_or(limit, |lowest| lowest.as_raw_fd().unsigned_abs().into());
    usize::try_from(limit.saturating_sub(open + KEPT_FOR_FILES)).unwrap_or(usize::MAX)
}

/// A descriptor in reserve. When there is no other it makes room for a connection that is told so.
#[derive(Debug, Default)]
pub(crate) struct Spare(Mutex<Option<OwnedFd>>);

impl Spare {
    /// Sets one aside.
    pub(crate) fn of(listener: &impl AsFd) -> Self {
        let spare = Self::default();
        spare.put_back(listener);
        spare
    }

    fn put_back(&self, listener: &impl AsFd) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.is_none() {
            *spare = fcntl_dupfd_cloexec(listener, 0).ok();
        }
    }

    /// Accepts one connection in the spare descriptor's place. The caller drops it before it puts the spare back.
    pub(super) async fn accept_one(&self, listener: &TcpListener) -> Option<TcpStream> {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        let accepted = std::future::poll_fn(|context| match listener.poll_accept(context) {
            std::task::Poll::Ready(accepted) => std::task::Poll::Ready(accepted.ok()),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        });
        accepted.await.map(|(stream, _)| stream)
    }

    pub(super) fn restore(&self, listener: &TcpListener) {
        self.put_back(listener);
    }
}

/// Whether an error of `accept` says that there are no descriptors left, of the process or of the system.
pub(super) fn are_used_up(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|used_up| error.raw_os_error() == Some(used_up.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_get_what_files_leave() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert_eq!(left_for_connections(None, &listener), usize::MAX);
        let left = left_for_connections(Some(10_000), &listener);
        assert!((9_000..10_000 - 256).contains(&left), "{left}");
        assert_eq!(left_for_connections(Some(200), &listener), 0);
    }

    #[test]
    fn the_soft_limit_is_the_hard_one_after_a_start() {
        let raised = raise_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, raised), (now.maximum, now.maximum));
    }
}

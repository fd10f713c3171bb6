//! The life of a connection that speaks HTTP: hyper answers its requests, and beside it stand those who may end it: its
//! limits, its budget of frames, whoever needs its place, and the server's end.

use super::{
    Limits,
    held::{Ending, Held, Verdict},
    places::Places,
};
use hyper_util::server::graceful::GracefulConnection;
use std::{
    fmt::Display,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

/// Protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Http1,
    Http2,
}

/// Connection as its driver sees it.
#[derive(Debug, Clone)]
pub(super) struct Driven {
    pub(super) held: Arc<Held>,
    pub(super) places: Arc<Places>,
    pub(super) limits: Limits,
}

impl Driven {
    /// Runs what comes before HTTP, unless somebody needs the place or the server stops first.
    pub(super) async fn unless_ended<T>(
        &self,
        stop: &mut watch::Receiver<Duration>,
        work: impl Future<Output = Option<T>>,
    ) -> Option<T> {
        let stopped = async {
            // An error is a stop too.
            let _ = stop.changed().await;
            stop.mark_changed();
            let farewell = *stop.borrow();
            sleep(farewell).await;
        };
        tokio::select! {
            biased;
            done = work => done,
            ending = self.held.ended() => {
                self.places.count_ending(ending);
                None
            }
            () = stopped => None,
        }
    }

    /// Serves a connection until it ends or is ended.
    pub(super) async fn drive<C: GracefulConnection<Error: Display>>(
        &self,
        connection: C,
        speaks: Speaks,
        mut stop: watch::Receiver<Duration>,
    ) {
        let is_http2 = speaks == Speaks::Http2;
        let mut connection = pin!(connection);
        let mut look = pin!(sleep(Duration::ZERO));
        let ending = loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => return say_how(ended),
                ending = self.held.ended() => break ending,
                _ = stop.changed() => {
                    let farewell = *stop.borrow();
                    return self.see_off(connection, is_http2, farewell).await;
                }
                () = look.as_mut() => match self.held.judge(&self.limits, is_http2) {
                    Verdict::Ends(ending) => break ending,
                    Verdict::Stays(left) => look.as_mut().reset(Instant::now() + left),
                },
            }
        };
        self.places.count_ending(ending);
        tracing::debug!(reason = ending.name(), "connection ended by the server");
        match ending {
            Ending::Idle if is_http2 => {
                self.see_off(connection, is_http2, self.limits.farewell_time_max).await;
            }
            Ending::Frames | Ending::Evicted if is_http2 => self.tell_off(connection).await,
            Ending::Idle | Ending::Frames | Ending::Evicted | Ending::Unread => {}
        }
    }

    /// Says GOAWAY to a client of which nothing is read any more.
    async fn tell_off<C: GracefulConnection<Error: Display>>(&self, mut connection: Pin<&mut C>) {
        connection.as_mut().graceful_shutdown();
        let told = async {
            // The first look sends what there is to send; where it could not, the client takes some time.
            while timeout(Duration::from_millis(1), connection.as_mut()).await.is_err()
                && self.held.is_stuck()
            {}
        };
        // Ended or not, the connection is dropped.
        let _ = timeout(self.limits.goaway_time_max, told).await;
    }

    /// Lets running requests finish, and for the time of the farewell requests that are on their way; then closes. Answers of HTTP/1 say so.
    async fn see_off<C>(&self, mut connection: Pin<&mut C>, is_http2: bool, farewell: Duration)
    where
        C: GracefulConnection<Error: Display>,
    {
        self.held.set_closing();
        if is_http2 {
            connection.as_mut().graceful_shutdown();
        }
        let until = Instant::now() + self.limits.shutdown_time_max;
        let mut look = pin!(sleep(farewell));
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => return say_how(ended),
                () = look.as_mut() => {}
            }
            if !self.held.is_running() && !self.held.is_stuck() {
                return;
            }
            if Instant::now() >= until {
                return tracing::warn!("a connection was cut because its requests took too long to finish");
            }
            look.as_mut().reset(Instant::now() + self.limits.goaway_time_max);
        }
    }
}

fn say_how(ended: Result<(), impl Display>) {
    if let Err(error) = ended {
        tracing::debug!(error = %error, "connection ended early");
    }
}

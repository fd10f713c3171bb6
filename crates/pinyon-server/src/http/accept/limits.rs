//! Times and counts that bound connections.

use std::time::Duration;

/// How long and how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Time for a connection's first bytes.
    pub(crate) first_bytes_time_max: Duration,
    /// Time for the handshake of TLS.
    pub(crate) hello_time_max: Duration,
    /// Time for the whole head of the first request over HTTP/1, and for the preface of HTTP/2 below TLS.
    pub(crate) first_head_time_max: Duration,
    /// Time from one request's end to the end of the next one's headers, over HTTP/1.
    pub(crate) header_time_max: Duration,
    /// Time for a request's body.
    pub(crate) body_time_max: Duration,
    /// Time after which a silent HTTP/2 client is sent a ping, and time to answer it.
    pub(crate) ping_time_max: Duration,
    /// Time for which an HTTP/2 connection may have no request running before its first one was let in.
    pub(crate) new_idle_time_max: Duration,
    /// The same once one was let in.
    pub(crate) idle_time_max: Duration,
    /// Time for which a client may leave what was sent to it unread.
    pub(crate) unread_time_max: Duration,
    /// Time for which a newcomer waits for a place.
    pub(crate) lobby_time_max: Duration,
    /// Time for a GOAWAY to be sent.
    pub(crate) goaway_time_max: Duration,
    /// Time that connections without a running request get for another one when the server stops: a request that is on
    /// its way is answered.
    pub(crate) farewell_time_max: Duration,
    /// Time that running requests get when the server stops.
    pub(crate) shutdown_time_max: Duration,
}

impl Limits {
    pub(crate) const fn server() -> Self {
        Self {
            first_bytes_time_max: Duration::from_secs(5),
            hello_time_max: Duration::from_secs(5),
            first_head_time_max: Duration::from_secs(10),
            // Longer than clients with connection pools pause between requests, mostly: a close that crosses a request
            // on its way looks like a failure to them.
            header_time_max: Duration::from_secs(60),
            body_time_max: Duration::from_secs(30),
            ping_time_max: Duration::from_secs(20),
            new_idle_time_max: Duration::from_secs(10),
            idle_time_max: Duration::from_secs(300),
            unread_time_max: Duration::from_secs(60),
            lobby_time_max: Duration::from_secs(1),
            goaway_time_max: Duration::from_millis(100),
            farewell_time_max: Duration::from_millis(500),
            shutdown_time_max: Duration::from_secs(10),
        }
    }
}

//! Budget for frames of HTTP/2 that cost the server more than the client: h2 bounds streams, resets, headers and small DATA,
//! but answers or takes SETTINGS, PING, PRIORITY, WINDOW_UPDATE and unknown frames without end.
//!
//! A connection has tokens: a first supply, some more every second, and some for what is of use: requests, and bytes that
//! were moved, because clients answer data with WINDOW_UPDATE and measure with PING.

use pinyon_planted::is_planted;
use std::time::Duration;
use tokio::time::Instant;

/// Tokens at the beginning. Before their first request clients send a dozen frames.
const FIRST: i64 = 200;
/// Most tokens that time alone gives.
const BURST: i64 = 1_000;
/// Tokens that a second gives.
const PER_SECOND: f64 = 50.0;
/// Tokens that a request gives.
const PER_HEADERS: i64 = 16;
/// Bytes of answers that give a token. Go's net/http2 sends two WINDOW_UPDATE for every 4 KiB that it reads, of the stream
/// and of the connection; twice as many are allowed.
const SENT_BYTES_PER_TOKEN: u64 = 1 << 10;
/// Bytes of requests' bodies that give a token: clients with a bandwidth estimate ping while they send.
const RECEIVED_BYTES_PER_TOKEN: u64 = 4 << 10;
/// Most tokens that are kept: the frames for 64 MiB that were sent and are still to be acknowledged.
const KEPT_MAX: i64 = 1 << 16;
/// Price of SETTINGS, which are answered and applied to every stream. Clients that adapt their window send a dozen.
const SETTINGS_PRICE: i64 = 20;

/// Length of a frame's head (RFC 9113, 4.1): length 3, type 1, flags 1, stream 4.
const HEAD_BYTES: usize = 9;
/// Length of the client's preface (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
/// Flag of SETTINGS that only acknowledges ours.
const ACK: u8 = 1;

/// Tokens of a connection.
#[derive(Debug)]
struct Budget {
    tokens: i64,
    /// Bytes that gave no token yet.
    sent: u64,
    received: u64,
    filled: Instant,
}

impl Budget {
    fn new() -> Self {
        Self { tokens: FIRST, sent: 0, received: 0, filled: Instant::now() }
    }

    fn earn(&mut self, tokens: i64) {
        self.tokens = (self.tokens + tokens).min(KEPT_MAX);
    }

    fn frame(&mut self, kind: u8, flags: u8) {
        match kind {
            DATA => {}
            HEADERS => self.earn(PER_HEADERS),
            SETTINGS if flags & ACK == 0 => self.tokens -= SETTINGS_PRICE,
            _ => self.tokens -= 1,
        }
    }

    fn received(&mut self, bytes: u64) {
        self.received += bytes;
        self.earn(i64::try_from(self.received / RECEIVED_BYTES_PER_TOKEN).unwrap_or(KEPT_MAX));
        self.received %= RECEIVED_BYTES_PER_TOKEN;
    }

    fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
        self.earn(i64::try_from(self.sent / SENT_BYTES_PER_TOKEN).unwrap_or(KEPT_MAX));
        self.sent %= SENT_BYTES_PER_TOKEN;
    }

    /// Whether nothing is left. The clock is only asked when tokens run out, so well-behaved clients cost no look at it.
    fn is_empty(&mut self) -> bool {
        if self.tokens >= 0 {
            return false;
        }
        let now = Instant::now();
        let passed = now.duration_since(self.filled).min(Duration::from_secs(60));
        let given = ((passed.as_secs_f64() * PER_SECOND) as i64).min(BURST);
        if given > 0 {
            self.tokens += given;
            self.filled = now;
        }
        self.tokens < 0
    }
}

/// Walks over the frames' heads in the bytes that a client sends, wherever they are cut, and keeps the budget.
#[derive(Debug)]
pub(super) struct Frames {
    budget: Budget,
    /// Bytes up to the next head.
    skip: usize,
    /// Whether those are of a request's body.
    is_data: bool,
    head: [u8; HEAD_BYTES],
    head_len: usize,
}

impl Frames {
    /// Of a connection whose preface is still to come.
    pub(super) fn new() -> Self {
        Self {
            budget: Budget::new(),
            skip: PREFACE_BYTES,
            is_data: false,
            head: [0; HEAD_BYTES],
            head_len: 0,
        }
    }

    /// Reads on; returns whether the client may go on.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let (skipped, rest) = bytes.split_at(self.skip.min(bytes.len()));
                if self.is_data {
                    self.budget.received(skipped.len() as u64);
                }
                self.skip -= skipped.len();
                bytes = rest;
                continue;
            }
            let (taken, rest) = bytes.split_at((HEAD_BYTES - self.head_len).min(bytes.len()));
            let until = self.head_len + taken.len();
            if let Some(place) = self.head.get_mut(self.head_len..until) {
                place.copy_from_slice(taken);
            }
            self.head_len = if is_planted(22) && until < HEAD_BYTES { 0 } else { until };
            bytes = rest;
            if until == HEAD_BYTES {
                self.begin_frame();
            }
        }
        !self.budget.is_empty()
    }

    fn begin_frame(&mut self) {
        let [a, b, c, kind, flags, ..] = self.head;
        self.head_len = 0;
        self.is_data = kind == DATA;
        // Three bytes fit.
        self.skip = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        self.budget.frame(kind, flags);
    }

    /// So many bytes were sent to the client.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.budget.sent(bytes as u64);
    }
}

#[cfg(test)]
mod tests;

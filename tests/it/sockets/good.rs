//! A good client: queries over one kept connection, and health over a new connection now and then.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// Longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Fewest queries of a run, as long as it may take for that.
const ASKED_MIN: usize = 30;
const TIME_MAX: Duration = Duration::from_secs(60);
/// Queries between two new connections.
const PER_NEW: usize = 10;

/// What a good client met.
#[derive(Debug, Default)]
pub struct Good {
    pub answered: usize,
    pub failed: usize,
    /// Of queries over the kept connection, and of `GET /livez` over new ones.
    queries: Vec<Duration>,
    news: Vec<Duration>,
}

impl Good {
    /// Asks for so long, and where the machine does other work until some were answered: a system that drops the first packet of a
    /// connection sends it again after a second.
    pub fn run(address: SocketAddr, time: Duration) -> Self {
        let (began, mut good) = (Instant::now(), Self::default());
        let mut kept = connect(address);
        let body = r#"{"tenant_id": "acme", "query_text": "dark beer"}"#;
        let head =
            format!("POST /query HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
        let query = head + body;
        let is_too_few = |good: &Self| good.queries.len() < ASKED_MIN && began.elapsed() < TIME_MAX;
        while began.elapsed() < time || is_too_few(&good) {
            let asked = Instant::now();
            let answered = kept.as_mut().and_then(|stream| ask(stream, &query));
            good.queries.push(asked.elapsed());
            good.count(answered);
            if answered.is_none() {
                kept = connect(address);
            }
            if good.queries.len().is_multiple_of(PER_NEW) {
                let asked = Instant::now();
                let probed = status(address, "/livez");
                good.news.push(asked.elapsed());
                good.count(probed);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        good
    }

    /// The 99th percentile of queries.
    pub fn late(&self) -> Duration {
        at(&sorted(&self.queries), 0.99)
    }

    fn count(&mut self, status: Option<u16>) {
        match status {
            Some(200) => self.answered += 1,
            _ => self.failed += 1,
        }
    }
}

/// Latencies for people.
pub fn latencies(good: &Good) -> String {
    let of = |times: &[Duration]| {
        let sorted = sorted(times);
        format!("p50 {:?} p99 {:?}", at(&sorted, 0.5), at(&sorted, 0.99))
    };
    let Good { answered, failed, queries, news } = good;
    format!("{answered} answered, {failed} not; queries {}; new connections {}", of(queries), of(news))
}

fn sorted(times: &[Duration]) -> Vec<Duration> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times
}

fn at(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// Status of a request over a new connection.
pub fn status(address: SocketAddr, path: &str) -> Option<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    ask(&mut connect(address)?, &request)
}

/// Sends a request and reads its answer whole.
fn ask(stream: &mut TcpStream, request: &str) -> Option<u16> {
    // Whoever is refused may be closed to while he writes; the answer is there all the same.
    let _ = stream.write_all(request.as_bytes());
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            if body.len() >= length.parse::<usize>().ok()? {
                return head.split(' ').nth(1)?.parse().ok();
            }
        }
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        answer.extend(&piece[..read]);
    }
}

//! Hostile clients, one function a kind: each opens connections again and again and does with them what its kind does, until
//! it is told to stop. What becomes of its connections is counted.

use pinyon_types::SeededRng;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, tcp::OwnedReadHalf},
    time::{sleep, timeout},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// Kind of a hostile client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    IdleHttp2,
    Silent,
    HalfHello,
    HalfHead,
    HalfPreface,
    Settings,
    Ping,
    Priority,
    WindowUpdate,
    Unknown,
    RapidReset,
    SlowReader,
    Churn,
}

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::IdleHttp2,
        Self::Silent,
        Self::HalfHello,
        Self::HalfHead,
        Self::HalfPreface,
        Self::Settings,
        Self::Ping,
        Self::Priority,
        Self::WindowUpdate,
        Self::Unknown,
        Self::RapidReset,
        Self::SlowReader,
        Self::Churn,
    ];

    /// Whether the server ends such connections within twelve seconds.
    pub fn ends_soon(self) -> bool {
        !matches!(self, Self::SlowReader | Self::Churn)
    }

    /// What is sent first, behind a preface if it is HTTP/2.
    fn begins(self) -> Vec<u8> {
        match self {
            Self::Silent | Self::Churn => Vec::new(),
            // A record of 512 bytes with a ClientHello is announced; some of it comes.
            Self::HalfHello => [&[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 10]].concat(),
            Self::HalfHead => b"GET /livez HTTP/1.1\r\nhost: localhost\r\nx-".to_vec(),
            Self::HalfPreface => PREFACE[..16].to_vec(),
            // A window of 0 for answers.
            Self::SlowReader => [PREFACE, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])].concat(),
            _ => [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat(),
        }
    }

    /// What is sent over and over, the number of its turn given; nothing for the patient kinds.
    fn repeats(self, turn: u32) -> Vec<u8> {
        match self {
            Self::Settings => frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
            Self::Ping => frame(PING, 0, 0, &[7; 8]),
            Self::Priority => frame(2, 0, 1 + 2 * (turn % 1000), &[0, 0, 0, 0, 1]),
            Self::WindowUpdate => frame(8, 0, 0, &[0, 0, 0, 1]),
            Self::Unknown => frame(0x42, 0, 0, &[0; 30]),
            Self::RapidReset => {
                [request("/livez", 1 + 2 * turn), frame(RST_STREAM, 0, 1 + 2 * turn, &[0, 0, 0, 8])].concat()
            }
            _ => Vec::new(),
        }
    }
}

/// A frame (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    [&[a, b, c, kind, flags], stream.to_be_bytes().as_slice(), payload].concat()
}

/// A GET on a stream: indexed fields of HPACK's table (RFC 7541, appendix A), and a path in full.
fn request(path: &str, stream: u32) -> Vec<u8> {
    let fields = [&[0x82, 0x86, 0x04, path.len() as u8], path.as_bytes(), &[0x01, 9], b"localhost"].concat();
    frame(HEADERS, 4 | 1, stream, &fields)
}

/// What became of connections.
#[derive(Debug, Default)]
pub struct Fates {
    pub opened: AtomicU64,
    /// The server said GOAWAY.
    pub told: AtomicU64,
    /// The server closed, said so or not.
    pub ended: AtomicU64,
}

/// Whom to bother, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub address: SocketAddr,
    pub from: Ipv4Addr,
}

async fn connect(target: Target) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((target.from, 0).into()).ok()?;
    timeout(Duration::from_secs(5), socket.connect(target.address)).await.ok()?.ok()
}

/// Bothers the server for ever; to be dropped.
pub async fn bother(kind: Kind, target: Target, fates: Arc<Fates>, seed: u64) {
    let mut rng = SeededRng::new(seed);
    loop {
        if let Some(stream) = connect(target).await {
            fates.opened.fetch_add(1, Relaxed);
            hold(kind, stream, &fates).await;
        }
        // A second, mostly: the load is to come from what a connection does, not from the machine's own loopback.
        let pause_ms = if kind == Kind::Churn { 20 } else { 500 };
        sleep(Duration::from_millis(pause_ms + rng.below(2 * pause_ms))).await;
    }
}

/// Does with one connection what the kind does, until the server ends it.
async fn hold(kind: Kind, stream: TcpStream, fates: &Fates) {
    if kind == Kind::Churn {
        return;
    }
    let (reader, mut writer) = stream.into_split();
    let (acks, mut acked) = tokio::sync::mpsc::unbounded_channel();
    let heard = tokio::spawn(listen(reader, acks));
    let mut sent = writer.write_all(&kind.begins()).await;
    if kind == Kind::SlowReader {
        let asked: Vec<u8> = (0..4).flat_map(|number| request("/openapi.json", 1 + 2 * number)).collect();
        sent = sent.and(writer.write_all(&asked).await);
    }
    let mut turn = 0;
    while sent.is_ok() && !heard.is_finished() {
        let burst: Vec<u8> = (turn..turn + 200).flat_map(|turn| kind.repeats(turn)).collect();
        turn += 200;
        if burst.is_empty() {
            // The patient kinds answer what they have to, so that nobody takes them for dead.
            match timeout(Duration::from_millis(500), acked.recv()).await {
                Ok(Some(answer)) => sent = writer.write_all(&answer).await,
                Ok(None) => break,
                Err(_) => {}
            }
        } else {
            sent = writer.write_all(&burst).await;
            // As hard as a machine allows that a hundred others share.
            tokio::task::yield_now().await;
        }
    }
    if heard.await.unwrap_or(false) {
        fates.told.fetch_add(1, Relaxed);
    }
    fates.ended.fetch_add(1, Relaxed);
}

/// Reads until the end; passes on what has to be answered and returns whether GOAWAY was said.
async fn listen(mut reader: OwnedReadHalf, acks: tokio::sync::mpsc::UnboundedSender<Vec<u8>>) -> bool {
    let (mut is_told, mut head) = (false, [0; 9]);
    while reader.read_exact(&mut head).await.is_ok() {
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        if reader.read_exact(&mut payload).await.is_err() {
            break;
        }
        match kind {
            GOAWAY => is_told = true,
            PING if flags & ACK == 0 => drop(acks.send(frame(PING, ACK, 0, &payload))),
            SETTINGS if flags & ACK == 0 => drop(acks.send(frame(SETTINGS, ACK, 0, &[]))),
            _ => {}
        }
    }
    is_told
}

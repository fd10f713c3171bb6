//! Clients of HTTP/2 that do nothing of use, and ones that do a lot of it.

use super::*;
use crate::http::accept::{begins::H2_PREFACE, held::Held, meter::Meter};
use axum::body::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::timeout;

const GOAWAY: u8 = 7;
const PATIENCE: Duration = Duration::from_secs(20);

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    [&[a, b, c, kind, 0, 0, 0, 0, 0], payload].concat()
}

/// Kinds of the frames that a server sent, until it closed.
fn kinds(mut sent: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = sent {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        kinds.push(*kind);
        sent = rest.get(length..).unwrap_or_default();
    }
    kinds
}

/// Waits for the server's first frame, then sends this over and over until the server closes; returns how many bytes it took and
/// what it answered.
async fn flood(address: SocketAddr, flooded: &[u8]) -> (usize, Vec<u8>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(&[H2_PREFACE, &frame(4, &[])].concat()).await.unwrap();
    let mut answer = vec![0; 9];
    reader.read_exact(&mut answer).await.unwrap();
    let answered = tokio::spawn(async move {
        let _ = reader.read_to_end(&mut answer).await;
        answer
    });
    let mut sent = 0;
    while let Ok(bytes) = writer.write(&flooded.repeat(50)).await {
        sent += bytes;
    }
    (sent, answered.await.unwrap())
}

/// The answer to a client of HTTP/2 that sends so many pings with its preface, and then nothing.
async fn pings_at_once(address: SocketAddr, count: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let pings = frame(6, &[7; 8]).repeat(count);
    stream.write_all(&[H2_PREFACE, &frame(4, &[]), &pings].concat()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the connection ends").unwrap();
    answer
}

#[tokio::test]
async fn a_flood_in_the_first_bytes_is_told_to_go_without_being_answered() {
    let (address, _stop) = start(door()).await;
    assert_eq!(kinds(&pings_at_once(address, 200).await), [4, GOAWAY]);
    // These are within the budget: each is answered, and the connection ends because no request comes.
    let answered = kinds(&pings_at_once(address, 150).await);
    assert!(answered.iter().filter(|kind| **kind == 6).count() >= 150, "{answered:?}");
    assert!(is_served(address).await);
}

#[tokio::test]
async fn floods_of_frames_end_in_goaway() {
    let (address, _stop) = start(door()).await;
    for (kind, payload) in [
        (4, [0, 4, 0, 1, 0, 0].as_slice()), // SETTINGS
        (6, &[7; 8]),                       // PING
        (2, &[0, 0, 0, 3, 1]),              // PRIORITY, of stream 5 below
        (8, &[0, 0, 0, 1]),                 // WINDOW_UPDATE
        (0x42, &[0; 30]),                   // unknown
    ] {
        let mut flooded = frame(kind, payload);
        if kind == 2 {
            flooded[8] = 5;
        }
        let (sent, answer) = timeout(PATIENCE, flood(address, &flooded)).await.expect("the flood ends");
        let kinds = kinds(&answer);
        assert!(kinds.contains(&GOAWAY), "kind {kind}: {sent} bytes, then {kinds:?}");
        assert!(is_served(address).await);
    }
}

#[tokio::test]
async fn http2_without_requests_is_told_to_go_though_it_answers_pings() {
    let (address, _stop) = start(door()).await;
    for more in [[].as_slice(), &frame(6, &[1; 8])] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let began = Instant::now();
        stream.write_all(&[H2_PREFACE, &frame(4, &[]), more].concat()).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert!(began.elapsed() >= HEADER_TIME, "{:?}", began.elapsed());
        assert!(kinds(&answer).contains(&GOAWAY), "{:?}", kinds(&answer));
    }
    assert!(is_served(address).await);
}

/// Bytes that each side sends: a gibibyte.
const MOVED: usize = 1 << 30;
const PIECE: usize = 16 << 10;

/// A body of pieces that are there at once.
struct Pieces {
    piece: Bytes,
    left: usize,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.left.checked_sub(1).map(|left| {
            self.left = left;
            Ok(Frame::data(self.piece.clone()))
        });
        Poll::Ready(piece)
    }
}

/// Takes a body whole, then answers with as much.
async fn answer_as_much(request: Request<Incoming>) -> Result<Response<Pieces>, Infallible> {
    let (mut body, mut received) = (request.into_body(), 0);
    while let Some(Ok(frame)) = body.frame().await {
        received += frame.data_ref().map_or(0, Bytes::len);
    }
    Ok(Response::new(Pieces { piece: Bytes::from(vec![7; PIECE]), left: received / PIECE }))
}

async fn send_all(mut body: h2::SendStream<Bytes>) {
    let (piece, mut left) = (Bytes::from(vec![7; PIECE]), MOVED);
    while left > 0 {
        body.reserve_capacity(PIECE.min(left));
        let room = poll_fn(|context| body.poll_capacity(context)).await.unwrap().unwrap().min(PIECE);
        left -= room;
        body.send_data(piece.slice(..room), left == 0).unwrap();
    }
}

/// A client that gives back its window with every piece, and pings with every piece unless a ping is on its way.
#[tokio::test]
async fn a_client_that_moves_a_gibibyte_each_way_is_never_told_to_go() {
    let held = Arc::new(Held::new());
    let (client, server) = tokio::io::duplex(256 << 10);
    let server = Meter::http2(server, Arc::clone(&held));
    let builder = auto::Builder::new(TokioExecutor::new()).http2_only();
    tokio::spawn(
        async move { builder.serve_connection(TokioIo::new(server), service_fn(answer_as_much)).await },
    );
    let (mut client, mut connection) = h2::client::handshake(client).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    tokio::spawn(connection);
    let due = Arc::new(tokio::sync::Notify::new());
    let rung = Arc::clone(&due);
    let pinging = tokio::spawn(async move {
        for sent in 0_u64.. {
            rung.notified().await;
            if pings.ping(h2::Ping::opaque()).await.is_err() {
                return sent;
            }
        }
        0
    });
    let request = Request::post("http://localhost/").body(()).unwrap();
    let (response, body) = client.send_request(request, false).unwrap();
    send_all(body).await;
    let (mut body, mut received) = (response.await.unwrap().into_body(), 0);
    while let Some(piece) = body.data().await {
        let length = piece.unwrap().len();
        received += length;
        body.flow_control().release_capacity(length).unwrap();
        due.notify_one();
    }
    assert_eq!((received, held.is_ending()), (MOVED, false));
    drop((client, body));
    due.notify_one();
    println!("{} pings beside the data", pinging.await.unwrap());
}

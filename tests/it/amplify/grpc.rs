//! The same over gRPC: two bytes on the wire can be a struct of more than a hundred, so every list and object that a message
//! may hold has a row here. Messages are written byte by byte: no client would write these.

use super::{BYTES, growth, start};
use pinyon_wire::grpc::{self, vector_service_client::VectorServiceClient};
use prost::bytes::{Buf, BufMut};
use serde_json::json;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

/// Messages as they are on the wire.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}

/// Elements of lists and members of objects, each as short as it can be.
const EMPTY: &[u8] = &[0x0a, 0];
const ZERO: &[u8] = &[0];
const UNKNOWN: &[u8] = &[0x98, 0x06, 0x01];
const GROUP: &[u8] = &[0x9b, 0x06, 0x9c, 0x06];
/// An object in an object, in a list, a list in a list, a text, a number.
const OBJECT_MEMBER: &[u8] = &[0x0a, 6, 0x12, 4, 0x2a, 2, 0x0a, 0];
const OBJECT_IN_LIST: &[u8] = &[0x0a, 4, 0x2a, 2, 0x0a, 0];
const LIST_IN_LIST: &[u8] = &[0x0a, 2, 0x32, 0];
const TEXT: &[u8] = &[0x0a, 3, 0x1a, 1, b'a'];
const NUMBER: &[u8] = &[0x0a, 9, 0x11, 0, 0, 0, 0, 0, 0, 0, 0];

/// A method, the fields from outside in, and what fills the innermost.
type Row = (&'static str, &'static [u8], &'static [u8]);

const ROWS: &[Row] = &[
    ("Upsert", &[], EMPTY),
    ("Upsert", &[], UNKNOWN),
    ("Upsert", &[], GROUP),
    ("Upsert", &[1], UNKNOWN),
    ("Upsert", &[1, 2], ZERO),
    ("Upsert", &[1, 4, 1], ZERO),
    ("Upsert", &[1, 4, 2], ZERO),
    ("Update", &[2], ZERO),
    ("Update", &[5, 1], ZERO),
    ("Query", &[], &[0x32, 0]),
    ("Query", &[6, 1], ZERO),
    ("Query", &[7], ZERO),
    ("Query", &[9, 1], ZERO),
    ("Delete", &[], EMPTY),
    ("Fetch", &[], EMPTY),
    ("List", &[1], ZERO),
    ("CreateNamespace", &[2], EMPTY),
    ("DescribeNamespace", &[1], ZERO),
    ("DeleteNamespace", &[], UNKNOWN),
    ("ListNamespaces", &[], GROUP),
];

/// Where an object stands.
const OBJECTS: &[(&str, &[u8])] = &[
    ("Upsert", &[1, 3]),
    ("Update", &[3]),
    ("Update", &[6]),
    ("Query", &[3]),
    ("Query", &[6, 4]),
    ("Delete", &[4]),
    ("FetchByMetadata", &[2]),
    ("DescribeIndexStats", &[1]),
];

/// A field of bytes.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encoding::encode_varint(value.len() as u64, &mut bytes);
    bytes.extend_from_slice(value);
    bytes
}

fn within(path: &[u8], inner: Vec<u8>) -> Vec<u8> {
    path.iter().rev().fold(inner, |inner, number| field(*number, &inner))
}

/// All bodies, each of about so many bytes.
fn bodies(bytes: usize) -> Vec<(&'static str, String, Vec<u8>)> {
    let of = |one: &[u8]| one.repeat(bytes / one.len());
    let mut all: Vec<_> = ROWS
        .iter()
        .map(|(method, path, one)| (*method, format!("{path:?} {one:?}"), within(path, of(one))))
        .collect();
    for (method, path) in OBJECTS {
        for one in [EMPTY, OBJECT_MEMBER] {
            all.push((method, format!("{path:?} members {one:?}"), within(path, of(one))));
        }
        for one in [EMPTY, OBJECT_IN_LIST, LIST_IN_LIST, TEXT, NUMBER] {
            let list = within(&[1, 2, 6], of(one));
            all.push((method, format!("{path:?} list of {one:?}"), within(path, list)));
        }
        let deep = (0..bytes / 12).take(5_000).fold(Vec::new(), |inner, _| within(&[1, 2, 5], inner));
        all.push((method, format!("{path:?} depth"), within(path, deep)));
    }
    all
}

async fn call(channel: &Channel, method: &str, message: Vec<u8>) -> Code {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = format!("/VectorService/{method}").parse().unwrap();
    let answer = client.unary(Request::new(message), path, Raw).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[test]
fn no_message_takes_more_than_three_times_its_bytes_and_a_mebibyte() {
    let (dir, server) = start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_, index) = server.get("/indexes/a").unwrap();
    let host = index["host"].as_str().unwrap().to_owned();
    let channel = runtime.block_on(Endpoint::from_shared(host).unwrap().connect()).unwrap();
    // Threads and pages of the program come with the first bodies.
    for (method, _, message) in bodies(100 << 10) {
        runtime.block_on(call(&channel, method, message));
    }
    let mut worst = Vec::new();
    for (method, name, message) in bodies(BYTES[0]) {
        let (bytes, mut code) = (message.len(), Code::Unknown);
        let grown = growth(server.pid(), || code = runtime.block_on(call(&channel, method, message)));
        assert!(matches!(code, Code::Ok | Code::InvalidArgument | Code::NotFound), "{method} {name}: {code}");
        worst.push((grown, method, name, bytes, code));
    }
    worst.sort_by_key(|(grown, ..)| *grown);
    for (grown, method, name, bytes, code) in worst.iter().rev().take(3) {
        println!("{:.1}x: {method} {name}: {grown} bytes, {code}", *grown as f64 / *bytes as f64);
    }
    let over: Vec<_> =
        worst.iter().filter(|(grown, _, _, bytes, _)| *grown > 3 * *bytes as u64 + (1 << 20)).collect();
    assert!(over.is_empty(), "{over:?}");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_compressed_message_is_charged_for_what_it_stands_for() {
    let (dir, server) = start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_, index) = server.get("/indexes/a").unwrap();
    let host = index["host"].as_str().unwrap().to_owned();
    let list = |bytes: usize| {
        let request = grpc::ListRequest { prefix: Some("a".repeat(bytes)), ..Default::default() };
        runtime.block_on(async {
            let channel = Endpoint::from_shared(host.clone()).unwrap().connect().await.unwrap();
            let mut client = VectorServiceClient::new(channel).send_compressed(CompressionEncoding::Gzip);
            client.list(request).await.map_or_else(|status| status.code(), |_| Code::Ok)
        })
    };
    // Three times that is below the 64 MiB there are, and above.
    assert_eq!(list(8 << 20), Code::Ok);
    assert_eq!(list(40 << 20), Code::ResourceExhausted);
    assert_eq!(list(8 << 20), Code::Ok);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_is_within_every_limit_and_stands_for_more_than_there_is_room_for_is_refused_before_it_is_made() {
    let (dir, server) = start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_, index) = server.get("/indexes/a").unwrap();
    let host = index["host"].as_str().unwrap().to_owned();
    let channel = runtime.block_on(Endpoint::from_shared(host).unwrap().connect()).unwrap();
    runtime.block_on(call(&channel, "Upsert", field(1, b"")));
    // A thousand records with a thousand texts of one byte each: 5 MB that would be about a hundred.
    let record = within(&[1, 3, 1, 2, 6], TEXT.repeat(1_000));
    let message = record.repeat(1_000);
    let (bytes, mut code) = (message.len() as u64, Code::Unknown);
    let grown = growth(server.pid(), || code = runtime.block_on(call(&channel, "Upsert", message)));
    assert_eq!(code, Code::ResourceExhausted);
    assert!(grown <= 3 * bytes + (1 << 20), "{grown} for {bytes}");
    let (status, told) = server.post("/indexes/a/describe_index_stats", &json!({})).unwrap();
    assert_eq!(status, 200, "{told}");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

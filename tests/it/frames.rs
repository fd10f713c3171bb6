//! gRPC bodies that no client would send, from a seed: every one is answered with a status or a broken stream within a
//! deadline, nothing panics, and records that none of them names stay as they are.

use crate::server::{Server, scratch};
use http_body_util::{BodyExt, Full};
use pinyon_types::SeededRng;
use pinyon_wire::grpc;
use prost::Message;
use prost_types::{Struct, Value as ProtoValue, value::Kind};
use serde_json::{Value, json};
use std::time::Duration;
use tonic::{
    body::Body,
    codegen::{Service, http},
    transport::{Channel, Endpoint},
};

const FRAMES: usize = 600;
const DEADLINE: Duration = Duration::from_secs(20);
/// What the engine says of a request that panicked.
const PANICKED: &str = "the server's log has the reason";

fn text(value: &str) -> ProtoValue {
    ProtoValue { kind: Some(Kind::StringValue(value.into())) }
}

fn structure(name: &str, value: ProtoValue) -> Struct {
    Struct { fields: [(name.to_owned(), value)].into() }
}

/// A field with a length, as protobuf has it.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// A statistics request with a filter of lists in lists, or structures in structures. From bytes: encoders recurse.
fn nested(depth: usize, in_lists: bool) -> Vec<u8> {
    let inner = (0..depth).fold(field(3, b"x"), |inner, _| match in_lists {
        true => field(6, &field(1, &inner)),
        false => field(5, &field(1, &[field(1, b"$and"), field(2, &inner)].concat())),
    });
    field(1, &field(1, &[field(1, b"deep"), field(2, &inner)].concat()))
}

/// A method and a request that it would take.
fn valid(rng: &mut SeededRng) -> (&'static str, Vec<u8>) {
    let namespace = String::from("frames");
    let filter = Some(structure("genre", text("drama")));
    match rng.below(8) {
        0..=3 => valid_write(rng, namespace, filter),
        4 => {
            let vector = vec![0.25, -1.5, 3.0];
            let request = grpc::QueryRequest { namespace, top_k: 3, filter, vector, ..Default::default() };
            ("Query", request.encode_to_vec())
        }
        5 => {
            let limit = Some(3);
            let request =
                grpc::ListRequest { prefix: Some("id".into()), limit, namespace, ..Default::default() };
            ("List", request.encode_to_vec())
        }
        6 => ("DescribeIndexStats", grpc::DescribeIndexStatsRequest { filter }.encode_to_vec()),
        _ => {
            let request = grpc::FetchByMetadataRequest { namespace, filter, ..Default::default() };
            ("FetchByMetadata", request.encode_to_vec())
        }
    }
}

fn valid_write(rng: &mut SeededRng, namespace: String, metadata: Option<Struct>) -> (&'static str, Vec<u8>) {
    let (id, values) = (format!("id-{}", rng.below(9)), vec![0.25, -1.5, 3.0]);
    match rng.below(4) {
        0 | 1 => {
            let vector = grpc::Vector { id, values, metadata, sparse_values: None };
            let vectors = vec![vector.clone(), vector];
            ("Upsert", grpc::UpsertRequest { vectors, namespace }.encode_to_vec())
        }
        2 => {
            let request =
                grpc::UpdateRequest { id, values, set_metadata: metadata, namespace, ..Default::default() };
            ("Update", request.encode_to_vec())
        }
        _ => {
            let ids = vec![id, "nobody".into()];
            ("Delete", grpc::DeleteRequest { ids, namespace, ..Default::default() }.encode_to_vec())
        }
    }
}

fn bytes(rng: &mut SeededRng, most: u64) -> Vec<u8> {
    (0..rng.below(most)).map(|_| rng.below(256) as u8).collect()
}

fn place(rng: &mut SeededRng, of: &[u8]) -> usize {
    rng.below(of.len() as u64 + 1) as usize
}

/// A frame as gRPC has it: a flag, a length, a message.
fn frame(flag: u8, length: u32, message: &[u8]) -> Vec<u8> {
    [&[flag], length.to_be_bytes().as_slice(), message].concat()
}

fn whole(message: &[u8]) -> Vec<u8> {
    frame(0, message.len() as u32, message)
}

/// Breaks a request in one of the ways.
fn broken(rng: &mut SeededRng, mut message: Vec<u8>) -> Vec<u8> {
    let length = message.len() as u32;
    match rng.below(13) {
        0..=2 => {
            for _ in 0..=rng.below(8) {
                let at = rng.below(u64::from(length)) as usize;
                message[at] ^= 1 << rng.below(8);
            }
            whole(&message)
        }
        3 => {
            message.truncate(place(rng, &message));
            whole(&message)
        }
        4 => frame(0, length + 1 + rng.below(1 << 20) as u32, &message),
        5 => frame(0, rng.below(u64::from(length)) as u32, &message),
        6 => frame(0, u32::MAX - rng.below(1 << 16) as u32, &message),
        7 => frame(1 + rng.below(255) as u8, length, &message),
        8 => {
            message.extend(bytes(rng, 64));
            whole(&message)
        }
        9 => {
            let depth = 1 << rng.below(13);
            whole(&nested(depth, rng.below(2) == 0))
        }
        10 => [whole(&message), whole(&message)].concat(),
        11 => bytes(rng, 200),
        _ => {
            let at = place(rng, &message);
            message.splice(at..at, bytes(rng, 16));
            whole(&message)
        }
    }
}

fn request(rng: &mut SeededRng) -> http::Request<Body> {
    let (method, message) = valid(rng);
    let method = if rng.below(20) == 0 { "Nothing" } else { method };
    let mut request = http::Request::builder()
        .method("POST")
        .uri(format!("http://localhost/VectorService/{method}"))
        .header("content-type", if rng.below(20) == 0 { "application/grpc+json" } else { "application/grpc" })
        .header("te", "trailers");
    let odd = ["", "1n", "99999999H", "-5S", "5x", "soon"];
    for (name, values) in [
        ("grpc-timeout", odd.as_slice()),
        ("grpc-encoding", &["gzip", "deflate", "identity", "zstd,"]),
        ("x-pinecone-api-version", &["2026-07", "2024-04", "x"]),
        ("odd-bin", &["!!!", "AA==", "AAA"]),
    ] {
        if rng.below(6) == 0 {
            request = request.header(name, values[rng.below(values.len() as u64) as usize]);
        }
    }
    let body = broken(rng, message);
    request.body(Body::new(Full::new(body.into()))).unwrap()
}

/// What a request is answered with: its status, or why the stream broke.
async fn answer(channel: &mut Channel, request: http::Request<Body>) -> Result<(String, String), String> {
    std::future::poll_fn(|context| channel.poll_ready(context)).await.map_err(|error| error.to_string())?;
    let response = channel.call(request).await.map_err(|error| error.to_string())?;
    assert!(response.status().as_u16() < 500, "{}", response.status());
    let (parts, body) = response.into_parts();
    let rest = body.collect().await.map_err(|error| error.to_string())?;
    let all = [Some(&parts.headers), rest.trailers()];
    let find = |name: &str| {
        let found = all.iter().flatten().find_map(|headers| headers.get(name)?.to_str().ok());
        found.unwrap_or_default().to_owned()
    };
    Ok((find("grpc-status"), find("grpc-message").replace("%20", " ")))
}

/// Everything of the records that no frame names.
fn guarded(server: &Server, host: &str) -> Value {
    let get = |path: &str| {
        let mut response = server.agent().get(format!("{host}{path}")).call().unwrap();
        serde_json::from_str::<Value>(&response.body_mut().read_to_string().unwrap()).unwrap()
    };
    let ids: Vec<String> = (0..20).map(|number| format!("ids=g{number}")).collect();
    json!([
        get("/vectors/list?namespace=guarded"),
        get(&format!("/vectors/fetch?namespace=guarded&{}", ids.join("&"))),
    ])
}

fn make(server: &Server, name: &str) -> String {
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let (status, made) =
        server.post("/indexes", &json!({"name": name, "dimension": 3, "spec": spec})).unwrap();
    assert_eq!(status, 201);
    let host = made["host"].as_str().unwrap().to_owned();
    let vectors = (0..20).map(
        |number| json!({"id": format!("g{number}"), "values": [number, 1, 2], "metadata": {"n": number}}),
    );
    let body = json!({"namespace": "guarded", "vectors": vectors.collect::<Vec<_>>()});
    let (status, _) = server.post(&format!("/indexes/{name}/vectors/upsert"), &body).unwrap();
    assert_eq!(status, 200);
    host
}

#[test]
fn broken_frames_get_a_status_and_change_nothing() {
    let seed = std::env::var("PINYON_TEST_SEED").ok().map_or(20_261_124, |seed| seed.parse().unwrap());
    println!("PINYON_TEST_SEED={seed}");
    let dir = scratch("frames");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Or statistics with a filter would be refused before the filter is read.
    let environment = [("PINYON_STATS_FILTER", "allow")];
    let server = Server::start_with(&dir, &["--vector-dimension", "8"], &environment);
    let hosts = [make(&server, "target"), make(&server, "bystander")];
    let before = hosts.each_ref().map(|host| guarded(&server, host));
    let mut rng = SeededRng::new(seed);
    let (mut statuses, mut streams_broken) = (std::collections::BTreeMap::<String, usize>::new(), 0);
    let endpoint = Endpoint::from_shared(hosts[0].clone()).unwrap();
    let mut channel = runtime.block_on(endpoint.connect()).unwrap();
    for number in 0..FRAMES {
        let request = request(&mut rng);
        let answered =
            runtime.block_on(async { tokio::time::timeout(DEADLINE, answer(&mut channel, request)).await });
        match answered.unwrap_or_else(|_| panic!("frame {number} got no answer")) {
            Ok((status, message)) => {
                assert!(!status.is_empty(), "frame {number} got no status");
                assert!(!message.contains(PANICKED), "frame {number}: {message}");
                *statuses.entry(status).or_default() += 1;
            }
            Err(_) => streams_broken += 1,
        }
    }
    println!("statuses {statuses:?}, broken streams {streams_broken}");
    // Frames that are all taken, or all broken before they are read, would show nothing.
    assert!(statuses.len() > 3 && statuses.get("0").is_some_and(|taken| *taken < FRAMES / 2), "{statuses:?}");
    assert_eq!(hosts.each_ref().map(|host| guarded(&server, host)), before);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

//! REST and gRPC are one API: the same random operations on two indexes, one spoken to over REST and the other over gRPC,
//! give the same answers, refusals included; and again after a kill and a restart. The seed is printed.

mod grpc;
mod operations;
mod rest;

use crate::server::{Server, scratch};
use grpc::{Client, over_grpc};
use operations::{Kind, operation};
use pinyon_types::SeededRng;
use rest::over_rest;
use serde_json::{Value, json};

const OPERATIONS: usize = 400;

/// A missing number is 0 in protobuf: both sides refuse it, each in its words.
fn is_refused_for_no_top_k(answer: &Value) -> bool {
    answer["message"].as_str().is_some_and(|message| message.starts_with("top_k"))
}

async fn connect(host: &str) -> Client {
    let channel = tonic::transport::Endpoint::from_shared(host.to_owned()).unwrap().connect().await.unwrap();
    Client::new(channel)
}

#[test]
fn rest_and_grpc_give_the_same_answers_to_the_same_operations() {
    compare(Kind::Hybrid, "twins", &json!({"dimension": 4, "metric": "dotproduct"}));
}

#[test]
fn so_they_do_with_sparse_vectors_alone() {
    compare(Kind::Sparse, "twins-sparse", &json!({"vector_type": "sparse"}));
}

fn make(server: &Server, name: &str, shape: &Value) -> String {
    let mut body = shape.clone();
    body["name"] = name.into();
    body["spec"] = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let (status, made) = server.post("/indexes", &body).unwrap();
    assert_eq!(status, 201, "{made}");
    made["host"].as_str().unwrap().to_owned()
}

fn compare(kind: Kind, name: &str, shape: &Value) {
    let seed = std::env::var("PINYON_TEST_SEED").ok().map_or(20_261_124, |seed| seed.parse().unwrap());
    println!("PINYON_TEST_SEED={seed}");
    let dir = scratch(name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut server = Server::start(&dir, &["--vector-dimension", "8"]);
    let (rest_host, grpc_host) = (make(&server, "rest", shape), make(&server, "grpc", shape));
    let mut client = runtime.block_on(connect(&grpc_host));
    let mut rng = SeededRng::new(seed);
    let (mut refused, mut found) = (0, 0);
    for number in 0..OPERATIONS {
        let operation = operation(kind, &mut rng);
        let rest = over_rest(&server, &rest_host, &operation);
        let grpc = runtime.block_on(over_grpc(&mut client, &operation));
        refused += usize::from(rest.get("code").is_some());
        found += rest["matches"].as_array().map_or(0, Vec::len);
        let same = rest == grpc || is_refused_for_no_top_k(&rest) && is_refused_for_no_top_k(&grpc);
        assert!(same, "operation {number}, {} {}:\nREST {rest}\ngRPC {grpc}", operation.name, operation.body);
        if number == OPERATIONS / 2 {
            server.kill();
            server = Server::start(&dir, &["--vector-dimension", "8"]);
            client = runtime.block_on(connect(&grpc_host));
        }
    }
    // Operations that all fail, or queries that find nothing, would compare nothing.
    assert!(refused > 20 && found > 200, "{refused} refused, {found} found");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

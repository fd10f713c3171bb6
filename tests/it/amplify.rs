//! Bodies that stand for much more than they are: whatever is sent to a route, the server's memory grows by no more than three
//! times the body and one MiB. Every route that takes a body has a row; a route of the OpenAPI document without one fails.
//! The gate tries a slice of all pairs of route and shape that `PINYON_TEST_SEED` chooses; `PINYON_TEST_AMPLIFY=all` all.

use crate::server::{Server, scratch};
use pinyon_types::SeededRng;
use serde_json::json;
use std::{collections::BTreeSet, path::PathBuf};

mod grpc;

/// Lengths of a body: a long one, and one that ends within every limit of values.
const BYTES: [usize; 2] = [4 << 20, 160 << 10];
/// Pairs that the gate tries.
const SLICE: usize = 32;

/// A route, and a body of it with `@` where JSON of any kind stands in a field that takes it.
const ROUTES: &[(&str, &str)] = &[
    ("/ingest", r#"{"tenant_id":"t","documents":@}"#),
    ("/ingest", r#"{"tenant_id":"t","documents":[{"id":"a","text":"x","metadata":{"k":@}}]}"#),
    ("/query", r#"{"tenant_id":"t","vector":@}"#),
    ("/query", r#"{"tenant_id":"t","query_text":"x","filter":{"k":{"$in":@}}}"#),
    ("/query", r#"{"cross_shard":true,"query_text":"x","tenant_ids":@}"#),
    ("/fetch", r#"{"tenant_id":"t","ids":@}"#),
    ("/delete", r#"{"tenant_id":"t","filter":{"$and":@}}"#),
    ("/admin/v1/tenants", r#"{"tenants":@}"#),
    ("/admin/v1/moves", r#"{"shard_id":1,"tenant_id":@}"#),
    ("/admin/v1/advise", r#"{"tenants":1,"vectors":@}"#),
    ("/indexes", r#"{"name":"n","dimension":3,"spec":{"serverless":@}}"#),
    ("/indexes", r#"{"name":"n","dimension":3,"spec":{},"tags":{"a":@}}"#),
    (
        "/indexes/create-for-model",
        r#"{"name":"n","cloud":"c","region":"r","embed":{"model":"m","field_map":{"text":@}}}"#,
    ),
    ("/embed", r#"{"model":"llama-text-embed-v2","inputs":@}"#),
    ("/embed", r#"{"model":"llama-text-embed-v2","inputs":[],"parameters":{"k":@}}"#),
    ("/rerank", r#"{"model":"bge-reranker-v2-m3","query":"x","documents":@}"#),
    ("/collections", r#"{"name":"n","source":@}"#),
    ("/indexes/a/vectors/upsert", r#"{"vectors":@}"#),
    ("/indexes/a/vectors/upsert", r#"{"vectors":[{"id":"a","values":@}]}"#),
    ("/indexes/a/vectors/upsert", r#"{"vectors":[{"id":"a","values":[1,2,3],"metadata":{"k":@}}]}"#),
    ("/indexes/a/vectors/upsert", r#"{"nobody":@}"#),
    ("/indexes/a/query", r#"{"topK":1,"vector":[1],"filter":{"k":{"$in":@}}}"#),
    ("/indexes/a/query", r#"{"topK":1,"vector":@}"#),
    ("/indexes/a/query", r#"{"topK":1,"sparseVector":{"indices":@,"values":[1]}}"#),
    ("/indexes/a/vectors/fetch_by_metadata", r#"{"filter":{"k":@}}"#),
    ("/indexes/a/vectors/update", r#"{"id":"a","setMetadata":{"k":@}}"#),
    ("/indexes/a/vectors/delete", r#"{"ids":@}"#),
    ("/indexes/a/describe_index_stats", r#"{"filter":@}"#),
    ("/indexes/a/namespaces", r#"{"name":"n","schema":{"fields":{"k":@}}}"#),
    ("/indexes/a/records/namespaces/n/upsert", r#"{"_id":"a","k":@}"#),
    ("/indexes/a/records/namespaces/n/search", r#"{"query":{"top_k":1,"inputs":{"text":"x"},"filter":@}}"#),
    ("/indexes/a/records/namespaces/n/search", r#"{"query":{"top_k":1},"fields":@}"#),
];

/// Routes of the OpenAPI document whose bodies are read by PUT, with fields of fixed size only.
const FIXED: [&str; 2] = ["/admin/v1/tenants/{tenant_id}", "/admin/v1/indexes/{name}"];

/// A list, or an object, of so many bytes about.
fn shape(number: usize, bytes: usize) -> (&'static str, String) {
    let of = |one: &str| format!("[{}]", vec![one; bytes / (one.len() + 1)].join(","));
    match number {
        0 => ("empty objects", of("{}")),
        1 => ("empty lists", of("[]")),
        2 => ("numbers", of("1")),
        3 => ("empty texts", of(r#""""#)),
        4 => ("texts of a byte", of(r#""a""#)),
        5 => ("objects of one key", of(r#"{"k":1}"#)),
        6 => ("lists of a list", of("[[]]")),
        7 => ("one text of escapes", format!(r#""{}""#, "\\u0041".repeat(bytes / 6))),
        8 => ("depth", "[".repeat(bytes)),
        9 => ("a key again and again", format!("{{{}}}", vec![r#""k":1"#; bytes / 6].join(","))),
        10 => {
            let members: Vec<String> = (0..bytes / 10).map(|key| format!(r#""{key:x}":1"#)).collect();
            ("keys", format!("{{{}}}", members.join(",")))
        }
        _ => ("nulls", of("null")),
    }
}

const SHAPES: usize = 12;

/// Bytes of a line of the process's status.
fn status(pid: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// By how many bytes the process's memory grows at most while `work` is done.
fn growth(pid: u32, work: impl FnOnce()) -> u64 {
    // Resets the most that was ever resident to what is now (proc(5)).
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    let before = status(pid, "VmRSS:");
    work();
    status(pid, "VmHWM:").saturating_sub(before)
}

fn start() -> (PathBuf, Server) {
    let dir = scratch("amplify");
    let server = Server::start_with(&dir, &["--vector-dimension", "16"], &[("PINYON_REQUESTS_MIB", "64")]);
    let made = server.post(
        "/indexes",
        &json!({"name": "a", "dimension": 3, "metric": "dotproduct",
            "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}}}),
    );
    assert_eq!(made.unwrap().0, 201);
    (dir, server)
}

/// Sends a body; the status of the answer, or 400 where the connection ends before all of it was sent: some refusals need no
/// body, and behind a long one that nobody reads the server closes.
fn send(server: &Server, path: &str, body: &str) -> u16 {
    let url = format!("{}{path}", server.url);
    let answer = server.agent().post(url).header("content-type", "application/json").send(body);
    answer.map_or(400, |answer| answer.status().as_u16())
}

#[test]
fn every_route_with_a_body_has_a_row() {
    let (dir, server) = start();
    let (_, document) = server.get("/openapi.json").unwrap();
    let known: BTreeSet<&str> = ROUTES.iter().map(|(path, _)| *path).chain(FIXED).collect();
    let mut seen = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation.get("requestBody").is_some() {
                seen += 1;
                assert!(known.contains(&**path), "{method} {path} takes a body and has no row here");
            }
        }
    }
    assert!(seen >= 8, "{seen}");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Routes, shapes and lengths, each with each.
fn every_body() -> Vec<(usize, usize, usize)> {
    let of_shape = |route, number| BYTES.map(|bytes| (route, number, bytes));
    (0..ROUTES.len()).flat_map(|route| (0..SHAPES).flat_map(move |number| of_shape(route, number))).collect()
}

#[test]
fn no_body_takes_more_than_three_times_its_bytes_and_a_mebibyte() {
    let (dir, server) = start();
    let seed = std::env::var("PINYON_TEST_SEED").map_or(7, |seed| seed.parse().unwrap());
    let is_whole = std::env::var_os("PINYON_TEST_AMPLIFY").is_some();
    let mut pairs = every_body();
    let mut rng = SeededRng::new(seed);
    for at in (1..pairs.len()).rev() {
        pairs.swap(at, rng.below(at as u64 + 1) as usize);
    }
    pairs.truncate(if is_whole { pairs.len() } else { SLICE });
    // Threads, their arenas, and pages of the program come with the first bodies.
    for (path, body) in ROUTES {
        send(&server, path, &body.replace('@', &shape(2, 100 << 10).1));
    }
    let mut worst = Vec::new();
    for (route, number, bytes) in pairs {
        let (path, body) = ROUTES[route];
        let (name, value) = shape(number, bytes);
        let body = body.replace('@', &value);
        let mut status = 0;
        let grown = growth(server.pid(), || status = send(&server, path, &body));
        assert!(status < 500 && status != 429, "{path} with {name}: {status}");
        worst.push((grown, path, name, status, body.len()));
    }
    worst.sort_by_key(|(grown, .., bytes)| *grown * 1000 / (3 * *bytes as u64 + (1 << 20)));
    for (grown, path, name, status, bytes) in worst.iter().rev().take(if is_whole { 40 } else { 3 }) {
        println!(
            "{:.1}x: {path} with {name}: {grown} bytes for {bytes}, {status}",
            *grown as f64 / *bytes as f64
        );
    }
    let over: Vec<_> =
        worst.iter().filter(|(grown, .., bytes)| *grown > 3 * *bytes as u64 + (1 << 20)).collect();
    assert!(over.is_empty(), "seed {seed}: {over:?}");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

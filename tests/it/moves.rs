//! Moves of tenants as people ask for them: over HTTP, by the command line, of every index, and wrongly.

use crate::{
    bodies::put,
    server::{Server, binary, scratch},
};
use serde_json::{Value, json};
use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

const MOVES: &str = "/admin/v1/moves";

/// A server with 300 records in an index of a customer and 50 documents of a tenant.
fn filled(name: &str) -> (std::path::PathBuf, Server) {
    filled_with(name, &[])
}

fn filled_with(name: &str, environment: &[(&str, &str)]) -> (std::path::PathBuf, Server) {
    let dir = scratch(name);
    let server = Server::start_with(&dir, &["--vector-dimension", "16"], environment);
    let made = json!({"name": "books", "dimension": 3, "metric": "cosine",
        "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}}});
    assert_eq!(server.post("/indexes", &made).unwrap().0, 201);
    let vectors: Vec<Value> = (0..300)
        .map(|number| json!({"id": format!("r{number}"), "values": [number, 1, 300 - number]}))
        .collect();
    let upsert = json!({"namespace": "n", "vectors": vectors});
    assert_eq!(server.post("/indexes/books/vectors/upsert", &upsert).unwrap().0, 200);
    let documents: Vec<Value> = (0..50)
        .map(|number| json!({"id": format!("d{number}"), "text": format!("dark beer {number}")}))
        .collect();
    let ingest = json!({"tenant_id": "acme", "documents": documents});
    assert_eq!(server.post("/ingest", &ingest).unwrap().0, 200);
    (dir, server)
}

fn shard_of(server: &Server, tenant: &str) -> u64 {
    server.get(&format!("/shard/{tenant}")).unwrap().1["shard_id"].as_u64().unwrap()
}

/// The move once it is over.
fn ended(server: &Server, begun: &(u16, Value)) -> Value {
    assert_eq!(begun.0, 202, "{begun:?}");
    let (path, began) = (format!("{MOVES}/{}", begun.1["id"].as_str().unwrap()), Instant::now());
    loop {
        let (status, now) = server.get(&path).unwrap();
        assert_eq!(status, 200, "{now}");
        if ["done", "aborted", "failed", "stopped"].contains(&now["phase"].as_str().unwrap()) {
            return now;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{now}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn nearest(server: &Server) -> Value {
    let query = json!({"namespace": "n", "vector": [7, 1, 293], "topK": 3});
    server.post("/indexes/books/query", &query).unwrap().1["matches"].clone()
}

#[test]
fn tenants_of_every_index_move_and_answer_as_before() {
    let (dir, server) = filled("moves-http");
    let before = nearest(&server);
    let begin =
        |to: u64| server.post(MOVES, &json!({"tenant_id": "n", "shard_id": to, "index": "books"})).unwrap();
    let tried = (0..4).map(begin).find(|(status, _)| *status == 202).unwrap();
    let done = ended(&server, &tried);
    assert_eq!((done["phase"].as_str(), done["index"].as_str()), (Some("done"), Some("books")), "{done}");
    assert_eq!(nearest(&server), before);
    // Of the tenants' own index, by the route that assigns.
    let to = (shard_of(&server, "acme") + 1) % 4;
    let begun = put(&server, "/admin/v1/tenants/acme", &json!({"shard_id": to})).unwrap();
    assert_eq!(ended(&server, &begun)["phase"], "done");
    assert_eq!(shard_of(&server, "acme"), to);
    let again = put(&server, "/admin/v1/tenants/acme", &json!({"shard_id": to})).unwrap();
    assert_eq!((again.0, again.1["shard_id"].as_u64()), (200, Some(to)), "it lives there");
    let of_books = server.get(&format!("{MOVES}?index=books")).unwrap().1;
    let all = server.get(MOVES).unwrap().1;
    let count = |list: &Value| list["moves"].as_array().unwrap().len();
    assert!(count(&of_books) >= 1 && count(&all) > count(&of_books), "{all}");
    assert_eq!(server.get("/admin/v1/doctor").unwrap().1["findings"], json!([]));
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Requests for a tenant that lives on a shard, with the status and what the answer says.
fn wrong_requests(here: u64) -> Vec<(Value, u16, &'static str)> {
    vec![
        (json!({"tenant_id": "acme", "shard_id": here}), 409, "lives there already"),
        (json!({"tenant_id": "nobody", "shard_id": 1}), 404, "no such tenant"),
        (json!({"tenant_id": "acme", "shard_id": 4}), 400, "must be 0 to 3, is 4"),
        (json!({"tenant_id": "acme", "shard_id": -1}), 400, "shard_id"),
        (json!({"tenant_id": "acme", "shard_id": null}), 400, "shard_id"),
        (json!({"tenant_id": "", "shard_id": 1}), 400, "tenant"),
        (json!({"tenant_id": "acme"}), 400, "shard_id"),
        (json!({"tenant_id": "acme", "shard_id": 1, "speed": 9}), 400, "speed"),
        (json!({"tenant_id": "acme", "shard_id": 1, "index": "nothing"}), 404, "Index nothing not found"),
        (
            json!({"tenant_id": "acme", "shard_id": (here + 1) % 4, "request_id": "x".repeat(2_000)}),
            503,
            "bytes",
        ),
    ]
}

#[test]
fn what_cannot_be_moved_is_refused_and_says_what_was_wrong() {
    let (dir, server) = filled("moves-wrong");
    let here = shard_of(&server, "acme");
    for (body, expected, says) in wrong_requests(here) {
        let (status, answer) = server.post(MOVES, &body).unwrap();
        let text = answer.to_string();
        assert!(text.contains(says), "{body}: {status} {text}");
        assert!(status == expected || (expected == 503 && status >= 400), "{body}: {status} {text}");
    }
    for wrong in ["0-99", "7-1", "x", "0-", "-1", "%00", "0-1-1"] {
        let (status, answer) = server.get(&format!("{MOVES}/{wrong}")).unwrap();
        assert_eq!(status, 404, "{wrong}: {answer}");
    }
    assert_eq!(server.get(MOVES).unwrap().1, json!({"moves": []}), "nothing was begun");
    assert_eq!(server.get(&format!("{MOVES}?index=nothing")).unwrap().0, 404);
    let request = json!({"tenant_id": "acme", "shard_id": (here + 1) % 4, "request_id": "once"});
    let begun = server.post(MOVES, &request).unwrap();
    let done = ended(&server, &begun);
    assert_eq!(
        server.post(MOVES, &request).unwrap().1["id"],
        done["id"],
        "the same request is the same move"
    );
    let abort =
        server.agent().delete(format!("{}{MOVES}/{}", server.url, done["id"].as_str().unwrap())).call();
    assert_eq!(abort.unwrap().status().as_u16(), 409, "it is done");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Begins to move the customer's namespace to some shard where it is not.
fn begin_books(server: &Server) -> (u16, Value) {
    let begin =
        |to: u64| server.post(MOVES, &json!({"tenant_id": "n", "shard_id": to, "index": "books"})).unwrap();
    (0..4).map(begin).find(|(status, _)| *status == 202).unwrap()
}

/// So slow that somebody can come between.
const SLOW: [(&str, &str); 1] = [("PINYON_MOVE_ROWS_PER_SECOND", "100")];

#[test]
fn a_move_that_is_under_way_is_shown_turned_back_and_ended_with_its_index() {
    let (dir, server) = filled_with("moves-slow", &SLOW);
    let before = nearest(&server);
    let begun = begin_books(&server);
    let path = format!("{MOVES}/{}", begun.1["id"].as_str().unwrap());
    let now = server.get(&path).unwrap().1;
    assert_eq!((now["phase"].as_str(), now["tenant_id"].as_str()), (Some("copying"), Some("n")), "{now}");
    let second =
        server.post(MOVES, &json!({"tenant_id": "n", "shard_id": now["from_shard"], "index": "books"}));
    assert_eq!(second.unwrap().0, 409, "one at a time");
    let abort = || server.agent().delete(format!("{}{path}", server.url)).call().unwrap().status().as_u16();
    assert_eq!([abort(), abort()], [202, 202]);
    assert_eq!(ended(&server, &begun)["phase"], "aborted");
    assert_eq!(nearest(&server), before);
    // Another one goes on after a restart, as slowly, and ends with its index.
    let begun = begin_books(&server);
    drop(server);
    let server = Server::start_with(&dir, &["--vector-dimension", "16"], &SLOW);
    let now = server.get(&format!("{MOVES}/{}", begun.1["id"].as_str().unwrap())).unwrap().1;
    assert_eq!(now["phase"], "copying", "{now}");
    let deleted = server.agent().delete(format!("{}/indexes/books", server.url)).call().unwrap();
    assert_eq!(deleted.status().as_u16(), 202);
    assert_eq!(server.get(MOVES).unwrap().1, json!({"moves": []}));
    assert_eq!(
        std::fs::read_dir(dir.join("indexes"))
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("index-") })
            .count(),
        0
    );
    let found = server.post("/query", &json!({"tenant_id": "acme", "query_text": "dark beer"})).unwrap();
    assert_eq!(found.0, 200);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

fn pinyon(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_command_line_moves_tenants_of_a_server_and_of_a_directory() {
    let (dir, server) = filled("moves-verbs");
    let (url, here) = (server.url.clone(), shard_of(&server, "acme"));
    let other = |by: u64| ((here + by) % 4).to_string();
    let moved = pinyon(&["move", "acme", "--to", &other(1), "--wait", "--server", &url]);
    assert!(
        moved.status.success() && out(&moved).contains(&format!("lives on shard {} now", other(1))),
        "{}",
        out(&moved)
    );
    let again = pinyon(&["move", "acme", "--to", &other(1), "--server", &url]);
    assert!(again.status.code() == Some(1) && out(&again).contains("lives there already"), "{}", out(&again));
    let assigned = pinyon(&["tenants", "--assign", "acme", "--shard", &other(2), "--json", "--server", &url]);
    assert!(out(&assigned).contains(&format!("\"shard_id\":{}", other(2))), "{}", out(&assigned));
    let listed = pinyon(&["moves", "--json", "--server", &url]);
    let list: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(list["moves"].as_array().unwrap().len(), 2, "{list}");
    let table = pinyon(&["moves", "--server", &url]);
    assert!(out(&table).contains("acme") && out(&table).contains("done"), "{}", out(&table));
    let unknown = pinyon(&["moves", "--abort", "0-1", "--server", &url]);
    assert!(unknown.status.code() == Some(1) && out(&unknown).contains("no move 0-1"), "{}", out(&unknown));
    drop(server);
    let data = dir.to_str().unwrap();
    let moved = pinyon(&["move", "acme", "--to", &other(3), "--json", "--data-dir", data]);
    let last: Value = serde_json::from_slice(&moved.stdout).unwrap_or_else(|_| panic!("{}", out(&moved)));
    assert_eq!((last["phase"].as_str(), last["to_shard"].to_string()), (Some("done"), other(3)));
    let doctor = pinyon(&["doctor", "--data-dir", data]);
    assert!(doctor.status.success(), "{}", out(&doctor));
    let server = Server::start(&dir, &["--vector-dimension", "16"]);
    assert_eq!(shard_of(&server, "acme").to_string(), other(3));
    let found = server
        .post("/query", &json!({"tenant_id": "acme", "query_text": "dark beer 7", "top_k": 50}))
        .unwrap()
        .1;
    assert_eq!(found["results"].as_array().unwrap().len(), 50);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

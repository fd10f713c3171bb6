//! Verbs whose reader is gone, or whose output finds no room.

use crate::server::{Server, Starting, binary, scratch};
use serde_json::json;
use std::{
    fs::OpenOptions,
    process::{Command, Output, Stdio},
};

const VERBS: [&[&str]; 17] = [
    &["--help"],
    &["--version"],
    &["demo"],
    &["demo", "--json"],
    &["tenants"],
    &["tenants", "--json"],
    &["shards"],
    &["indexes"],
    &["health"],
    &["advise", "--tenants", "7", "--vectors", "10"],
    &["doctor"],
    &["query", "beer"],
    &["explain", "beer"],
    &["settings"],
    &["settings", "--json"],
    &["fetch", "--tenant", "t"],
    &["fetch", "--tenant", "t", "--json"],
];

fn run(arguments: &[&str], url: &str, out: Stdio, errors: Stdio) -> Output {
    let mut command = Command::new(binary());
    let child = command.args(arguments).env("PINYON_SERVER", url).stdout(out).stderr(errors).spawn();
    child.unwrap().wait_with_output().unwrap()
}

/// A pipe that nobody reads.
fn broken() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_that_is_gone_ends_every_verb_quietly_and_a_full_disk_does_not() {
    let dir = scratch("pipes");
    let server = Server::start(&dir, &["--vector-dimension", "16"]);
    let documents = json!([{"id": "a", "text": "dark beer"}]);
    server.post("/ingest", &json!({"tenant_id": "t", "documents": documents})).unwrap();
    for verb in VERBS {
        let output = run(verb, &server.url, broken(), Stdio::piped());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(0) && said.is_empty(), "{verb:?}: {} {said}", output.status);
        let output = run(verb, &server.url, broken(), broken());
        assert_eq!(output.status.code(), Some(0), "{verb:?}: both are gone");
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = run(verb, &server.url, full.into(), Stdio::piped());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{verb:?}: {said}");
        assert!(said.contains("No space left on device"), "{verb:?}: {said}");
    }
    let wrong = run(&["query"], &server.url, Stdio::null(), broken());
    assert_eq!(wrong.status.code(), Some(2));
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_server_whose_log_nobody_reads_goes_on() {
    let dir = scratch("pipes-log");
    let settings = [("PINYON_LOG", "trace")];
    let server = Starting::new(&dir, &["--vector-dimension", "16"], &settings, broken()).wait();
    let document = serde_json::json!({"tenant_id": "t", "documents": [{"id": "a", "text": "Dark beer"}]});
    for _ in 0..3 {
        assert_eq!(server.post("/ingest", &document).unwrap().0, 200);
    }
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

//! What verbs of the command line refuse, leave alone, and say; and the exit codes.

use crate::server::{binary, scratch};
use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// A verb in a directory of its own, without a `.env` and without settings from outside.
fn pinyon(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).args(["--data-dir"]).arg(dir).envs(environment.iter().copied());
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const DIMENSION: [&str; 2] = ["--vector-dimension", "64"];

#[test]
fn verbs_that_read_refuse_a_directory_without_data_and_make_nothing() {
    let missing = scratch("verbs-missing");
    let empty = scratch("verbs-empty");
    std::fs::create_dir_all(&empty).unwrap();
    let verbs: [&[&str]; 8] = [
        &["doctor"],
        &["doctor", "--repair"],
        &["tenants"],
        &["tenants", "--assign", "t", "--shard", "1"],
        &["shards"],
        &["health"],
        &["advise"],
        &["query", "beer"],
    ];
    for verb in verbs {
        let output = pinyon(&missing, verb, &[]);
        assert_eq!(output.status.code(), Some(2), "{verb:?}: {}", said(&output));
        assert!(said(&output).contains("does not exist") && !missing.exists(), "{verb:?}: {}", said(&output));
        let output = pinyon(&empty, verb, &[]);
        assert_eq!(output.status.code(), Some(2), "{verb:?}: {}", said(&output));
        assert!(said(&output).contains("holds no data"), "{verb:?}: {}", said(&output));
        assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0, "{verb:?}");
    }
    std::fs::remove_dir_all(&empty).unwrap();
}

#[test]
fn ingest_makes_data_that_the_other_verbs_then_find() {
    let dir = scratch("verbs-ingest");
    let file = scratch("verbs-ingest.jsonl");
    std::fs::write(&file, "{\"tenant_id\": \"t\", \"id\": \"a\", \"text\": \"Dark beer\"}\n").unwrap();
    let ingest = ["ingest", file.to_str().unwrap(), DIMENSION[0], DIMENSION[1]];
    let output = pinyon(&dir, &ingest, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let output = pinyon(&dir, &["doctor", DIMENSION[0], DIMENSION[1]], &[]);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && out.contains("1 tenants in the table, 1 with records"), "{out}");
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn explain_says_what_answered_for_people_and_for_programs() {
    let dir = scratch("verbs-explain");
    let file = scratch("verbs-explain.jsonl");
    let line =
        |id: u32| format!("{{\"tenant_id\": \"t\", \"id\": \"{id}\", \"text\": \"Dark beer {id}\"}}\n");
    std::fs::write(&file, (0..40).map(line).collect::<String>()).unwrap();
    let ingested = pinyon(&dir, &["ingest", file.to_str().unwrap(), DIMENSION[0], DIMENSION[1]], &[]);
    assert!(ingested.status.success(), "{}", said(&ingested));
    let explain = ["explain", "beer", "--tenant", "t", "--scan-factor", "2", DIMENSION[0], DIMENSION[1]];
    let output = pinyon(&dir, &explain, &[]);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", said(&output));
    for part in ["effort: 2", "answered by", "memtable", "memtable scan", "vectors 40", "5 results in"] {
        assert!(out.contains(part), "{part:?} is missing: {out}");
    }
    let output = pinyon(&dir, &[&explain[..], &["--json"]].concat(), &[]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let part = &json["explain"]["shards"][0]["parts"][0];
    assert_eq!((&part["ways"][0], &part["rows"]), (&"memtable_scan".into(), &40.into()), "{json}");
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn settings_are_checked_before_anything_is_made() {
    let dir = scratch("verbs-settings");
    for (name, value) in [("NUM_SHARDS", "0"), ("NUM_SHARDS", "257"), ("VECTOR_DIMENSION", "0")] {
        let output = pinyon(&dir, &["serve", "--listen", "127.0.0.1:0"], &[(name, value)]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{name}={value}: {said}");
        assert!(said.contains(&name.to_lowercase()), "{name}={value}: {said}");
        assert!(!dir.exists(), "{name}={value}");
    }
}

/// Arguments, environment, and what must be said.
type Case = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);

#[test]
fn wrong_arguments_and_settings_end_with_two_and_name_what_was_written() {
    let dir = scratch("verbs-wrong");
    let cases: [Case; 6] = [
        (&["serve"], &[("NUM_SHARDS", "x")], "environment variable NUM_SHARDS: "),
        (&["serve"], &[("PINYON_METRIC", "l2")], "metric"),
        (&["query", "beer", "--top-k", "0"], &[], "1..=10000"),
        (&["query", "beer", "--filter", "{"], &[], "--filter is not JSON"),
        (&["advise", "--top-10-share", "7"], &[], "top_10_share: must be a share from 0 to 1, is 7"),
        (&["advise", "--cross-tenant-share=-0.1"], &[], "cross_tenant_share"),
    ];
    for (arguments, environment, message) in cases {
        let output = pinyon(&dir, arguments, environment);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(message), "{arguments:?}: {}", said(&output));
        assert!(!dir.exists(), "{arguments:?}");
    }
}

#[test]
fn an_ingest_that_stops_says_how_many_documents_are_durable() {
    let dir = scratch("verbs-stopped");
    let file = scratch("verbs-stopped.jsonl");
    let line = |id: &str| format!("{{\"tenant_id\": \"t\", \"id\": \"{id}\", \"text\": \"Dark beer\"}}\n");
    std::fs::write(&file, line("a") + &line("b") + &line("")).unwrap();
    let ingest = ["ingest", file.to_str().unwrap(), "--batch", "1", DIMENSION[0], DIMENSION[1]];
    let output = pinyon(&dir, &ingest, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let message = "stopped with 2 documents durable: ";
    assert!(said(&output).contains(message) && said(&output).contains("line 3"), "{}", said(&output));
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn an_interrupted_ingest_says_so_too() {
    let dir = scratch("verbs-interrupted");
    let mut command = Command::new(binary());
    command
        .args(["ingest", "-", "--batch", "1", "--tenant", "t"])
        .args(DIMENSION)
        .arg("--data-dir")
        .arg(&dir);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"{\"id\": \"a\", \"text\": \"Dark beer\"}\n").unwrap();
    input.flush().unwrap();
    // The signal is listened for before the directory is made.
    let began = Instant::now();
    while !dir.join("shards").exists() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("interrupted with at least "), "{}", said(&output));
    std::fs::remove_dir_all(&dir).unwrap();
}

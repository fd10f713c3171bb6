//! What verbs of the command line refuse, leave alone, and say; and the exit codes.

use crate::server::{binary, scratch};
use std::{
    path::Path,
    process::{Command, Output},
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
fn settings_are_checked_before_anything_is_made() {
    let dir = scratch("verbs-settings");
    for (name, value) in [("NUM_SHARDS", "0"), ("NUM_SHARDS", "257"), ("VECTOR_DIMENSION", "0")] {
        let output = pinyon(&dir, &["serve", "--listen", "127.0.0.1:0"], &[(name, value)]);
        let said = said(&output);
        assert!(!output.status.success() && said.contains(&name.to_lowercase()), "{name}={value}: {said}");
        assert!(!dir.exists(), "{name}={value}");
    }
}

//! Verbs and servers on data that are there: settings come from the data, and who holds them or a port is named.

use crate::server::{Server, binary, scratch};
use std::{
    path::Path,
    process::{Command, Output},
};

const MADE_WITH: [(&str, &str); 5] = [
    ("VECTOR_DIMENSION", "48"),
    ("NUM_SHARDS", "2"),
    ("PINYON_METRIC", "dotproduct"),
    ("PINYON_PLACEMENT", "ring"),
    ("PINYON_CATALOG", "redb"),
];

fn pinyon(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).arg("--data-dir").arg(dir).envs(environment.iter().copied()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Data that were made with settings far from the defaults, of one tenant with a long name.
fn data(name: &str) -> std::path::PathBuf {
    let dir = scratch(name);
    let file = scratch(&format!("{name}.jsonl"));
    std::fs::write(&file, "{\"id\": \"a\", \"text\": \"Dark beer\"}\n").unwrap();
    let tenant = "長い名前".repeat(30);
    let output = pinyon(&dir, &["ingest", file.to_str().unwrap(), "--tenant", &tenant], &MADE_WITH);
    assert!(output.status.success(), "{}", said(&output));
    std::fs::remove_file(&file).unwrap();
    dir
}

#[test]
fn verbs_and_servers_take_settings_from_the_data_and_tables_fit_80_columns() {
    let dir = data("stored");
    let verbs: [&[&str]; 8] = [
        &["tenants"],
        &["shards"],
        &["health"],
        &["doctor"],
        &["doctor", "--repair"],
        &["advise"],
        &["query", "beer"],
        &["explain", "beer"],
    ];
    for verb in verbs {
        let output = pinyon(&dir, verb, &[]);
        assert!(output.status.success(), "{verb:?}: {}", said(&output));
        if !matches!(verb[0], "advise" | "doctor") {
            let out = String::from_utf8_lossy(&output.stdout).into_owned();
            let too_wide = out.lines().find(|line| line.chars().count() > 80);
            assert_eq!(too_wide, None, "{verb:?}");
        }
    }
    let json = pinyon(&dir, &["tenants", "--json"], &[]);
    assert!(
        String::from_utf8_lossy(&json.stdout).contains(&"長い名前".repeat(30)),
        "names are whole in JSON"
    );
    let server = Server::start(&dir, &[]);
    assert_eq!(server.get("/admin/v1/shards").unwrap().1["shards"].as_array().unwrap().len(), 2);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn settings_that_contradict_the_data_are_refused_with_both_values() {
    let dir = data("stored-other");
    for (name, other, setting, made_with) in [
        ("VECTOR_DIMENSION", "64", "VECTOR_DIMENSION", "48"),
        ("NUM_SHARDS", "3", "NUM_SHARDS", "2"),
        ("PINYON_METRIC", "cosine", "METRIC", "dotproduct"),
        ("PINYON_PLACEMENT", "mmh3", "PLACEMENT", "ring"),
        ("PINYON_CATALOG", "sled", "catalog", "redb"),
    ] {
        for verb in [&["tenants"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let output = pinyon(&dir, verb, &[(name, other)]);
            let said = said(&output);
            assert!(!output.status.success(), "{name}: {said}");
            assert!(said.contains(&format!("{setting}={made_with}")), "{name}: {said}");
            assert!(said.contains(&format!("{setting}={other}")), "{name}: {said}");
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_repair_without_a_catalog_takes_what_the_shards_know() {
    let dir = data("stored-lost");
    std::fs::remove_dir_all(dir.join("catalog")).unwrap();
    let environment = [("PINYON_PLACEMENT", "ring"), ("PINYON_CATALOG", "redb")];
    let output = pinyon(&dir, &["doctor", "--repair"], &environment);
    assert!(output.status.success(), "{}", said(&output));
    let output = pinyon(&dir, &["query", "beer"], &[]);
    assert!(output.status.success(), "{}", said(&output));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn who_holds_a_directory_or_a_port_is_named_and_a_dead_holder_is_none() {
    let dir = scratch("stored-held");
    let mut server = Server::start(&dir, &["--vector-dimension", "16"]);
    let holder = format!("process {} (pinyon)", server.pid());
    let output = pinyon(&dir, &["tenants"], &[]);
    assert!(said(&output).contains(&format!("is open in another process, {holder}: ")), "{}", said(&output));
    let other = scratch("stored-held-other");
    let address = server.url.trim_start_matches("http://").to_owned();
    let output = pinyon(&other, &["serve", "--listen", &address], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let begin = format!("cannot listen on {address}: address already in use by {holder}: ");
    assert!(said(&output).contains(&begin) && said(&output).contains("--listen"), "{}", said(&output));
    assert!(!other.exists());
    server.kill();
    let output = pinyon(&dir, &["tenants"], &[]);
    assert!(output.status.success(), "{}", said(&output));
    std::fs::remove_dir_all(&dir).unwrap();
}
